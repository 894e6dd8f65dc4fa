"""Our cut-outs of pictures in a folder, with the presets of `predict.refine`, as `inference.py` computes them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from data.refine import object_colours
from data.sample import Sample
from trainer.trained import Trained, load_trained
from utils.arrays import Bytes


def cut_out(weights: Path, preset: str, pictures: Iterable[Path]) -> Iterator[tuple[Bytes, float]]:
    """Yield each picture's cut-out uint8[H, W, 4] and its processor seconds, from the file on, with one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    trained = load_trained(weights, torch.device("cpu"), [f"predict.refine={preset}"])
    for number, path in enumerate(pictures):
        if number == 0:
            _cut_out(trained, path)  # What the first call loads is not counted, here as with rembg.
        begun_s = time.process_time()
        cutout = _cut_out(trained, path)
        yield cutout, time.process_time() - begun_s


def _cut_out(trained: Trained, path: Path) -> Bytes:
    predictor = trained.predictor
    ((_, mask_HW1),) = predictor.masks([Sample(path.stem, path.parent.name, path)])
    photo = predictor.read_image(path)
    alpha = mask_HW1[..., 0]
    colours = object_colours(photo, alpha) if predictor.decoder.refine else photo
    return np.dstack([colours, alpha])
