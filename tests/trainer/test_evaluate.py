from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import evaluate
from data.films.reader import image_size
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.masks.packed import unpack_planes
from data.submission.writer import SubmissionWriter
from tests.contest import SIDE_PX, write_sample
from trainer.drawing.figures import read_figures
from trainer.evaluate import Scores, score_files
from utils.errors import UserError

SIZE = (SIDE_PX, SIDE_PX)


def submit(path: Path, split: Path, *, shift: int = 0, images: int | None = None) -> Path:
    """A submission that is the truth, moved `shift` pixels to the right."""
    samples = hand_bone.layout.find_samples(split, labelled=True)[:images]
    with SubmissionWriter(path, samples, BONES, image_size) as writer:
        for sample in samples:
            writer.write_mask(sample.name, np.roll(hand_bone.read(sample)[1], shift, axis=1))
    return path


def scored(prediction: Path, truth: Path) -> Scores:
    return score_files(hand_bone, prediction, truth, size_hw=SIZE, json_file=None, gallery=None)


def test_the_truth_scores_one(root: Path, tmp_path: Path) -> None:
    assert scored(submit(tmp_path / "a.csv", root / "test"), root / "test").table.mean == 1.0


def test_the_score_is_the_dice_of_pixels(root: Path, tmp_path: Path) -> None:
    scores = scored(submit(tmp_path / "a.csv", root / "test", shift=3), root / "test")
    for sample in hand_bone.layout.find_samples(root / "test", labelled=True):
        true = unpack_planes(hand_bone.read(sample)[1], 29)
        moved = np.roll(true, 3, axis=2)
        expected = 2 * (true & moved).sum((1, 2)) / (true.sum((1, 2)) + moved.sum((1, 2)))
        np.testing.assert_allclose(scores.table.rows[sample.name], expected)


def test_a_folder_and_its_submission_are_the_same_truth(root: Path, tmp_path: Path) -> None:
    truth, moved = submit(tmp_path / "t.csv", root / "test"), submit(tmp_path / "m.csv", root / "test", shift=2)
    by_file, by_folder = (scored(moved, against).summary() for against in (truth, root / "test"))
    limits = [summary.pop("confidence") for summary in (by_file, by_folder)]
    groups = [summary.pop("groups") for summary in (by_file, by_folder)]
    assert by_file == by_folder
    # A file does not say which images are of one patient.
    assert [its["groups"] for its in limits] == [4, 2]
    assert [len(set(its.values())) for its in groups] == [0, 2]


def test_images_that_are_not_predicted_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of the 4 images .* image0008_1\.png"):
        scored(submit(tmp_path / "a.csv", root / "test", images=3), root / "test")


def test_bent_and_straight_wrists_are_distinguished(tmp_path: Path) -> None:
    lunate, finger11 = BONES.index("Lunate"), BONES.index("finger-11")
    for patient, dx in (("ID001", 0), ("ID002", 20)):
        rings = [[[2, 2], [6, 2], [6, 6], [2, 6]] for _ in BONES]
        rings[lunate] = [[28, 50], [34, 50], [34, 56], [28, 56]]
        rings[finger11] = [[28 + dx, 20], [34 + dx, 20], [34 + dx, 26], [28 + dx, 26]]
        write_sample(tmp_path / "test", patient, f"image_{dx}", rings)
    summary = scored(submit(tmp_path / "a.csv", tmp_path / "test"), tmp_path / "test").summary()
    assert summary["images_per_stratum"] == {"straight": 1, "bent": 1}
    assert summary["straight"] == summary["bent"] == 1.0


def test_numbers_and_pictures_are_written(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score_files(
        hand_bone,
        submit(tmp_path / "a.csv", root / "test", shift=2),
        root / "test",
        size_hw=SIZE,
        json_file=tmp_path / "score.json",
        gallery=tmp_path / "gallery",
    )
    numbers = json.loads((tmp_path / "score.json").read_text())
    assert {"mean_dice", "per_class", "images", "straight", "bent"} <= numbers.keys()
    assert numbers["images"].keys() == {"image0007_0.png", "image0007_1.png", "image0008_0.png", "image0008_1.png"}
    shown = capsys.readouterr().out
    assert "Pisiform" in shown
    assert f"mean Dice {numbers['mean_dice']:.4f} over 4 images" in shown
    groups = read_figures(tmp_path / "gallery" / "figures.json", hand_bone.classes)
    whole, enlarged = groups["worst images"], groups["worst classes, enlarged"]
    assert [figure.name for figure in whole] == sorted(numbers["images"], key=lambda name: numbers["images"][name])
    assert whole[0].numbers == {"dice": min(numbers["images"].values())}
    assert {shape.layer for shape in whole[0].shapes} == {"truth", "prediction"}
    assert whole[0].class_numbers["Lunate"]["true_px"] == pytest.approx(
        whole[0].class_numbers["Lunate"]["predicted_px"], rel=0.2
    )
    lowest = [figure.numbers["dice"] or 0.0 for figure in enlarged]
    assert lowest == sorted(lowest)
    page = (tmp_path / "gallery" / "index.html").read_text()
    assert page.count('<figure class="viewer-figure"') == len(whole) + len(enlarged)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_distances_are_measured_on_demand(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, file = submit(tmp_path / "m.csv", root / "test", shift=2), tmp_path / "score.json"
    command = ["evaluate.py", "--prediction", str(moved), "--truth", str(root / "test"), "--json", str(file)]
    found = []
    for ruler in [], ["--mm", "0.5", "--tolerance", "1"]:
        monkeypatch.setattr("sys.argv", [*command, "--distances", *ruler])
        evaluate.main()
        found.append(json.loads(file.read_text())["distances"])
        assert "Distances between outlines" in capsys.readouterr().out
    in_px, in_mm = found
    assert (in_px["unit"], in_mm["unit"]) == ("px", "mm")
    assert in_px["per_class"].keys() == set(BONES)
    assert in_px["hd95"]["mean"] >= 2
    assert in_mm["hd95"]["mean"] == pytest.approx(in_px["hd95"]["mean"] / 2)
    assert in_mm["nsd"] == in_px["nsd"]


def test_details_of_hard_masks_are_refused_before_anything_is_read() -> None:
    with pytest.raises(UserError, match="--details: the masks of task 'hand_bone' are hard"):
        score_files(hand_bone, Path("no.csv"), Path("no"), size_hw=None, json_file=None, gallery=None, details=True)


def test_options_of_distances_alone_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate.py", "--prediction", "a.csv", "--truth", "b.csv", "--mm", "0.1"])
    with pytest.raises(SystemExit) as refused:
        evaluate.main()
    assert refused.value.code == 2


def test_masks_of_a_smaller_frame_are_suspected(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = hand_bone.layout.find_samples(root / "test", labelled=True)
    with SubmissionWriter(tmp_path / "a.csv", samples, BONES, lambda _: (32, 32)) as writer:
        for sample in samples:
            writer.write_mask(sample.name, hand_bone.read(sample)[1][::2, ::2])
    scored(tmp_path / "a.csv", root / "test")
    assert "Were they written at another size than the image's own?" in caplog.text
    caplog.clear()
    scored(submit(tmp_path / "b.csv", root / "test"), root / "test")
    assert not caplog.text
