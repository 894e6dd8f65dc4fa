"""Images that cannot be read are left out and named, if the task's predictions are of use without them."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs.blocks.prediction import Predict
from data.cutout.photos.reader import Photograph, read_photo
from data.cutout.photos.store import PhotoStore
from data.hand_bone.task import hand_bone
from data.sample import Sample
from data.tasks import TASKS
from runtime.checked import check_images, name_left_out
from runtime.settings import with_pictures
from runtime.writing import write_masks
from utils.arrays import StoredMask
from utils.errors import UserError
from utils.parallel import map_ahead

foreground = TASKS["foreground"]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Six photographs: of the third only the head can be read, and the last is none."""
    for name in "abcdef":
        pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:2000])
    (tmp_path / "f.png").write_text("no image")
    return [Sample(name, name, tmp_path / f"{name}.png") for name in "abcdef"]


def predicted(samples: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
    """Predict as a network does: the next images are read meanwhile."""

    def predict(sample: Sample) -> tuple[Sample, StoredMask]:
        return sample, np.full((*foreground.read_image(sample.image).shape[:2], 1), 200, np.uint8)

    return map_ahead(predict, samples, ahead=3)


def write(samples: list[Sample], out: Path) -> list[UserError]:
    return write_masks(foreground, predicted, samples, out, origin="origin", at_once=1)


def test_the_others_are_written_and_the_broken_are_named(samples: list[Sample], tmp_path: Path) -> None:
    checked, out = check_images(foreground, samples), tmp_path / "out"
    assert [sample.name for sample in checked.samples] == list("abcde")
    for _ in range(2):  # The same command again names them again.
        faults = [*checked.faults, *write(checked.samples, out)]
        assert sorted(path.name for path in out.glob("*.png")) == ["a.png", "b.png", "d.png", "e.png"]
        with pytest.raises(UserError, match=r"(?s)2 images have no .*; 4 others are done.*f\.png: .*c\.png: .*trunc"):
            name_left_out(out, faults, 4)
    # Once it is corrected it is written, and all that comes after it.
    samples[2].image.write_bytes(samples[0].image.read_bytes())
    assert write(checked.samples, out) == []
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_an_interrupted_call_continues_behind_a_broken_image(samples: list[Sample], tmp_path: Path) -> None:
    asked: list[str] = []

    def interrupted(rest: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        for sample, mask in predicted(rest):
            if sample.name == "e":
                raise KeyboardInterrupt
            yield sample, mask

    def noted(rest: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        for sample, mask in predicted(rest):
            asked.append(sample.name)
            yield sample, mask

    with pytest.raises(KeyboardInterrupt):
        write_masks(foreground, interrupted, samples[:5], tmp_path / "out", origin="o", at_once=1)
    faults = write_masks(foreground, noted, samples[:5], tmp_path / "out", origin="o", at_once=1)
    assert asked in (["e"], ["d", "e"])
    assert len(faults) == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png", "d.png", "e.png"]


def test_every_photograph_is_decoded_and_predicted_once(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    asked: list[str] = []

    def noted(path: Path) -> Photograph:
        decoded.append(path.stem)
        return read_photo(path)

    monkeypatch.setattr("data.cutout.photos.store.read_photo", noted)
    task = with_pictures(foreground, Predict())

    def masks(given: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        def predict(sample: Sample) -> tuple[Sample, StoredMask]:
            asked.append(sample.name)
            return sample, np.full((*task.read_image(sample.image).shape[:2], 1), 200, np.uint8)

        return map_ahead(predict, given, ahead=3)

    faults = write_masks(task, masks, samples, tmp_path / "out", origin="o", at_once=1)
    assert (sorted(decoded), sorted(asked)) == (list("abcdef"), list("abde"))
    assert [str(fault).partition(": ")[0][-5:] for fault in faults] == ["c.png", "f.png"]
    # Read without a writer, nothing is kept.
    task.read_image(samples[0].image)
    task.read_image(samples[0].image)
    assert len(decoded) == 8


def test_a_store_keeps_so_many_pixels_and_the_newest(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.cutout.photos.store.MOST_PX", 2 * 40 * 50)
    store = PhotoStore()
    store.open()
    first = [store.read(samples[place].image) for place in (0, 1, 3)]
    again = [store.read(samples[place].image) for place in (3, 1, 0)]
    assert [one is other for one, other in zip(first, again[::-1], strict=True)] == [False, True, True]
    assert store.take(samples[0].image).pixels is again[2]
    assert store.take(samples[0].image).pixels is not again[2]
    assert pickle.loads(pickle.dumps(store)).read(samples[0].image).shape == (40, 50, 3)


def test_large_images_are_predicted_alone(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.image.LARGE_PX", 40 * 50)
    Image.new("RGB", (51, 40)).save(samples[1].image)
    groups: list[list[str]] = []

    def masks(given: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        groups.append([])
        for sample, mask in predicted(given):
            groups[-1].append(sample.name)
            yield sample, mask

    write_masks(foreground, masks, samples, tmp_path / "out", origin="o", at_once=1)
    assert groups == [["a"], ["b"], ["d", "e"]]


def test_what_cannot_be_written_is_no_broken_image(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").mkdir()
    with pytest.raises(UserError, match=r"b\.png: could not be written"):
        write(samples[:2], tmp_path / "out")


def test_where_all_are_needed_one_refuses_all(samples: list[Sample]) -> None:
    with pytest.raises(UserError, match="of 6 images cannot be used as they are"):
        check_images(hand_bone, samples)
    with pytest.raises(UserError, match=r"f\.png: is no image"):
        check_images(foreground, samples[5:])


def test_images_in_which_few_bones_are_found_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A picture of a foot, or of a hand of a kind that the network does not know, gives a few bones or none."""
    names = ["ID001/hand.png", "ID002/foot.png"]
    hands = [Sample(name, name, tmp_path / name) for name in names]
    for sample in hands:
        sample.image.parent.mkdir()
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(sample.image)

    def predict(samples: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        for sample in samples:
            mask = np.zeros((16, 16, 4), np.uint8)
            mask[4:8, 4:8] = [255, 255, 255, 31] if "hand" in sample.name else [7, 0, 0, 1]
            yield sample, mask

    write_masks(hand_bone, predict, hands, tmp_path / "out.csv", origin="origin", at_once=1)
    assert "fewer than half of the 29 classes are found in 1 image," in caplog.text
    assert "ID002/foot.png (4)" in caplog.text
    assert "ID001" not in caplog.text
