"""Well-formed files with any value at any place are read or refused in a sentence.

A search among bytes (`tests/fuzz/`) makes few of them: most of its files are no XML or JSON any more.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data.convert.convert import FORMATS
from data.convert.model import mask_of
from data.convert.settings import Settings
from utils.errors import UserError

TEXTS = (
    *("", "0", "-1", "1e400", "NaN", "9" * 30, "9" * 5000, "a,b;c", "1,2;" * 9),
    *("..", "/x", "a\x85", "\u2028", "&#0;", "C:\\x"),
)
VALUES: tuple[Any, ...] = (None, True, -1, 1e400, 10**30, "", "..", [], {}, [[1]], "x" * 9)
CVAT = (
    '<annotations><image id="0" name="a.png" width="8" height="8">'
    '<polygon label="a" points="1,1;5,2;3,6" group_id="1"/><tag label="c"/>'
    '<mask label="b" rle="1, 4, 1" left="2" top="3" width="3" height="2"/></image></annotations>'
)
LABELME = {
    "shapes": [{"label": "a", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon", "group_id": 1}],
    **{"imagePath": "a.png", "imageHeight": 8, "imageWidth": 8},
}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
    "categories": [{"id": 1, "name": "a"}],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}],
}


def refusal_of(of: str, path: Path) -> str:
    """Read a file, and fill what is small; return why it is refused, empty if it is not."""
    try:
        for image in FORMATS[of].read(path, Settings()).images:
            if max(image.size_hw) < 100:
                assert all(mask_of(region, image.size_hw).shape == image.size_hw for region in image.regions)
    except UserError as error:
        return str(error)
    return ""


def check(refusals: list[str]) -> None:
    assert sum(not sentence for sentence in refusals) > 20
    assert sum(len(sentence.splitlines()) == 1 for sentence in refusals) > 50
    assert max(len(sentence.splitlines()) for sentence in refusals) == 1


def test_of_an_xml_file(tmp_path: Path) -> None:
    path, refusals = tmp_path / "a.xml", []
    for found in re.finditer('="([^"]*)"', CVAT):
        for text in TEXTS:
            path.write_text(CVAT[: found.start(1)] + text + CVAT[found.end(1) :], encoding="utf-8")
            refusals.append(refusal_of("cvat", path))
    check(refusals)


def test_of_a_json_file(tmp_path: Path) -> None:
    path, refusals = tmp_path / "a.json", []
    for of, whole in (("labelme", LABELME), ("coco", COCO)):
        for place in places_in(whole):
            for value in VALUES:
                path.write_text(json.dumps(changed(whole, place, value)))
                refusals.append(refusal_of(of, path))
    check(refusals)


def changed(whole: Any, place: tuple[Any, ...], value: object) -> Any:
    """A copy of a value of JSON with another one at a place."""
    copy = inner = json.loads(json.dumps(whole))
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return copy


def places_in(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys and indices that lead to each value inside a value of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, found in inner for place in ((*above, key), *places_in(found, (*above, key)))]
