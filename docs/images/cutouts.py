"""Draw the second picture of README.md: photographs, and cut-outs by the network as published and by the trained one.

python -m docs.images.cutouts --stock DIR --trained DIR --split datasets/pills/test
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from data.cutout.output import alpha_of
from data.cutout.task import foreground
from docs.images.picture import gap
from trainer.drawing.cutouts import on_checkerboard
from utils.arrays import Bytes
from utils.files import replacing
from utils.pictures import as_picture, encode_jpeg, shrink
from utils.program import run_program

ROWS, SIDE_PX, GAP_PX = 2, 320, 6


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw cut-outs of two networks beside their photographs.")
    parser.add_argument("--stock", type=Path, required=True, help="cut-outs of the network as published")
    parser.add_argument("--trained", type=Path, required=True, help="cut-outs of the trained network")
    parser.add_argument("--split", type=Path, required=True, help="the photographs with their masks")
    parser.add_argument("--output", type=Path, default=Path("docs/images/cutouts.jpg"), help="the picture to write")
    arguments = parser.parse_args()
    with replacing(arguments.output) as file:
        file.write(encode_jpeg(picture(arguments.stock, arguments.trained, arguments.split), quality=85))


def picture(stock: Path, trained: Path, split: Path) -> Bytes:
    """Draw the photographs that the network as published cuts out worst, each beside its cut-out by either network."""
    scored = []
    for sample in foreground.layout.find_samples(split, labelled=True):
        image, truth = foreground.read(sample)
        if truth.any() and image.shape[1] >= image.shape[0]:  # such photographs fit above each other
            alphas = [alpha_of(folder, sample.name) for folder in (stock, trained)]
            scored.append((float(foreground.score(alphas[0][..., None], truth)[0]), sample.name, image, alphas))
    scored.sort(key=lambda entry: entry[:2])
    rows = [row(image, alphas) for _, _, image, alphas in scored[:ROWS]]
    return np.vstack([part for each in rows for part in (each, gap(GAP_PX, each.shape[1]))][:-1])


def row(image: Bytes, alphas: list[Bytes]) -> Bytes:
    """Return one panel: the photograph, and one for each alpha."""
    panels = [shrink(as_picture(image), SIDE_PX), *(on_checkerboard(image, alpha, SIDE_PX) for alpha in alphas)]
    return np.hstack([part for panel in panels for part in (panel, gap(len(panel), SIDE_PX + GAP_PX - panel.shape[1]))])


if __name__ == "__main__":
    run_program(main)
