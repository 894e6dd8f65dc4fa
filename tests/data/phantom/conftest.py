"""The mean hand, read once for all phantom tests (2 s), and a table of many hands' masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.hand_bone.classes import BONES
from data.hand_bone.wrist import FINGER_11, LUNATE, wrist_angle_deg
from data.phantom.anatomy import Anatomy
from data.phantom.dataset import PhantomSet, write_dataset
from data.phantom.pose import pose
from data.phantom.proportions import mean_hand
from data.phantom.radiograph import cast_shadows
from data.phantom.variation import draw_body, draw_hand

HANDS, SIZE_PX = 40, 256


@dataclass(frozen=True)
class Cast:
    """Masks of a hand as measured: areas [29] in 2048 px, shares of pixels, pairs of bones that overlap, lean."""

    left: bool
    bent: bool
    areas: NDArray[np.float64]
    bone_share: float
    overlap_share: float
    overlaps: NDArray[np.bool_]
    on_border: NDArray[np.bool_]
    wrist_deg: float


@pytest.fixture(scope="session")
def read_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Anatomy, Path]:
    """The mean hand, and the folder in which a program has read it."""
    folder = tmp_path_factory.mktemp("read")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return mean_hand(), folder


@pytest.fixture(scope="session")
def anatomy(read_in: tuple[Anatomy, Path]) -> Anatomy:
    return read_in[0]


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 patients to train on and 7 to test on, at 128 px."""
    out = tmp_path_factory.mktemp("phantom") / "set"
    hands = list(write_dataset(out, PhantomSet(train_patients=10, test_patients=7, size_px=128), jobs=1))
    assert len(hands) == 34
    return out


@pytest.fixture(scope="session")
def casts(anatomy: Anatomy) -> list[Cast]:
    """Hands of which 57 % are bent, as in the contest's test set that the area table describes."""
    return [_cast(anatomy, i, left=i % 2 == 1, bent=i < 0.57 * HANDS) for i in range(HANDS)]


def _cast(anatomy: Anatomy, seed: int, *, left: bool, bent: bool) -> Cast:
    rng = np.random.default_rng((1, seed))
    bones = pose(anatomy, draw_hand(rng, draw_body(rng), left=left, bent=bent))
    masks = np.zeros((len(BONES), SIZE_PX, SIZE_PX), dtype=bool)
    for mask, shadow in zip(masks, cast_shadows(bones, SIZE_PX), strict=True):
        (x, y), (height, width) = shadow.corner, shadow.mask_hw.shape
        mask[y : y + height, x : x + width] = shadow.mask_hw
    count = masks.sum(axis=0)
    flat = masks.reshape(len(BONES), -1).astype(np.float32)
    rim = masks.copy()
    rim[:, 1:-1, 1:-1] = False
    return Cast(
        left=left,
        bent=bent,
        areas=masks.sum(axis=(1, 2)) * (2048 / SIZE_PX) ** 2,
        bone_share=float((count > 0).mean()),
        overlap_share=float((count > 1).mean()),
        overlaps=flat @ flat.T > 0,
        on_border=np.asarray(rim.any(axis=(1, 2))),
        wrist_deg=wrist_angle_deg(_centroid(masks[LUNATE]), _centroid(masks[FINGER_11])),
    )


def _centroid(mask: NDArray[np.bool_]) -> tuple[float, float]:
    y, x = np.nonzero(mask)
    return float(x.mean()), float(y.mean())
