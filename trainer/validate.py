"""The contest's own score of a network: hard masks at native size against the truth, as a submission is scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn

from data.bits import unpack_masks
from data.dataset import Reader
from data.masks import dice
from data.sample import Sample
from loss import Loss
from trainer.dice_table import DiceTable
from trainer.harden import Bytes
from trainer.predict import Loaded, Predictor
from utils.errors import UserError
from utils.events import ImageScored, Listener
from utils.files import write_text
from utils.overlap import overlapped


@dataclass(frozen=True)
class Score:
    """One validation: the mean loss over images, and the Dice of every image and class."""

    loss: float
    dice: DiceTable


@dataclass(frozen=True)
class Validator:
    """Scores networks on labelled samples. With several processes each takes every `world`-th, and all get the whole.

    `predictor` holds everything but the network of the day.
    """

    predictor: Predictor
    samples: Sequence[Sample]
    read: Reader
    classes: tuple[str, ...]
    loss: Loss
    tell: Listener
    rank: int = 0
    world: int = 1

    def score(self, network: nn.Module, epoch: int, between: Callable[[], None] = lambda: None) -> Score:
        """Score `network`, which is left in evaluation mode; `between` is called after each image and may raise."""
        network.eval()
        mine = self.samples[self.rank :: self.world]
        rows: list[tuple[str, npt.NDArray[np.float64], float]] = []
        for row in overlapped(self._dice, self._predicted(network, mine), ahead=3):
            rows.append(row)
            self.tell(ImageScored(epoch, len(rows), len(mine)))
            between()
        return self._joined(gather_object(rows) if self.world > 1 else rows)

    def _predicted(self, network: nn.Module, samples: Sequence[Sample]) -> Iterator[tuple[Loaded, Bytes, float]]:
        """Each image with its hard mask and its loss; decoding and labels run ahead of the network."""
        predictor = replace(self.predictor, network=network)
        for loaded, logits in predictor.predicted(samples, self.read):
            yield loaded, predictor.harden(logits, loaded.native_hw), self._loss(logits, loaded)

    @torch.inference_mode()
    def _loss(self, logits_Chw: Tensor, loaded: Loaded) -> float:
        """The training loss of one image at the network's size."""
        assert loaded.target_hwK is not None
        packed = torch.from_numpy(loaded.target_hwK)[None].to(logits_Chw.device)
        return float(self.loss(logits_Chw[None], unpack_masks(packed, len(self.classes), torch.uint8)))

    def _dice(self, predicted: tuple[Loaded, Bytes, float]) -> tuple[str, npt.NDArray[np.float64], float]:
        loaded, mask, loss = predicted
        assert loaded.truth_HWK is not None
        return loaded.sample.name, dice(mask, loaded.truth_HWK, len(self.classes)), loss

    def _joined(self, rows: Sequence[tuple[str, npt.NDArray[np.float64], float]]) -> Score:
        if not rows:
            raise UserError("data.folds: no image is held out for validation. Use fewer folds or more patients.")
        table = DiceTable(self.classes)
        for name, dice_C, _ in rows:
            table.add(name, dice_C)
        return Score(float(np.mean([loss for _, _, loss in rows])), table)


def write_validation(path: Path, epoch: int, dice: DiceTable, strata: Mapping[str, str | None]) -> None:
    """Record how the best network scored on each held-out image and class; `epoch` from 0, written from 1.

    `strata`: of each image its stratum (straight or bent wrist), None where it cannot be told.
    """
    values = {
        "epoch": epoch + 1,
        **dice.summary(),
        "strata": {image: strata[image] for image in dice.per_image},
        "per_image_and_class": dice.per_image_and_class,
    }
    write_text(path, json.dumps(values, indent=2) + "\n")
