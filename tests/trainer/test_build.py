from __future__ import annotations

import os

import pytest
from accelerate import Accelerator

from configs.loading.load import from_mapping
from trainer.build import build_train_state, useful_workers, without_pretraining
from utils.errors import UserError


@pytest.mark.parametrize(("wanted", "processes", "started"), [(0, 1, 0), (2, 1, 2), (16, 1, 4), (16, 2, 2), (16, 9, 1)])
def test_no_more_workers_are_started_than_there_are_cores(
    wanted: int, processes: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert useful_workers(wanted, processes) == started


def test_kernels_are_the_fastest_or_always_the_same() -> None:
    kernels = {"deterministic": True, "cudnn_benchmark": True}
    config = from_mapping({"run": {"name": "x"}, "model": "unet", "trainer": kernels})
    with pytest.raises(UserError, match=r"trainer\.cudnn_benchmark: takes the fastest kernels, and trainer\.determ"):
        build_train_state(config, 1, Accelerator(cpu=True, mixed_precision="no"))


def test_compiling_what_recomputes_is_refused() -> None:
    values = {"run": {"name": "x"}, "model": {"name": "unet", "checkpoint_gradients": True}}
    config = from_mapping({**values, "trainer": {"compile": True}})
    with pytest.raises(UserError, match=r"trainer\.compile: gains nothing with model\.checkpoint_gradients, since"):
        build_train_state(config, 1, Accelerator(cpu=True, mixed_precision="no"))


def test_a_network_that_is_filled_from_a_run_needs_no_pretrained_file() -> None:
    model = {"name": "isnet", "weights": "gone.pth", "gt_encoder": "gone.pth"}
    config = from_mapping({"run": {"name": "x"}, "model": model})
    bare = dict(without_pretraining(config).model.params)
    assert (bare["weights"], bare["gt_encoder"], bare["feature_weight"]) == (None, None, 1)
