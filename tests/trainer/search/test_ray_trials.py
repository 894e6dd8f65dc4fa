"""A search on a Ray cluster: proposed, pruned and noted in one place. On a real one: test_cluster.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.loading.load import dump
from configs.schema import Config
from configs.search_space import Span
from trainer.runs.ray_cluster import Cluster
from trainer.search.plan import Plan
from trainer.search.pruning import PruneActor, Question, RemotePruner
from trainer.search.ray_trials import ClusterTrials
from trainer.search.study import Study
from trainer.search.trial import Outcome
from utils.errors import UserError

pytestmark = pytest.mark.usefixtures("hurried_studies")

Make = Callable[..., Config]


def test_an_answer_goes_to_the_trial_that_asked() -> None:
    async def scene() -> tuple[bool, bool]:
        actor = PruneActor()
        first, second = (asyncio.ensure_future(actor.ask(number, 0, 0.5)) for number in (1, 2))
        questions = [await actor.next_question() for _ in range(2)]
        assert [question.trial for question in questions] == [1, 2]
        await actor.answer(questions[1].key, True)
        await actor.answer(questions[0].key, False)
        return await first, await second

    assert asyncio.run(scene()) == (False, True)


@pytest.mark.parametrize("fault", ["GetTimeoutError", "ActorDiedError"])
def test_a_trial_without_an_answer_continues(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def get(_: object, timeout: float) -> bool:
        assert timeout < 60
        raise getattr(ray.exceptions, fault)

    monkeypatch.setattr(ray, "get", get)
    actor = SimpleNamespace(ask=SimpleNamespace(remote=lambda *_: None))
    assert RemotePruner(actor, 1)(0, 0.5) is False


class Machines:
    """Stands in for a cluster: has room for two runs, and the oldest of those that are sent ends first."""

    max_runs = 2

    class ray:
        class exceptions:
            class RayActorError(Exception):
                pass

        @classmethod
        def get(cls, _: Any) -> Question:
            raise cls.exceptions.RayActorError

        @staticmethod
        def wait(references: list[str]) -> tuple[list[str], list[str]]:
            return references[:1], references[1:]

    def __init__(self, *ends: Outcome | UserError) -> None:
        self.ends, self.most = iter(ends), 0
        self.sent: list[str] = []

    def send(self, _: object, config: Config) -> str:
        self.sent.append(config.run.name)
        self.most = max(self.most, len(self.sent))
        return config.run.name

    def end_of(self, sent: str) -> tuple[str, Outcome]:
        self.sent.remove(sent)
        end = next(self.ends)
        if isinstance(end, UserError):
            raise end
        return "node-7", end


@pytest.fixture
def plan(make_config: Make, tmp_path: Path) -> Plan:
    config = make_config()
    (tmp_path / "mine.yaml").write_text(dump(config))
    study = Study(tmp_path / "search.sqlite", config, {"optimizer.lr": Span(low=1e-4, high=1e-2)})
    return Plan(tmp_path / "mine.yaml", (), config, tmp_path / "search", study, "go on")


def trials_on(plan: Plan, machines: Any) -> ClusterTrials:
    actor = SimpleNamespace(next_question=SimpleNamespace(remote=lambda: "question"))
    return ClusterTrials(plan, machines, actor, {})


def test_as_many_trials_run_as_there_is_room_for_and_whatever_ends_one_is_noted(
    plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    machines = Machines(Outcome("done", 0.5, 2), UserError("too large."), Outcome("pruned", 0.1, 1))
    with caplog.at_level(logging.INFO):
        trials_on(plan, machines).run(3)
    assert (machines.most, machines.sent) == (2, [])
    assert [each.state.name for each in plan.study.finished] == ["COMPLETE", "FAIL", "PRUNED"]
    assert [each.user_attrs["number"] for each in plan.study.finished] == [1, 2, 3]
    assert plan.study.finished[1].user_attrs["outcome"]["reason"] == "too large."
    assert caplog.text.count("so no more is pruned") == 1, "a search continues after its actor has died"


def test_a_run_whose_machines_die_ends_with_a_sentence() -> None:
    ray = pytest.importorskip("ray")

    def get(_: object) -> None:
        raise ray.exceptions.WorkerCrashedError

    with pytest.raises(
        UserError, match=r"gave up this run after 5 further tries \(WorkerCrashedError: The worker died"
    ):
        Cluster(SimpleNamespace(get=get, exceptions=ray.exceptions), {}).end_of("reference")
