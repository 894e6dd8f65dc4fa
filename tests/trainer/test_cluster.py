"""Runs on a Ray cluster: a machine that dies costs no more than what was not saved yet."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from configs.schema import Config
from tests.trainer.clustered import Clustered
from tests.trainer.test_resume import differences, newest_state, results
from trainer.cluster import Cluster, collected, connected, refuse_failures, slot_of
from trainer.folder import RunFolder
from trainer.folds import train_folds
from utils.errors import UserError

Make = Callable[..., Config]


@pytest.mark.xdist_group("cluster")
def test_a_fold_whose_machine_dies_is_finished_on_another_with_the_same_bits(clustered: Clustered) -> None:
    whole, parts = (RunFolder(clustered.runs / name / "fold0") for name in ("whole", "parts"))
    assert parts.log.read_text().count("images to train on") == 2, "it was not begun twice"
    assert "continuing in epoch" in parts.log.read_text()
    assert "parts/fold0: done on" in clustered.told
    assert results(whole) == results(parts)
    assert differences(newest_state(whole), newest_state(parts)) == []
    assert (clustered.runs / "parts" / "crossval.json").exists()


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
        connected()


def test_one_process_alone_sends_runs(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"Start the program with python"):
        train_folds(make_config(launcher="ray"), resume=False, command="")


def test_a_run_takes_a_gpu_or_where_there_is_none_a_core() -> None:
    assert slot_of({"CPU": 64, "GPU": 8}) == {"num_gpus": 1}
    assert slot_of({"CPU": 4}) == {"num_cpus": 1}


def test_a_run_that_fails_is_told_when_the_others_have_ended(
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
        failures = collected(Cluster(Ray, {}), {fold: config.of_fold(fold) for fold in (0, 1)})
    assert caplog.messages == [
        "tiny/fold0: failed; the others go on",
        "tiny/fold1: done on node-7; folder runs/tiny/fold1",
    ]
    with pytest.raises(UserError, match=r"^tiny/fold0: image\.png: is broken\.$"):
        refuse_failures(failures)
    refuse_failures({})
