"""Images that cannot be read are left out and named, if the task's predictions are of use without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.hand_bone.task import hand_bone
from data.sample import Sample
from data.tasks import TASKS
from runtime.checked import check_images, name_left_out
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


def predicted(samples: Sequence[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
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

    def interrupted(rest: Sequence[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        for sample, mask in predicted(rest):
            if sample.name == "e":
                raise KeyboardInterrupt
            yield sample, mask

    def noted(rest: Sequence[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        asked.extend(sample.name for sample in rest)
        return predicted(rest)

    with pytest.raises(KeyboardInterrupt):
        write_masks(foreground, interrupted, samples[:5], tmp_path / "out", origin="o", at_once=1)
    faults = write_masks(foreground, noted, samples[:5], tmp_path / "out", origin="o", at_once=1)
    assert asked in (["e"], ["d", "e"])
    assert len(faults) == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png", "d.png", "e.png"]


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
