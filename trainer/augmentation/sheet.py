"""A sheet of augmented training images, with the outlines of their masks.

The images are those that the training sees: the pipeline, the seed and the draws of the first epochs are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from configs.schema import Config
from data.dataset import SegmentationDataset
from trainer.build import build_dataset
from trainer.drawing.overlays import draw_masks, titled
from trainer.split import find_split
from utils.arrays import Colour, Picture
from utils.config.component import Component
from utils.errors import UserError
from utils.progress import track

GAP_PX = 4
GROUND = 24


@dataclass(frozen=True)
class Wanted:
    """What to show: `draws` of each of `samples` images, or of `each` transform alone; tiles of at most `side_px`."""

    samples: int
    draws: int
    each: bool
    side_px: int


@dataclass(frozen=True)
class Row:
    """One row of tiles: the same sample in several epochs, first without augmentation."""

    title: str
    index: int
    plain: SegmentationDataset
    augmented: SegmentationDataset


def draw_sheet(config: Config, wanted: Wanted) -> Picture:
    """Draw the sheet of a config, uint8[H, W, 3]. Raises `UserError` without transforms to show."""
    if not config.transform.train:
        raise UserError("transform.train: lists no transform, so there is nothing to show. List some.")
    samples = find_split(config).train
    chosen = np.linspace(0, len(samples) - 1, min(wanted.samples, len(samples))).round().astype(int).tolist()
    plain, whole = build_dataset(with_transforms(config, ()), samples), build_dataset(config, samples)
    if wanted.each:
        alone = [(step.name, build_dataset(with_transforms(config, [step]), samples)) for step in always(config)]
        rows = [Row(name, index, plain, augmented) for name, augmented in alone for index in chosen]
    else:
        rows = [Row(samples[index].name, index, plain, whole) for index in chosen]
    colours = config.chosen_task.class_colours
    return arranged([_tiles(config, row, wanted, colours) for row in track(rows, "Drawing", len(rows))])


def always(config: Config) -> list[Component]:
    """Return the training's transforms, each with a probability of 1."""
    steps = config.transform.train
    return [replace(step, params=step.params.model_copy(update={"p": 1.0})) for step in steps]


def with_transforms(config: Config, steps: Sequence[Component]) -> Config:
    """Return the config with other transforms in training."""
    return config.model_copy(update={"transform": config.transform.model_copy(update={"train": tuple(steps)})})


def arranged(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Arrange tiles in rows, on a dark ground."""
    height = max(tile.shape[0] for row in rows for tile in row) + GAP_PX
    width = max(tile.shape[1] for row in rows for tile in row) + GAP_PX
    sheet = np.full((len(rows) * height + GAP_PX, len(rows[0]) * width + GAP_PX, 3), GROUND, np.uint8)
    for number, row in enumerate(rows):
        for place, tile in enumerate(row):
            top, left = number * height + GAP_PX, place * width + GAP_PX
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _tiles(config: Config, row: Row, wanted: Wanted, colours: Sequence[Colour]) -> list[Picture]:
    harden = config.chosen_task.encoding.harden
    draws = [
        (row.plain, 0, row.title),
        *((row.augmented, epoch, f"epoch {epoch + 1}") for epoch in range(wanted.draws)),
    ]
    tiles = []
    for dataset, epoch, title in draws:
        item = dataset[epoch, row.index]
        drawn = draw_masks(item.image.numpy(), harden(item.mask.numpy()), colours, side_px=wanted.side_px, fill=0)
        tiles.append(titled(drawn, title))
    return tiles
