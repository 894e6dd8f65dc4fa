"""Compare the logits of an ONNX file with those of torch, for several sizes of images and numbers of them."""

# Shapes: N images of a batch, C classes, H/W pixels of the network's input.
from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from data.sample import Sample
from models.outputs import prediction_of
from runtime.model.network import CPU, read_file
from trainer.export.graph import Graph
from trainer.trained import Trained
from transform.pipeline import Pipeline
from utils.arrays import Floats32, Size
from utils.onnx_file import with_output
from utils.progress import track
from utils.system.cores import usable_cores

log = logging.getLogger(__name__)

BOUND = 1e-4
"""The largest difference of a probability; and of a logit, relative to the largest of its batch if that is over 1.

Not of each logit by itself: float32 is not as exact. Of the small U-2-Net, whose logits reach 15, torch's own differ by
1.4e-4 from those in float64, and ONNX Runtime's by 1.2e-4.
"""
LARGEST_LOGITS = 2**27
"""Logits of one batch, at most: half a gigabyte."""

Case: TypeAlias = tuple[int, Size]
"""A number of images and their size."""


class NotEqual(Exception):
    """A file does not compute what its network does; the text says how."""


@dataclass(frozen=True)
class LogitProof:
    """How a file differs from torch, over all cases: the largest differences."""

    cases: Sequence[Case]
    probability: float
    logit: float
    relative: float
    """Of logits, as it is compared with `BOUND`: relative to the largest logit of the batch."""

    @property
    def is_within(self) -> bool:
        """Whether the file is as exact as float32 allows."""
        return max(self.probability, self.relative) <= BOUND


def prove_logits(trained: Trained, path: Path, graph: Graph, samples: Sequence[Sample]) -> LogitProof:
    """Compare what the file `path` computes with torch.

    Raises `NotEqual` if it cannot be computed, or gives another shape or values that are no numbers.
    """
    session, pictures = open_session(path), [trained.task.read_image(sample.image) for sample in samples[:3]]
    rows: list[tuple[float, float, float]] = []
    compared: list[Case] = []
    for images, size_hw in track(cases_of(graph), "Comparing logits"):
        batch = batch_of(trained, [pictures[place % len(pictures)] for place in range(images)], size_hw)
        try:
            expected = logits_of(trained, batch)
        except (RuntimeError, ValueError, AssertionError):
            if size_hw == graph.size_hw:
                raise
            continue  # torch itself cannot take images as small
        rows.append(_differences(session, batch, expected))
        compared.append((images, size_hw))
    return LogitProof(compared, *map(float, np.max(rows, axis=0)))


def _differences(session: Any, batch: Tensor, expected: Floats32) -> tuple[float, float, float]:
    """Return the largest differences of one batch: of probabilities, of logits, and of these relative."""
    probability, logits = _answer(session, batch)
    if logits.shape != expected.shape or probability.shape != expected.shape:
        raise NotEqual(f"gives {list(logits.shape)} for images {list(batch.shape)}, not {list(expected.shape)}")
    if not (np.isfinite(logits).all() and np.isfinite(probability).all()):
        raise NotEqual(f"gives values that are no numbers for images {list(batch.shape)}")
    likely = torch.from_numpy(expected).sigmoid().numpy()
    logit = np.abs(logits - expected).max()
    relative = logit / max(1, np.abs(expected).max())
    return float(np.abs(probability - likely).max()), float(logit), float(relative)


def cases_of(graph: Graph) -> list[Case]:
    """Return which batches are compared: one and several images of the network's size and, if it may be, of others."""
    height, width = graph.size_hw
    cases: list[Case] = [(1, graph.size_hw), (3, graph.size_hw)]
    if graph.any_size:
        step = graph.step_px
        # Sides that are no multiples of more than they must be: resizing and pooling then meet odd sizes.
        smaller = (_odd(height * 3 // 4, step), _odd(width * 5 // 8, step))
        cases += [(2, smaller), (1, (height, smaller[1])), (1, (smaller[0], width + step))]
    logits = graph.classes * max(height * width, 1)
    return [(min(images, max(1, LARGEST_LOGITS // logits)), size_hw) for images, size_hw in cases]


def _odd(side_px: int, step_px: int) -> int:
    """Return an odd multiple of the step near a side."""
    return max(1, side_px // step_px | 1) * step_px


def batch_of(trained: Trained, pictures: Sequence[Any], size_hw: Size) -> Tensor:
    """Return images of any size as the network is given them, float32[N, channels, H, W]."""
    own = trained.predictor.transform
    pipeline = Pipeline(own.transforms, size_px=size_hw, masks=own.masks)
    small = np.stack([pipeline(picture, None, seed=0)[0] for picture in pictures])
    return trained.predictor.normalise(torch.from_numpy(small))


@torch.inference_mode()
def logits_of(trained: Trained, batch: Tensor) -> Floats32:
    """Compute the logits of torch, float32[N, C, H, W]."""
    logits: Floats32 = prediction_of(trained.predictor.network(batch)).float().numpy()
    return logits


def open_session(path: Path) -> Any:
    """Open a file whose logits are read, which are its last output. Raises `UserError` if ONNX Runtime cannot."""
    import onnxruntime

    file = read_file(path)
    assert file.layout.logits is not None, "a file of ours ends in a sigmoid"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = usable_cores(), 3
    try:
        content = with_output(file.content, file.layout.logits)
        return onnxruntime.InferenceSession(content, options, providers=[CPU], enable_fallback=0)
    except Exception as error:  # the types of ONNX Runtime's errors have no common base
        raise NotEqual(f"cannot be loaded by ONNX Runtime ({str(error).splitlines()[0][:300]})") from error


def _answer(session: Any, batch: Tensor) -> tuple[Floats32, Floats32]:
    """Compute the probabilities and the logits of the file."""
    outputs = session.get_outputs()
    try:
        found = session.run([outputs[0].name, outputs[-1].name], {session.get_inputs()[0].name: batch.numpy()})
    except Exception as error:  # as above
        raise NotEqual(f"cannot be computed by ONNX Runtime ({str(error).splitlines()[0][:300]})") from error
    probability, logits = (np.asarray(values, np.float32) for values in found)
    return probability, logits
