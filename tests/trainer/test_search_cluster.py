"""A search on a Ray cluster: proposed, pruned and noted in one place; a machine that dies costs no trial."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from configs.load import dump
from configs.schema import Config
from configs.space import Span
from tests.trainer.clustered import Clustered
from tests.trainer.test_resume import results
from trainer.cluster import Cluster
from trainer.folder import RunFolder
from trainer.search_cluster import Field
from trainer.search_desk import Asker, Desk, Question
from trainer.search_plan import Plan
from trainer.search_study import Study
from trainer.search_trial import Outcome
from utils.errors import UserError

pytestmark = pytest.mark.usefixtures("hurried_studies")

Make = Callable[..., Config]


def trial(played: Clustered, number: int) -> RunFolder:
    return RunFolder(played.runs / "many-search" / f"trial-{number:04d}")


def row(played: Clustered, number: int) -> dict[str, Any]:
    rows = json.loads((played.runs / "many-search" / "search.json").read_text())["trials"]
    return next(row for row in rows if row["trial"] == number)


def alone(played: Clustered) -> RunFolder:
    """The run without a cluster, of the same settings."""
    return RunFolder(played.runs / "whole" / "fold0")


@pytest.mark.xdist_group("cluster")
def test_a_trial_whose_machine_dies_ends_elsewhere_as_it_would_have_ended_here(clustered: Clustered) -> None:
    assert "continuing in epoch" in trial(clustered, 1).log.read_text()
    assert results(trial(clustered, 1)) == results(alone(clustered))
    told = row(clustered, 1)
    assert (told["state"], told["epochs"]) == ("done", 2)
    assert told["dice"] == pytest.approx(json.loads(alone(clustered).finished.read_text())["best"], abs=1e-5)


@pytest.mark.xdist_group("cluster")
def test_two_trials_run_at_once_and_a_useless_one_is_pruned(clustered: Clustered) -> None:
    told = clustered.told
    assert told.index("trial 2: sent to the cluster") < told.index("trial 1: done")
    assert "trial 2: epoch 1, Dice" in told
    assert (row(clustered, 2)["state"], row(clustered, 2)["epochs"]) == ("pruned", 1)


@pytest.mark.xdist_group("cluster")
def test_an_interrupted_search_saves_its_trials_and_goes_on_anywhere(clustered: Clustered) -> None:
    assert "stopped, everything is saved. Continue with: python -m trainer.search --config" in clustered.told
    log = trial(clustered, 3).log.read_text()
    assert "everything is saved" in log
    assert log.count("images to train on") == 2
    assert row(clustered, 3)["state"] == "done"
    assert results(trial(clustered, 3)) == results(alone(clustered))
    assert not any(trial(clustered, number).has_state for number in (1, 2, 3))


@pytest.mark.xdist_group("cluster")
def test_the_study_knows_every_epoch_of_a_trial_that_moved(clustered: Clustered) -> None:
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{clustered.runs}/many-search/search.sqlite")
    scores = [float(row["dice"]) for row in results(trial(clustered, 1))]
    known = study.trials[0].intermediate_values
    assert list(known) == [0, 1]
    assert list(known.values()) == pytest.approx(scores, abs=1e-5)


def test_a_question_is_answered_to_the_one_that_asked() -> None:
    async def scene() -> tuple[bool, bool]:
        desk = Desk()
        first, second = (asyncio.ensure_future(desk.ask(number, 0, 0.5)) for number in (1, 2))
        questions = [await desk.next_question() for _ in range(2)]
        assert [question.trial for question in questions] == [1, 2]
        await desk.answer(questions[1].key, True)
        await desk.answer(questions[0].key, False)
        return await first, await second

    assert asyncio.run(scene()) == (False, True)


@pytest.mark.parametrize("fault", ["GetTimeoutError", "ActorDiedError"])
def test_a_trial_without_an_answer_goes_on(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def get(_: object, timeout: float) -> bool:
        assert timeout < 60
        raise getattr(ray.exceptions, fault)

    monkeypatch.setattr(ray, "get", get)
    desk = SimpleNamespace(ask=SimpleNamespace(remote=lambda *_: None))
    assert Asker(desk, 1)(0, 0.5) is False


class Machines:
    """Stands in for a cluster: has room for two runs, and the oldest of those that are sent ends first."""

    room = 2

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


def a_field(plan: Plan, machines: Any) -> Field:
    desk = SimpleNamespace(next_question=SimpleNamespace(remote=lambda: "question"))
    return Field(plan, machines, desk, {})


def test_as_many_trials_run_as_there_is_room_for_and_whatever_ends_one_is_noted(
    plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    machines = Machines(Outcome("done", 0.5, 2), UserError("too large."), Outcome("pruned", 0.1, 1))
    with caplog.at_level(logging.INFO):
        a_field(plan, machines).run(3)
    assert (machines.most, machines.sent) == (2, [])
    assert [each.state.name for each in plan.study.finished] == ["COMPLETE", "FAIL", "PRUNED"]
    assert [each.user_attrs["number"] for each in plan.study.finished] == [1, 2, 3]
    assert plan.study.finished[1].user_attrs["outcome"]["reason"] == "too large."
    assert caplog.text.count("so no more is pruned") == 1, "a search does not end with its desk"


def test_a_run_that_brings_its_machines_down_is_a_fault_in_words() -> None:
    ray = pytest.importorskip("ray")

    def get(_: object) -> None:
        raise ray.exceptions.WorkerCrashedError

    with pytest.raises(
        UserError, match=r"given this run up after 5 further tries \(WorkerCrashedError: The worker died"
    ):
        Cluster(SimpleNamespace(get=get, exceptions=ray.exceptions), {}).end_of("reference")
