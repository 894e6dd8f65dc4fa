"""The preset `wide`: films of any frame, developed in many ways, whose masks stay those of the bones."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.hand_bone.classes import BONES
from data.phantom.__main__ import main
from data.phantom.anatomy import Anatomy
from data.phantom.dataset import PhantomSet, plan, render, write_dataset
from data.phantom.radiograph import Shadow
from data.phantom.wide import objects
from data.phantom.wide.curves import CURVES
from data.phantom.wide.film import render_film
from data.phantom.wide.ranges import UNSEEN, WIDE, Ranges
from data.polygons.layout import find_samples
from utils.errors import UserError

PLAIN = replace(WIDE, curves=(("film", 1.0),), bordered=0.0, metal=0.0, plaster=0.0, nails=0.0, written_on=0.0)
Film = tuple[NDArray[np.uint8], list[Shadow]]


def film(anatomy: Anatomy, seed: int, ranges: Ranges = WIDE, *, inverted: float = 0.0, size_px: int = 96) -> Film:
    return render_film(
        anatomy, (seed,), ranges, left=seed % 2 == 1, bent=seed % 3 == 0, size_px=size_px, inverted=inverted
    )


def mask_of(image: NDArray[np.uint8], shadows: list[Shadow]) -> NDArray[np.bool_]:
    """Return the union of all bones."""
    union = np.zeros(image.shape, dtype=bool)
    for shadow in shadows:
        (x, y), (height, width) = shadow.corner, shadow.mask_hw.shape
        union[y : y + height, x : x + width] |= shadow.mask_hw > 0
    return union


@pytest.mark.parametrize("ranges", [WIDE, UNSEEN], ids=["wide", "unseen"])
def test_every_film_shows_all_bones_whatever_its_frame(anatomy: Anatomy, ranges: Ranges) -> None:
    films = [film(anatomy, seed, ranges) for seed in range(16)]
    assert all(image.dtype == np.uint8 and max(image.shape) == 96 for image, _ in films)
    assert len({image.shape for image, _ in films}) > 5
    assert all(len(shadows) == len(BONES) for _, shadows in films)
    assert all(shadow.mask_hw.any() for _, shadows in films for shadow in shadows)
    for image, shadows in films:
        assert mask_of(image, shadows).any(axis=0).any()


def test_bones_are_bright_and_in_an_inverted_film_dark(anatomy: Anatomy) -> None:
    for inverted in (0.0, 1.0):
        image, shadows = film(anatomy, 4, PLAIN, inverted=inverted)
        bone = mask_of(image, shadows)
        brighter = float(image[bone].mean()) > float(image[~bone].mean())
        assert brighter == (inverted == 0.0)


def test_no_mask_lies_outside_the_beam(anatomy: Anatomy) -> None:
    """A forearm that the beam cuts off is cut off in its mask too: below it there is only the border."""
    bordered = replace(PLAIN, bordered=1.0, border=(0.2, 0.3), black=(0.3, 0.4), white=(0.95, 1.0))
    cut_off = 0
    for seed in range(8):
        image, shadows = film(anatomy, seed, bordered)
        lowest = np.flatnonzero(mask_of(image, shadows).any(axis=1)).max()
        cut_off += lowest < len(image) - 8
    assert cut_off >= 3


def test_the_same_seed_gives_the_same_film(anatomy: Anatomy) -> None:
    (one, _), (again, _), (other, _) = film(anatomy, 3), film(anatomy, 3), film(anatomy, 5)
    assert np.array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_shows_bone_brighter_than_air(name: str) -> None:
    signal = np.full((64, 64), 0.0, np.float32)
    signal[16:, :] = 0.4
    signal[40:, 20:44] = 1.2
    for seed in range(12):
        grey = CURVES[name](np.random.default_rng(seed), signal.copy(), np.ones_like(signal), 0.4)
        assert np.isfinite(grey).all()
        assert grey.min() >= 0
        assert grey.max() <= 1
        assert grey[50, 32] > grey[4, 32]


def test_the_unseen_preset_has_other_curves_and_harder_settings() -> None:
    assert not {name for name, _ in WIDE.curves} & {name for name, _ in UNSEEN.curves}
    assert {name for ranges in (WIDE, UNSEEN) for name, _ in ranges.curves} == set(CURVES)
    assert UNSEEN.border[1] > WIDE.border[1]
    assert UNSEEN.jpeg[0] < WIDE.jpeg[0]


@pytest.mark.parametrize(("nails", "metal", "plaster"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_what_a_hand_carries_weakens_the_beam(nails: int, metal: int, plaster: int) -> None:
    ends = {bone: np.array([[40.0, 60.0 + i], [44.0, 40.0 + i]]) for i, bone in enumerate(BONES)}
    ranges = replace(WIDE, nails=nails, metal=metal, plaster=plaster)
    for seed in range(6):
        empty = np.zeros((100, 80), np.float32)
        skin = np.zeros_like(empty)
        skin[20:, 15:65] = 20.0
        objects.add_objects(np.random.default_rng(seed), ranges, empty, skin, ends, 0.7)
        assert np.isfinite(empty).all()
        assert empty.min() >= -1e-6
        assert empty.max() > 0.005


def test_a_set_of_the_preset_lies_as_any_other(anatomy: Anatomy, tmp_path: Path) -> None:
    wanted = PhantomSet(2, 1, 64, preset="wide", inverted=0.5)
    assert len(list(write_dataset(tmp_path / "set", wanted, jobs=1))) == 6
    assert len(find_samples(tmp_path / "set" / "train", labelled=True)) == 4
    with pytest.raises(UserError, match="holds other phantom hands"):
        list(write_dataset(tmp_path / "set", replace(wanted, inverted=0.0), jobs=1))


def test_the_contests_preset_is_what_it_was_before_there_were_others() -> None:
    assert PhantomSet(3, 2).settings == {"train_patients": 3, "test_patients": 2, "size_px": 2048, "seed": 0}


def test_a_hand_of_the_wide_preset_is_not_the_contests(anatomy: Anatomy, tmp_path: Path) -> None:
    for preset in ("contest", "wide", "unseen"):
        wanted = PhantomSet(1, 0, 64, preset=preset)
        render(anatomy, plan(wanted)[0], tmp_path / preset, wanted)
    assert len({path.read_bytes() for path in tmp_path.rglob("*.png")}) == 3


def test_films_of_the_contest_are_never_inverted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", "x", "--train-patients", "1", "--test-patients", "0", "--inverted", "0.5"]
    monkeypatch.setattr(sys, "argv", ["phantom", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert "--inverted: the contest's films all have bright bones" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["phantom", *arguments[:-1], "2", "--preset", "wide"])
    with pytest.raises(SystemExit):
        main()
    assert "expected a number from 0 to 1, got '2'" in capsys.readouterr().err
