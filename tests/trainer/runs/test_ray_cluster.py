"""Runs on a Ray cluster: a machine that dies costs no more than what was not saved yet."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from configs.schema import Config
from tests.forkserver import ForkServer
from tests.trainer.runs.test_resume import differences, newest_state, results
from tests.trainer.scenes import play
from trainer.records.folder import RunFolder
from trainer.runs.folds import train_folds
from trainer.runs.ray_cluster import Cluster, connect_to_ray, refuse_failures, resources_of_run, wait_for_runs
from utils.errors import UserError

Make = Callable[..., Config]


@dataclass(frozen=True)
class Clustered:
    """The folder with all runs, and what the programs printed."""

    runs: Path
    output: str


@pytest.fixture(scope="module")
def clustered(root: Path, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Clustered:
    """Folds and a search on one Ray cluster of two machines, each of which loses one."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (requirements-ray.txt)")
    runs = tmp_path_factory.mktemp("clustered")
    return Clustered(runs, play(fork_server, "tests.trainer.clustered", root, runs, RAY_USAGE_STATS_ENABLED="0").stderr)


def test_a_fold_whose_machine_dies_is_finished_on_another_with_the_same_bits(clustered: Clustered) -> None:
    whole, parts = (RunFolder(clustered.runs / name / "fold0") for name in ("whole", "parts"))
    assert parts.log.read_text().count("images to train on") == 2, "it was not begun twice"
    assert "continuing in epoch" in parts.log.read_text()
    assert "parts/fold0: done on" in clustered.output
    assert results(whole) == results(parts)
    assert differences(newest_state(whole), newest_state(parts)) == []
    assert (clustered.runs / "parts" / "crossval.json").exists()


def trial(played: Clustered, number: int) -> RunFolder:
    return RunFolder(played.runs / "many-search" / f"trial-{number:04d}")


def row(played: Clustered, number: int) -> dict[str, Any]:
    rows = json.loads((played.runs / "many-search" / "search.json").read_text())["trials"]
    return next(row for row in rows if row["trial"] == number)


def alone(played: Clustered) -> RunFolder:
    """The run without a cluster, of the same settings."""
    return RunFolder(played.runs / "whole" / "fold0")


def test_a_trial_whose_machine_dies_ends_elsewhere_as_it_would_have_ended_here(clustered: Clustered) -> None:
    assert "continuing in epoch" in trial(clustered, 1).log.read_text()
    assert results(trial(clustered, 1)) == results(alone(clustered))
    its_row = row(clustered, 1)
    assert (its_row["state"], its_row["epochs"]) == ("done", 2)
    assert its_row["dice"] == pytest.approx(json.loads(alone(clustered).finished.read_text())["best"], abs=1e-5)


def test_two_trials_run_at_once_and_a_useless_one_is_pruned(clustered: Clustered) -> None:
    output = clustered.output
    assert output.index("trial 2: sent to the cluster") < output.index("trial 1: done")
    assert "trial 2: epoch 1, Dice" in output
    assert (row(clustered, 2)["state"], row(clustered, 2)["epochs"]) == ("pruned", 1)


def test_an_interrupted_search_saves_its_trials_and_goes_on_anywhere(clustered: Clustered) -> None:
    assert "stopped, everything is saved. Continue with: python -m trainer.search --config" in clustered.output
    log = trial(clustered, 3).log.read_text()
    assert "everything is saved" in log
    assert log.count("images to train on") == 2
    assert row(clustered, 3)["state"] == "done"
    assert results(trial(clustered, 3)) == results(alone(clustered))
    assert not any(trial(clustered, number).has_state for number in (1, 2, 3))


def test_the_study_knows_every_epoch_of_a_trial_that_moved(clustered: Clustered) -> None:
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{clustered.runs}/many-search/search.sqlite")
    scores = [float(row["dice"]) for row in results(trial(clustered, 1))]
    known = study.trials[0].intermediate_values
    assert list(known) == [0, 1]
    assert list(known.values()) == pytest.approx(scores, abs=1e-5)


def test_without_the_package_one_sentence_says_how_to_install_it(
    make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"the package ray is not installed.*requirements-ray\.txt"):
        train_folds(make_config(launcher="ray"), resume=False, command="")


def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCluster:
        @staticmethod
        def is_initialized() -> bool:
            return False

        @staticmethod
        def init(**_: Any) -> None:
            raise ConnectionError("nobody there")

    monkeypatch.setitem(sys.modules, "ray", NoCluster)
    with pytest.raises(UserError, match=r"no Ray cluster answers at address .auto.\. Start one with"):
        connect_to_ray()


def test_one_process_alone_sends_runs(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"Start the program with python"):
        train_folds(make_config(launcher="ray"), resume=False, command="")


def test_a_run_takes_a_gpu_or_where_there_is_none_a_core() -> None:
    assert resources_of_run({"CPU": 64, "GPU": 8}) == {"num_gpus": 1}
    assert resources_of_run({"CPU": 4}) == {"num_cpus": 1}


def test_a_run_that_fails_is_reported_when_the_others_have_ended(
    make_config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Failed(Exception):
        cause = UserError("image.png: is broken.")

    class Ray:
        class exceptions:
            RayError = Failed

        @staticmethod
        def wait(left: list[int]) -> tuple[list[int], list[int]]:
            return left[:1], left[1:]

        @staticmethod
        def get(number: int) -> tuple[str, str]:
            if number == 0:
                raise Failed
            return "node-7", "runs/tiny/fold1"

    config = make_config(fold=[0, 1])
    with caplog.at_level(logging.INFO):
        failures = wait_for_runs(Cluster(Ray, {}), {fold: config.of_fold(fold) for fold in (0, 1)})
    assert caplog.messages == [
        "tiny/fold0: failed; the others continue",
        "tiny/fold1: done on node-7; folder runs/tiny/fold1",
    ]
    with pytest.raises(UserError, match=r"^tiny/fold0: image\.png: is broken\.$"):
        refuse_failures(failures)
    refuse_failures({})
