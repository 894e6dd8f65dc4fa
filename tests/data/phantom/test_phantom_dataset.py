"""A set of phantom hands: who is in it, how it lies on the disk, and that it is the same each time."""

from __future__ import annotations

import errno
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.check.survey import check_dataset
from data.films.reader import read_image
from data.hand_bone.task import hand_bone
from data.phantom import layout
from data.phantom.__main__ import main
from data.phantom.dataset import PhantomSet, PlannedHand, plan, write_dataset
from data.phantom.develop import _letters
from data.phantom.variation import Marker
from data.polygons.layout import find_samples
from utils.errors import UserError


def patients(hands: list[PlannedHand], split: str, *, bent: bool | None = None) -> set[str]:
    return {hand.patient for hand in hands if hand.split == split and bent in (None, hand.bent)}


@pytest.mark.parametrize(("train", "test"), [(10, 7), (40, 30), (400, 144), (5, 2)])
def test_bent_wrists_have_their_exact_share(train: int, test: int) -> None:
    hands = plan(PhantomSet(train, test))
    assert len(patients(hands, "train", bent=True)) == int(0.10 * train + 0.5)
    assert len(patients(hands, "test", bent=True)) == int(0.57 * test + 0.5)
    assert not patients(hands, "train", bent=True) & patients(hands, "train", bent=False)


def test_every_patient_has_a_right_and_a_left_hand() -> None:
    hands = plan(PhantomSet(6, 5))
    assert patients(hands, "train") == {f"ID{number:03d}" for number in range(1, 7)}
    assert patients(hands, "test") == {f"ID{number:03d}" for number in range(7, 12)}
    for patient in {hand.patient for hand in hands}:
        assert sorted(hand.left for hand in hands if hand.patient == patient) == [False, True]
    assert len({hand.name for hand in hands}) == len(hands)


def test_only_the_first_patients_names_tell_the_side() -> None:
    for hand in plan(PhantomSet(6, 5)):
        pattern = r"image\d{13}_[LR]" if hand.patient == "ID001" else r"image\d{13}"
        assert re.fullmatch(pattern, hand.name)


def test_the_layout_is_the_contests(phantom_set: Path) -> None:
    assert len(find_samples(phantom_set / "train", labelled=True)) == 20
    assert len(find_samples(phantom_set / "test", labelled=True)) == 14


def test_images_are_grey_png_in_three_equal_channels(phantom_set: Path) -> None:
    image = cv2.imread(str(next(phantom_set.glob("train/DCM/*/*.png"))), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.uint8
    assert (image == image[:, :, :1]).all()


def test_grey_levels_are_the_contests(phantom_set: Path) -> None:
    images = [read_image(path) / 255 for path in phantom_set.glob("*/DCM/*/*.png")]
    assert np.mean(images) == pytest.approx(0.122, abs=0.012)
    assert np.std(images) == pytest.approx(0.168, abs=0.015)


def test_same_seed_same_bytes_with_any_number_of_jobs(tmp_path: Path) -> None:
    wanted = PhantomSet(train_patients=1, test_patients=1, size_px=64, seed=5)
    for jobs in (1, 2):
        list(write_dataset(tmp_path / str(jobs), wanted, jobs=jobs))
    one, two = (
        {
            path.relative_to(tmp_path / jobs): path.read_bytes()
            for path in (tmp_path / jobs).rglob("*")
            if path.is_file()
        }
        for jobs in ("1", "2")
    )
    assert len(one) == 9
    assert one == two


def test_letters_are_drawn_on_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 draws no text on floats."""
    drawn, put = [], cv2.putText

    def note(canvas: np.ndarray, *more: Any) -> np.ndarray:
        drawn.append(canvas.dtype)
        return np.asarray(put(canvas, *more))

    monkeypatch.setattr(cv2, "putText", note)
    marker = Marker("R", at_right=True, place=(0.2, 0.3), height_mm=9, turn_deg=5, grey=0.7)
    letters = _letters(marker, 128)
    assert drawn == [np.uint8]
    assert letters.max() == pytest.approx(0.7)


def test_another_seed_other_hands(tmp_path: Path) -> None:
    for seed in (1, 2):
        list(write_dataset(tmp_path / str(seed), PhantomSet(1, 0, 64, seed), jobs=1))
    one, two = (sorted(path.read_bytes() for path in tmp_path.glob(f"{seed}/train/DCM/*/*")) for seed in (1, 2))
    assert one != two


def test_a_finished_set_is_left_alone_and_an_interrupted_one_is_finished(tmp_path: Path) -> None:
    wanted = PhantomSet(1, 0, 64)
    hands = write_dataset(tmp_path / "set", wanted, jobs=1)
    next(hands)
    hands.close()
    assert len(list(write_dataset(tmp_path / "set", wanted, jobs=1))) == 2
    assert list(write_dataset(tmp_path / "set", wanted, jobs=1)) == []


def test_another_set_is_never_overwritten(tmp_path: Path) -> None:
    list(write_dataset(tmp_path / "set", PhantomSet(1, 0, 64), jobs=1))
    with pytest.raises(UserError, match="holds other phantom hands"):
        list(write_dataset(tmp_path / "set", PhantomSet(2, 0, 64), jobs=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(UserError, match="empty or absent folder"):
        list(write_dataset(tmp_path / "mine", PhantomSet(1, 0, 64), jobs=1))


def test_a_place_that_cannot_take_a_set_is_one_sentence(tmp_path: Path) -> None:
    wanted, out = PhantomSet(1, 0, 64), tmp_path / "set"
    out.write_text("")
    with pytest.raises(UserError, match=r"set: is a file\. Name a folder with --out"):
        list(write_dataset(out, wanted, jobs=1))
    out.unlink()
    out.mkdir()
    (out / "phantom.json").write_text("{")
    with pytest.raises(UserError, match=r"phantom\.json: is not JSON .* choose another --out"):
        list(write_dataset(out, wanted, jobs=1))
    (out / "phantom.json").write_text("[]")
    with pytest.raises(UserError, match="holds other phantom hands"):
        list(write_dataset(out, wanted, jobs=1))


def test_a_disk_that_takes_no_more_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(UserError, match=r"phantom\.json: could not be written \(No space left on device\)"):
        list(write_dataset(tmp_path / "set", PhantomSet(1, 0, 64), jobs=1))
    image = np.zeros((64, 64), np.uint8)
    monkeypatch.setattr(layout, "label_of", lambda *_: {})
    with pytest.raises(UserError, match=r"h\.json: could not be written \(No space left on device\)"):
        layout.write_hand(tmp_path / "set" / "train", "ID001", "h", image, [], np.random.default_rng(0))


def test_the_command_writes_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--out", str(tmp_path / "set"), "--train-patients", "1", "--test-patients", "0", "--size", "64"]
    monkeypatch.setattr(sys, "argv", ["phantom", *arguments, "--jobs", "1"])
    assert main() == 0
    assert len(find_samples(tmp_path / "set" / "train", labelled=True)) == 2


def test_the_check_finds_nothing_in_small_hands_either(tmp_path: Path) -> None:
    """Bones are three pixels wide at 64 px, so rounding alone changes a width by a third."""
    list(write_dataset(tmp_path / "set", PhantomSet(train_patients=5, test_patients=1, size_px=64), jobs=1))
    assert not check_dataset(hand_bone, tmp_path / "set").faulty
