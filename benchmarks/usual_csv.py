"""Steps on finished submissions the usual way: each mask is decoded to pixels, as in `benchmarks.usual`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.usual import decode, dice_of_bytes, encode
from utils.arrays import Bytes


def vote(paths: Sequence[Path], size_hw: tuple[int, int], output: Path) -> Path:
    """The hard vote that teams share: decode every row's mask in every file, add them up, threshold and encode again.

    It assumes that all files have the same order of rows. Adding bytes is quicker than stacking masks, as many copies
    do.
    """
    import pandas as pd

    tables = [pd.read_csv(path) for path in paths]
    rles = []
    for texts in zip(*(table["rle"] for table in tables), strict=True):
        counts = np.zeros(size_hw, np.uint8)
        for text in texts:
            counts += _mask(text, size_hw)
        rles.append(encode((counts > len(tables) / 2).astype(np.uint8)))
    tables[0].assign(rle=rles).to_csv(output, index=False)
    return output


def score(prediction: Path, truth: Path, size_hw: tuple[int, int]) -> npt.NDArray[Any]:
    """Dice of each row of `truth`, joined by image and class."""
    return np.array([dice_of_bytes(true, pred) for true, pred in masks_of_both(truth, prediction, size_hw)])


def differences(a: Path, b: Path, size_hw: tuple[int, int]) -> npt.NDArray[Any]:
    """For each row of `a`: the number of pixels in its mask alone, and in that of `b` alone."""
    pairs = masks_of_both(a, b, size_hw)
    return np.array([[np.count_nonzero(of_a > of_b), np.count_nonzero(of_b > of_a)] for of_a, of_b in pairs])


def masks_of_both(a: Path, b: Path, size_hw: tuple[int, int]) -> Iterator[tuple[Bytes, Bytes]]:
    """Yield uint8[H, W] of each row of `a` and of the same image and class in `b`."""
    import pandas as pd

    both = pd.read_csv(a).merge(pd.read_csv(b), on=["image_name", "class"], how="left", suffixes=("_a", "_b"))
    for text_a, text_b in zip(both["rle_a"], both["rle_b"], strict=True):
        yield _mask(text_a, size_hw), _mask(text_b, size_hw)


def _mask(text: Any, size_hw: tuple[int, int]) -> Bytes:
    """The mask of a text. pandas reads an empty text as NaN."""
    return decode(text if isinstance(text, str) else "", size_hw)
