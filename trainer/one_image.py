"""Predict single images that are in memory already, with a network of torch; for `carpus.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from data.check.looks import oddity_from
from data.sample import Sample
from data.task import Task
from trainer.inference import load_for_prediction
from trainer.prediction.predictor import Loaded, Prediction, Predictor
from trainer.trained import Trained
from transform.base import size_of
from utils.arrays import Floats32, Image, StoredMask
from utils.errors import UserError

NAMELESS = Sample("image", "image", Path("image"))


@dataclass(frozen=True)
class ImagePredictor:
    """A trained network that is given one image at a time."""

    trained: Trained

    @property
    def task(self) -> Task:
        return self.trained.task

    @property
    def predictor(self) -> Predictor:
        return self.trained.predictor

    @torch.inference_mode()
    def logits(self, image: Image) -> Floats32:
        """Return the logits float32[C, h, w] of an image as the task reads it, with all views and closer looks."""
        loaded = self.predictor.look(NAMELESS, image)
        whole = Prediction(loaded, self.predictor.logits([loaded])[0])
        logits: Floats32 = self.predictor.closer(whole).logits_Chw.float().cpu().numpy()
        return logits

    @torch.inference_mode()
    def mask_of(self, logits_Chw: Floats32, image: Image) -> StoredMask:
        """Return the mask uint8[H, W, K] at native size, in the task's encoding."""
        logits = torch.from_numpy(logits_Chw).to(self.predictor.device)
        loaded = Loaded(NAMELESS, (), size_of(image), self.predictor.kept(image))
        return self.predictor.decode(Prediction(loaded, logits))

    def oddity(self, image: Image) -> str | None:
        """Return how an image differs from those trained on, as `OnnxPredictor.oddity` does."""
        return oddity_from(image, self.trained.weights.images) if self.task.checks.one_look else None


def load_image_predictor(weights: Path, overrides: Sequence[str]) -> ImagePredictor:
    """Load a network from a weights file. Raises `UserError` for a file that holds none, or settings that cannot be."""
    device = Accelerator(mixed_precision="no").device
    trained = load_for_prediction(weights, device, overrides)
    if trained.detector is not None:
        raise UserError("predict.model=auto: chooses for the images of inference.py. Write predict.model=own here.")
    return ImagePredictor(trained)
