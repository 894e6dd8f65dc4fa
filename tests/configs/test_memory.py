"""The heads of recipes say how much memory a step takes on a GPU: counted here on tensors without content."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from configs.loading.load import load
from configs.schema import Config
from data.tasks import TASKS
from models.outputs import prediction_of
from tests.memory import Memory
from tests.root import ROOT
from trainer.build import build_loss, build_model
from trainer.input_sizes import sizes_trained_on

GIB = 2**30
SAID = re.compile(r"counted: ([\d.]+) GiB at the peak of a step in (fp16|fp32), ([\d.]+) GiB of them for each image")
"""Without CUDA's context, cuDNN's workspace and what fragmentation wastes."""


def in_half(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(function)
    def in_half(*args: Any, **kwargs: Any) -> Tensor:
        return function(*map(halved, args), **{name: halved(value) for name, value in kwargs.items()})

    return in_half


def halved(value: Any) -> Any:
    return value.half() if isinstance(value, Tensor) else value


def step_memory(config: Config) -> tuple[float, float]:
    """Return the most that a training step holds, and what it holds for an image until its backward pass, in GiB."""
    task, batch, size = TASKS[config.task], config.trainer.batch_size, next(iter(sizes_trained_on(config)))
    model = build_model(config).to("meta").train()
    loss = build_loss(config, model)
    # The weights that learn, Adam's two moments, and the moving average. Gradients are made in the step.
    copies = 3 + (config.trainer.ema_decay is not None)
    with Memory() as memory:
        weights = [torch.zeros_like(weight) for weight in model.parameters() for _ in range(copies)]
        before = memory.alive
        outputs = model(torch.zeros((batch, task.channels, *size), device="meta"))
        kept = memory.alive - before
        dtype = torch.float32 if task.encoding.soft else torch.uint8
        target = torch.zeros(prediction_of(outputs).shape, dtype=dtype, device="meta")
        loss(outputs, target).backward()
    del weights
    return memory.peak / GIB, kept / GIB / batch


@pytest.mark.parametrize(
    "recipe",
    ["base_train", "full_2048", "iterate_512", "cutout_mixed", "cutout_u2net", "u2net_authors", "isnet_authors"],
)
def test_the_head_of_a_recipe_says_its_memory(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "configs" / f"{recipe}.yaml"
    said = SAID.search(" ".join(line.removeprefix("#").strip() for line in path.read_text("utf-8").splitlines()))
    assert said is not None
    if said[2] == "fp16":  # as autocast does on a GPU, which tensors without content do not have
        for name in ("conv2d", "conv_transpose2d", "linear"):
            monkeypatch.setattr(torch.nn.functional, name, in_half(getattr(torch.nn.functional, name)))
    peak, image = step_memory(load(path, without_weights(path)))
    assert float(said[1]) == pytest.approx(peak, abs=0.06)
    assert float(said[3]) == pytest.approx(image, abs=0.06)


def without_weights(path: Path) -> list[str]:
    """Override what would read files."""
    return ["model.encoder_weights=null" if "base_train.yaml" in path.read_text("utf-8") else "model.weights=null"]
