"""Draw the picture of docs/hands.md, what the shipped network finds: python -m docs.images.found"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import carpus
from data.phantom.proportions import mean_hand
from data.phantom.wide.film import render_film
from data.phantom.wide.ranges import UNSEEN
from docs.images.picture import gap
from utils.arrays import Bytes
from utils.files import replacing
from utils.pictures import encode_jpeg
from utils.program import run_program

NETWORK = Path(__file__).parents[2] / "weights" / "hand-phantom.safetensors"
SEEDS = (1, 2, 4, 5, 6, 9)
HEIGHT_PX, WIDTH_PX, GAP_PX = 420, 1500, 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what the shipped network finds in rendered films.")
    parser.add_argument("--output", type=Path, default=Path("docs/images/found.jpg"), help="the picture to write")
    arguments = parser.parse_args()
    model = carpus.load(NETWORK)
    films = [part for seed in SEEDS for part in (overlay(model, seed), gap(HEIGHT_PX, GAP_PX))]
    strip = np.hstack(films[:-1])
    height = round(strip.shape[0] * WIDTH_PX / strip.shape[1])
    with replacing(arguments.output) as file:
        file.write(encode_jpeg(cv2.resize(strip, (WIDTH_PX, height), interpolation=cv2.INTER_AREA), quality=85))


def overlay(model: carpus.Model, seed: int) -> Bytes:
    """Return one film with the bones that are found, RGB uint8[HEIGHT_PX, W, 3]."""
    grey, _ = render_film(
        mean_hand(), (77, seed), UNSEEN, left=seed % 2 == 1, bent=seed % 3 == 0, size_px=768, inverted=0.0
    )
    drawn = np.asarray(model.predict(grey).overlay())
    width = round(drawn.shape[1] * HEIGHT_PX / drawn.shape[0])
    return np.asarray(cv2.resize(drawn, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    run_program(main)
