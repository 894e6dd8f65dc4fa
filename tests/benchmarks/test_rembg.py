"""The comparison with rembg: measures on cut-outs of known quality, and the sentences if rembg is not there."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.rembg.__main__ import by_shape, table_of
from benchmarks.rembg.environment import VERSION, make_environment, python_of
from benchmarks.rembg.measures import mean_of, quality_of
from benchmarks.rembg.pictures import NEW, REPORT, TUNING, scenes_of
from benchmarks.rembg.speed import Programs, draw_photos, in_turns
from benchmarks.scenes import draw_scene
from utils.errors import UserError


def test_the_truth_is_perfect_and_the_photograph_itself_is_not() -> None:
    scene = draw_scene("ring", "wood", 1, (96, 128))
    alpha = np.round(scene.alpha * 255).astype(np.uint8)
    perfect = quality_of(np.dstack([scene.colours, alpha]), scene, 1.0)
    assert perfect.soft_error < 0.003
    assert (perfect.boundary, perfect.colour_error, perfect.opaque, perfect.seconds) == (1.0, 0.0, 1.0, 1.0)
    mixed = quality_of(np.dstack([scene.picture, alpha]), scene, 3.0)
    assert mixed.colour_error > 5
    assert mixed.changed == 0
    dark = quality_of(np.dstack([scene.picture // 2, alpha // 2]), scene, 3.0)
    assert dark.opaque == 0
    assert dark.soft_error > 0.1
    assert mean_of([perfect, mixed]).seconds == 2.0


def test_no_ground_and_no_seed_is_both_chosen_by_and_reported() -> None:
    assert not set(TUNING[0]) & set(REPORT[0])
    assert not set(TUNING[1]) & set(REPORT[1])
    assert not set(TUNING[2]) & set(NEW)
    assert set(NEW) < set(REPORT[2])


def test_results_are_split_by_shape() -> None:
    scene = draw_scene("leaf", "stone", 1, (48, 64))
    measured = quality_of(np.dstack([scene.colours, np.round(scene.alpha * 255).astype(np.uint8)]), scene, 1.0)
    assert by_shape({"way": [measured]}, [scene]) == {"leaf": {"way": [measured]}}
    assert table_of({"way": [measured]}, "one").row_count == 1


def test_a_set_can_be_shortened() -> None:
    scenes = scenes_of("report", each=1)
    assert next(scenes).name == "hair on stone"
    assert next(scenes).name == "fur on tiles"


@pytest.mark.parametrize("there", [False, True])
def test_without_rembg_one_sentence_names_the_way_out(there: bool, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    if there:  # a Python that answers nothing
        (environment / "bin").mkdir(parents=True)
        true = shutil.which("true")
        assert true is not None
        (environment / "bin" / "python").symlink_to(true)
    reason = "holds no rembg" if there else "cannot be started"
    with pytest.raises(UserError, match=rf"{reason}.*uv venv .*rembg\[cpu,cli\]=={VERSION}.*--environment"):
        python_of(environment)
    if there:
        with pytest.raises(UserError, match="holds no rembg"):
            make_environment(environment)


@pytest.mark.parametrize(("theirs", "raises"), [(200, False), (198, True)])
def test_times_of_different_alphas_are_not_compared(theirs: int, raises: bool, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos", 2)
    assert [path.name for path in sorted(photos.iterdir())] == ["0000.jpg", "0001.jpg"]

    class Written(Programs):
        def theirs(self, images: Path, measure: str = "all") -> float:
            return self.write("theirs", images, theirs)

        def ours(self, images: Path, measure: str = "all", *overrides: str) -> float:
            assert overrides == ("predict.refine=u2net",)
            return self.write("ours", images, 200)

        def write(self, whose: str, images: Path, alpha: int) -> float:
            (self.folder / whose).mkdir()
            for photo in images.iterdir():
                cv2.imwrite(str(self.folder / whose / f"{photo.stem}.png"), np.full((4, 4, 4), alpha, np.uint8))
            return 0.0

    programs = Written(Path("python"), Path("u2netp.onnx"), tmp_path)
    with pytest.raises(UserError, match=r"its alphas differ by 0\.008") if raises else nullcontext():
        programs.refuse_different(photos)


def test_both_are_timed_in_turns() -> None:
    calls: list[str] = []

    def timed(name: str, seconds: float) -> float:
        calls.append(name)
        return seconds * len(calls)

    speed = in_turns("work", lambda: timed("theirs", 2.0), lambda: timed("ours", 1.0))
    assert (speed.theirs_s, speed.ours_s) == (6.0, 4.0)
    assert calls == ["theirs", "ours"] * 3
