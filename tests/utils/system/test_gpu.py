from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product

import pytest
import torch

from utils.system.gpu import choose_kernels, let_segments_grow


def test_the_memory_of_gpus_is_left_as_the_user_has_configured_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.setattr(os, "environ", {name: "max_split_size_mb:64"})
        let_segments_grow()
        assert os.environ == {name: "max_split_size_mb:64"}
    monkeypatch.setattr(os, "environ", {})
    let_segments_grow()
    assert os.environ == {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    yield
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("restored")
def test_a_gpu_searches_for_the_fastest_kernels_only_when_asked_and_may_always_take_the_same() -> None:
    choose_kernels("cpu", deterministic=True, search=True)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    for deterministic, search in product((True, False), (True, False)):
        choose_kernels("cuda", deterministic=deterministic, search=search)
        assert torch.are_deterministic_algorithms_enabled() is deterministic
        assert torch.backends.cudnn.benchmark is (search and not deterministic)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
