"""Samples and pictures that transforms may take, held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.arrays import Pixels


@dataclass(frozen=True)
class Lent:
    """Each sample as its image and mask; its image is also a picture of any folder, called by its number."""

    samples: Sequence[tuple[Pixels, Pixels]]

    @property
    def samples_count(self) -> int:
        return len(self.samples)

    def read_sample(self, index: int) -> tuple[Pixels, Pixels]:
        image, mask = self.samples[index]
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)

    def find_pictures(self, folder: Path) -> list[Path]:
        return [folder / str(number) for number in range(len(self.samples))]

    def read_picture(self, path: Path) -> Pixels:
        return self.read_sample(int(path.name))[0]
