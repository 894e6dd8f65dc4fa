"""Labels go from each format to each other and back with the same pixels; what cannot is said, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools import mask as coco_mask

from data.convert.convert import FORMATS, WRITTEN, convert
from data.convert.model import Labelled, LabelSet, Region, mask_of
from data.convert.settings import Settings
from data.polygons.annotation import read_polygons
from tests.data.convert.labels import NAMES, ODD, SIZE_HW, hostile, masks_in, ring, same_masks, write_images
from utils.errors import UserError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_images(tmp_path / "DCM")
    return Settings(tmp_path / "DCM")


def written(labels: LabelSet, to: str, folder: Path, settings: Settings) -> Path:
    target = folder / f"{to}{FORMATS[to].suffix}"
    write = FORMATS[to].write
    assert write is not None
    write(labels, target, settings)
    return target


@pytest.mark.parametrize("of", WRITTEN)
@pytest.mark.parametrize("to", WRITTEN)
def test_masks_are_the_same_there_and_back(of: str, to: str, settings: Settings, tmp_path: Path) -> None:
    first = written(hostile(), of, tmp_path, settings)
    there, back = tmp_path / f"there{FORMATS[to].suffix}", tmp_path / f"back{FORMATS[of].suffix}"
    convert(first, of, there, to, settings)
    returned = convert(there, to, back, of, settings)
    assert same_masks(FORMATS[of].read(back, settings), hostile())
    told_apart = FORMATS[of].holds_objects and FORMATS[to].holds_objects
    objects = [len(image.regions) for image in sorted(hostile().images, key=lambda image: image.name)]
    found = [len(image.regions) for image in sorted(returned.images, key=lambda image: image.name)]
    assert (found == objects) == told_apart


def test_the_contest_reads_what_is_written_and_fills_the_same_pixels(settings: Settings, tmp_path: Path) -> None:
    """By the reader that training uses, so that a corrected label teaches what was drawn."""
    from data.masks.packed import fill_polygons, plane

    labels = hostile()
    folder = written(labels, "contest", tmp_path, settings)
    expected = masks_in(labels)
    for name in NAMES[:3]:
        polygons = read_polygons((folder / name).with_suffix(".json"), labels.classes, allow_missing=True)
        packed = fill_polygons(polygons, SIZE_HW, 3)
        for index, label in enumerate(labels.classes):
            truth = expected.get((name, label), np.zeros(SIZE_HW, np.bool_))
            assert np.array_equal(plane(packed, index), truth)


def test_other_programs_find_the_same_masks(settings: Settings, tmp_path: Path) -> None:
    """pycocotools decodes COCO's runs; CVAT's are rows of a box that begin with pixels outside, as its manual says."""
    labels = hostile()
    (image, region) = labels.images[2], labels.images[2].regions[0]
    truth = mask_of(region, SIZE_HW)
    whole = json.loads(written(labels, "coco", tmp_path, settings).read_text())
    number = next(entry["id"] for entry in whole["images"] if entry["file_name"] == image.name)
    (entry,) = [e for e in whole["annotations"] if e["image_id"] == number and isinstance(e["segmentation"], dict)]
    warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, of how pycocotools decodes
    assert np.array_equal(coco_mask.decode(entry["segmentation"]) != 0, truth)
    assert (entry["area"], entry["iscrowd"], entry["bbox"]) == (truth.sum(), 0, [5, 4, 45, 34])
    mask = ElementTree.parse(written(labels, "cvat", tmp_path, settings)).find(f"image[@name='{image.name}']/mask")
    assert mask is not None
    counts = [int(count) for count in str(mask.get("rle")).split(",")]
    pixels = [number % 2 for number, count in enumerate(counts) for _ in range(count)]
    left, top, width, height = (int(str(mask.get(key))) for key in ("left", "top", "width", "height"))
    assert np.array_equal(np.reshape(pixels, (height, width)), truth[top : top + height, left : left + width])


def test_a_manual_mask_of_cvat_is_read_as_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    shape = '<mask label="crack" rle="0, 1, 10, 1" left="1" top="0" width="4" height="3"/>'
    path.write_text(f'<annotations><image id="0" name="a.png" width="6" height="3">{shape}</image></annotations>')
    (image,) = FORMATS["cvat"].read(path, Settings()).images
    assert np.argwhere(mask_of(image.regions[0], (3, 6))).tolist() == [[0, 1], [2, 4]]


def test_masks_of_labelme_are_read(tmp_path: Path) -> None:
    import base64

    box = np.array([[0, 1, 1], [1, 0, 1]], np.uint8) * 255
    text = base64.b64encode(cv2.imencode(".png", box)[1].tobytes()).decode()
    shape = {"label": "a", "points": [[2.0, 1.0], [5.0, 3.0]], "shape_type": "mask", "mask": text, "flags": {"x": True}}
    whole = {"shapes": [shape], "imagePath": "a.png", "imageHeight": 5, "imageWidth": 6, "imageData": None}
    (tmp_path / "a.json").write_text(json.dumps(whole))
    labels = FORMATS["labelme"].read(tmp_path, Settings())
    (image,) = labels.images
    assert image.name == "a.png"
    assert np.argwhere(mask_of(image.regions[0], (5, 6))).tolist() == [[1, 3], [1, 4], [2, 2], [2, 4]]
    assert dict(+labels.lost) == {"'flags' of shapes": 1}


def test_what_a_label_of_the_contest_says_beside_is_counted(settings: Settings, tmp_path: Path) -> None:
    entry = {"label": "a", "points": [[1, 1], [5, 1], [5, 5]], "attributes": {"seen": True}}
    path = tmp_path / "outputs_json/ID001/a b.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"annotations": [entry], "attributes": {"pseudo_label_of": "s.csv"}}))
    labels = FORMATS["contest"].read(path, Settings())
    assert [image.name for image in labels.images] == ["ID001/a b.png"]
    assert dict(+labels.lost) == {"attributes of files": 1, "attributes of shapes": 1}


def test_labels_of_labelme_lie_where_labelme_looks_for_them(settings: Settings, tmp_path: Path) -> None:
    """Beside the images, or all in the folder of `labelme --output`, from which they lead to their images."""
    assert settings.images is not None
    apart, beside = tmp_path / "apart", settings.images
    for target in (apart, beside):
        FORMATS["labelme"].write(hostile(), target, settings)  # type: ignore[misc]
    assert sorted(path.name for path in apart.iterdir()) == ["a b.json", "c.1.json", "empty.json", "한글.json"]
    for path, image in ((apart / "a b.json", "../DCM/ID001/a b.png"), (beside / "ID001/a b.json", "a b.png")):
        assert json.loads(path.read_text())["imagePath"] == image
    assert same_masks(FORMATS["labelme"].read(apart, settings), hostile())
    with pytest.raises(UserError, match=r"its image is \.\./DCM/ID001/a b\.png, in another folder\. Name the folder"):
        FORMATS["labelme"].read(apart, Settings())


def test_what_a_format_cannot_hold_is_counted(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = written(hostile(), "coco", tmp_path, settings)
    caplog.set_level("WARNING")
    lost = convert(first, "coco", tmp_path / "labels", "contest", settings).lost
    assert dict(+lost) == {"objects that unite with others of their class": 3, "marks of crowds": 1}
    assert "labels: not taken over: objects that unite with others of their class (3)" in caplog.text
    classes = {"left": "#112233", ODD: "", "right": "", "absent": ""}
    lost = convert(first, "coco", tmp_path / "tool", "labelme", settings, classes).lost
    assert lost["names of classes that no image shows"] == lost["colours of classes"] == 1


def test_a_class_that_is_not_in_the_list_is_refused_and_nothing_is_written(settings: Settings, tmp_path: Path) -> None:
    first = written(hostile(), "coco", tmp_path, settings)
    with pytest.raises(UserError, match=r"coco\.json: 'right' is not a class\. Valid: left, 왼쪽"):
        convert(first, "coco", tmp_path / "out", "contest", settings, {"left": "", ODD: ""})
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(settings: Settings, tmp_path: Path) -> None:
    for to in WRITTEN:
        target = written(hostile(), to, tmp_path, settings)
        before = target.read_bytes() if target.is_file() else sorted(target.rglob("*"))
        with pytest.raises(UserError, match="exists already, and nothing is overwritten"):
            written(hostile(), to, tmp_path, settings)
        assert before == (target.read_bytes() if target.is_file() else sorted(target.rglob("*")))
    twins = LabelSet([Labelled("a/x.png", (4, 4)), Labelled("a/X.jpg", (4, 4))])
    with pytest.raises(UserError, match=r"a/x\.png and a/X\.jpg: would both be written to a/X\.json"):
        written(twins, "contest", tmp_path / "twins", Settings())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    far = Labelled("b.png", (4, 4), (Region("a", (ring((0, 0), (1, 0), (1, float("nan"))),)),))
    with pytest.raises(ValueError, match="NaN"):
        written(LabelSet([Labelled("a.png", (4, 4)), far], {"a": ""}), "labelme", tmp_path, Settings())
    assert list(tmp_path.iterdir()) == []


BOX = '<box label="a" xtl="1" ytl="1" xbr="3" ybr="3"/>'


def cvat(inner: str, head: str = "") -> str:
    return f'{head}<annotations><image id="0" name="a.png" width="8" height="8">{inner}</image></annotations>'


def labelme(**changed: Any) -> str:
    shape = {"label": "a", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"}
    whole = {"shapes": [shape], "imagePath": "a.png", "imageHeight": 8, "imageWidth": 8}
    return json.dumps({**whole, **changed})


def coco(segmentation: object) -> str:
    images = [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}]
    entry = {"id": 5, "image_id": 1, "category_id": 1, "segmentation": segmentation}
    return json.dumps({"images": images, "categories": [{"id": 1, "name": "a"}], "annotations": [entry]})


@pytest.mark.parametrize(
    ("of", "text", "said"),
    [
        ("cvat", cvat(BOX * 2), r"2 shapes that mark no region \(2 boxes\), the first in .*a\.png: shape 1 \('a'\)"),
        ("cvat", cvat("", '<!DOCTYPE x [<!ENTITY a "b">]>'), "declares a document type"),
        ("cvat", cvat('<polygon label="a" points="1,2;3,4"/>'), r"2 points, a polygon needs 3"),
        ("cvat", cvat('<polygon label="a" points="1,2;3;4,5"/>'), r"points are not \[x, y\] pairs|not 'x,y"),
        ("cvat", cvat('<polygon label="a" points="nan,2;3,4;5,6"/>'), "a point is infinite or farther"),
        ("cvat", cvat('<mask label="a" rle="1, 2" left="0" top="0" width="2" height="2"/>'), "sum to 2 x 2"),
        ("cvat", cvat('<mask label="a" rle="4" left="7" top="0" width="2" height="2"/>'), "leaves the image of 8 x 8"),
        ("cvat", '<annotations><track id="0"/></annotations>', "tracks of a video"),
        ("cvat", "<svg/>", "no file of CVAT"),
        ("cvat", "<annotations>", "is not XML"),
        ("labelme", labelme(shapes=[{"label": "a", "points": [[1, 1], [3, 3]], "shape_type": "rectangle"}]), "1 'rect"),
        ("labelme", labelme(imageHeight=None), "does not say how large its image is"),
        ("labelme", labelme(shapes=[{"points": []}]), "shape 1: has no 'label'"),
        ("labelme", "{}", "no list 'shapes'"),
        ("coco", coco([]), r"1 shape that mark no region \(1 boxes or points alone\)"),
        ("coco", coco([[1, 1, 2, 2, 3]]), r"annotation 5 \(a\.png\): points are not"),
        ("coco", coco({"size": [8, 8], "counts": [1, 2]}), "sum to 64"),
    ],
)
def test_what_is_no_region_or_malformed_is_refused_in_one_sentence(
    of: str, text: str, said: str, tmp_path: Path
) -> None:
    source = tmp_path / "a.json"
    source.write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        convert(source, of, tmp_path / "out", "contest", Settings())
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_boxes_are_left_out_if_asked_for_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.xml").write_text(cvat(BOX + '<polygon label="a" points="1,2;3,4;5,2"/><tag label="b"/>'))
    labels = convert(tmp_path / "a.xml", "cvat", tmp_path / "out", "contest", Settings(skip_others=True))
    assert [len(image.regions) for image in labels.images] == [1]
    assert dict(+labels.lost) == {"tags of images": 1}
    assert re.search(r"1 shape that mark no region \(1 boxes\).*: left out", caplog.text)


def test_images_that_are_turned_absent_or_of_another_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(cvat(""))
    image = PillowImage.new("L", (8, 8))
    exif = image.getexif()
    exif[0x0112] = 6
    images = tmp_path / "images"
    images.mkdir()
    with pytest.raises(UserError, match="no image in it"):
        convert(tmp_path / "a.xml", "cvat", tmp_path / "out", "coco", Settings(images))
    PillowImage.new("L", (9, 8)).save(images / "a.png")
    with pytest.raises(UserError, match=r"says 8 x 8 px, but a\.png has 9 x 8 px"):
        convert(tmp_path / "a.xml", "cvat", tmp_path / "out", "coco", Settings(images))
    image.save(images / "a.png", exif=exif)
    with pytest.raises(UserError, match="1 images have an orientation in EXIF"):
        convert(tmp_path / "a.xml", "cvat", tmp_path / "out", "coco", Settings(images))


def test_two_labels_of_one_image_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(labelme())
    with pytest.raises(UserError, match=r"a\.png: more than one label names the image"):
        FORMATS["labelme"].read(tmp_path, Settings())


def test_predictions_become_labels_with_their_pixels(settings: Settings, tmp_path: Path) -> None:
    from data.convert.model import runs_of
    from data.masks.rle import to_text

    labels = hostile()
    truth = masks_in(labels)
    rows = ["image_name,class,rle"]
    for name in NAMES:
        for label in labels.classes:
            runs = runs_of(truth.get((name, label), np.zeros(SIZE_HW, np.bool_)))
            rows.append(f"{name.rpartition('/')[2]},{label},{to_text(runs)}")
    (tmp_path / "submission.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for to in WRITTEN:
        target = tmp_path / f"from_csv{to}"
        convert(tmp_path / "submission.csv", "predictions", target, to, settings)
        assert same_masks(FORMATS[to].read(target, settings), labels)


def test_a_folder_that_cannot_be_read_is_refused_and_what_is_not_used_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    labels = written(hostile(), "contest", tmp_path, settings)
    (labels / "nothing").mkdir()
    assert len(convert(labels, "contest", tmp_path / "out.json", "coco", settings).images) == len(NAMES)
    assert f"{labels}: 1 entry not used: nothing (an empty folder)" in caplog.text
    scandir = os.scandir
    for closed in (labels, tmp_path / "DCM"):

        def refuse(folder: Path, closed: Path = closed / "ID002") -> Any:
            if Path(folder) == closed:
                raise PermissionError(13, "Permission denied", str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(UserError, match=f"{closed / 'ID002'}: the folder cannot be read .Permission denied."):
            convert(labels, "contest", tmp_path / "none.json", "coco", settings)
    assert not (tmp_path / "none.json").exists()


def test_labels_are_written_into_the_folder_in_which_one_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(hostile(), "coco", tmp_path, settings)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    convert(source, "coco", Path(), "contest", settings)
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["ID001", "ID002", "ID003", "ID004"]
    with pytest.raises(UserError, match=f"{tmp_path}/here/none: no such file or folder"):
        convert(Path("none"), "contest", tmp_path / "x.json", "coco", settings)
