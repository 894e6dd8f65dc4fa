"""The heads of recipes say how much memory a step takes on a GPU: counted here on tensors without content."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
import torch
from torch import Tensor

from configs.loading.load import load
from configs.schema import Config
from tests.memory import Memory
from tests.root import ROOT
from trainer.build import build_loss, build_model
from trainer.input_sizes import sizes_trained_on

GIB = 2**30
SAID = re.compile(r"counted: (?P<peak>[\d.]+) GiB at the peak of a step, (?P<image>[\d.]+) GiB of them for each image")
"""Without CUDA's context, cuDNN's workspace and what fragmentation wastes."""
COPIES = 4
"""Of the weights: those that learn, their moving average, and Adam's two moments. Gradients are counted in the step."""


@pytest.fixture
def _convolutions_in_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolve in half precision as autocast does on a GPU, which tensors without content do not have."""
    for name in ("conv2d", "conv_transpose2d", "linear"):
        monkeypatch.setattr(torch.nn.functional, name, in_half(getattr(torch.nn.functional, name)))


def in_half(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(function)
    def in_half(*args: Any, **kwargs: Any) -> Tensor:
        return function(*map(halved, args), **{name: halved(value) for name, value in kwargs.items()})

    return in_half


def halved(value: Any) -> Any:
    return value.half() if isinstance(value, Tensor) else value


def step_memory(config: Config) -> tuple[float, float]:
    """Return the most that a training step holds, and what it holds for an image until its backward pass, in GiB."""
    batch, (height, width) = config.trainer.batch_size, next(iter(sizes_trained_on(config)))
    model = build_model(config).to("meta").train()
    loss = build_loss(config, model)
    with Memory() as memory:
        held = [torch.zeros_like(weight) for weight in model.parameters() for _ in range(COPIES)]
        before = memory.alive
        logits = model(torch.zeros((batch, 1, height, width), device="meta"))
        kept = memory.alive - before
        target = torch.zeros(logits.shape, dtype=torch.uint8, device="meta")
        loss(logits, target).backward()
    del held
    return memory.peak / GIB, kept / GIB / batch


@pytest.mark.usefixtures("_convolutions_in_half")
@pytest.mark.parametrize("recipe", ["base_train", "full_2048", "iterate_512"])
def test_the_head_of_a_recipe_says_its_memory(recipe: str) -> None:
    path = ROOT / "configs" / f"{recipe}.yaml"
    said = SAID.search(" ".join(line.removeprefix("#").strip() for line in path.read_text("utf-8").splitlines()))
    assert said is not None
    peak, image = step_memory(load(path, ["model.encoder_weights=null"]))
    assert float(said["peak"]) == pytest.approx(peak, abs=0.06)
    assert float(said["image"]) == pytest.approx(image, abs=0.06)
