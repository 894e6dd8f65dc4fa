"""The pictures of a run's folder on its report: figures with outlines, and what an earlier version drew."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.hand_bone.task import hand_bone
from trainer.drawing.figures import write_figures
from trainer.records.folder import RunFolder, refuse_links
from trainer.report.pictures import class_map_of, shown_pictures
from utils.errors import UserError
from utils.viewer.figure import Figure


def test_figures_of_test_and_validation_are_shown(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for place, title in ((folder.gallery, "worst images"), (folder.pictures, "worst and best images")):
        write_figures(
            place / "figures.json", {title: [Figure("hand.png", "data:image/png;base64,", (10, 10))], "no": []}
        )
    shown = shown_pictures(folder, hand_bone)
    assert [group["title"] for group in shown] == ["Test: worst images", "Validation: worst and best images"]
    assert all('data-name="hand.png"' in group["viewer"] for group in shown)


def test_pictures_of_an_earlier_version_are_shown_without_outlines(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for path in (
        folder.pictures / "worst_01_a.jpg",
        folder.pictures / "best_01_b.jpg",
        folder.gallery / "class_01_c.jpg",
    ):
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8))
    (folder.pictures / "worst_02_d.jpg").write_bytes(b"\xff\xd8\xff broken")
    shown = {group["title"]: group["viewer"] for group in shown_pictures(folder, hand_bone)}
    assert list(shown) == [
        "Test: worst classes, enlarged",
        "Validation: worst and best images",
        "Validation: best images",
    ]
    assert shown["Validation: worst and best images"].count("<figure") == 2
    assert 'viewBox="0 0 40 30"' in shown["Validation: best images"]


def test_a_gallery_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "run" / "gallery").mkdir(parents=True)
    (tmp_path / "run" / "gallery" / "figures.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UserError, match=r"figures\.json: is a link to .*secret\.json"):
        refuse_links(tmp_path / "run")


def test_a_class_map_from_a_stranger_is_an_image_that_runs_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.pictures.mkdir()
    (folder.pictures / "classes.svg").write_text("<svg><script>alert(1)</script></svg>")
    assert class_map_of(folder).startswith("data:image/svg+xml;base64,")
    assert "<" not in class_map_of(folder)
