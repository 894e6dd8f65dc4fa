"""Draw the picture of docs/phantoms.md: films of the preset wide in rows: python -m docs.images.phantoms"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from data.phantom.proportions import mean_hand
from data.phantom.wide.film import render_film
from data.phantom.wide.ranges import WIDE
from docs.images.picture import gap
from utils.arrays import Bytes
from utils.files import replacing
from utils.pictures import encode_jpeg
from utils.program import run_program

ROWS, FILMS, HEIGHT_PX, WIDTH_PX, GAP_PX = 3, 8, 300, 1500, 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw films of the preset wide in rows.")
    parser.add_argument("--output", type=Path, default=Path("docs/images/phantoms.jpg"), help="the picture to write")
    arguments = parser.parse_args()
    rows = [row(number) for number in range(ROWS)]
    with replacing(arguments.output) as file:
        file.write(
            encode_jpeg(np.vstack([part for each in rows for part in (each, gap(GAP_PX, WIDTH_PX))]), quality=80)
        )


def row(number: int) -> Bytes:
    """Return films side by side, all of one height, RGB uint8[H, WIDTH_PX, 3]."""
    films = []
    for index in range(FILMS):
        seed = (number, index)
        grey, _ = render_film(
            mean_hand(), seed, WIDE, left=index % 2 == 1, bent=index == 5, size_px=512, inverted=float(index == 6)
        )
        width = round(grey.shape[1] * HEIGHT_PX / grey.shape[0])
        small = cv2.resize(grey, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        films += [np.repeat(small[..., None], 3, axis=2), gap(HEIGHT_PX, GAP_PX)]
    strip = np.hstack(films)
    height = round(HEIGHT_PX * WIDTH_PX / strip.shape[1])
    return np.asarray(cv2.resize(strip, (WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    run_program(main)
