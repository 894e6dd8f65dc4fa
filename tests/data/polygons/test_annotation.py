from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.hand_bone.classes import BONES
from data.polygons.annotation import read_polygons, survey_polygons
from utils.errors import UserError

WriteLabel = Callable[..., Path]
TRIANGLE = [[0, 0], [5, 0], [0, 5]]


def entry(label: Any, points: Any) -> dict[str, Any]:
    return {"id": "x", "type": "poly_seg", "attributes": {}, "points": points, "label": label}


def test_classes_are_found_by_name_in_any_order(write_label: WriteLabel) -> None:
    polygons = read_polygons(write_label(), BONES)
    assert [index for index, _ in polygons] == list(range(28, -1, -1))
    index, ring = polygons[-1]
    assert (index, ring.dtype, ring.tolist()) == (0, np.dtype(np.int32), [[0, 0], [4, 0], [4, 4], [0, 4]])


def test_points_are_never_scaled_by_the_metadata(write_label: WriteLabel) -> None:
    right = read_polygons(write_label(metadata={"height": 64, "width": 64}), BONES)
    wrong = read_polygons(write_label(metadata={"height": 3060, "width": 3060}), BONES)
    for (_, one), (_, other) in zip(right, wrong, strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_entries_and_several_rings_of_a_class_are_all_kept(write_label: WriteLabel) -> None:
    entries = [entry("Ulna", TRIANGLE), entry("Radius", [TRIANGLE, TRIANGLE]), entry("Ulna", TRIANGLE)]
    polygons = read_polygons(write_label(annotations=entries), ["Radius", "Ulna"])
    assert [index for index, _ in polygons] == [1, 0, 0, 1]
    assert all(ring.tolist() == TRIANGLE for _, ring in polygons)


def test_fractions_of_a_pixel_are_rounded(write_label: WriteLabel) -> None:
    path = write_label(annotations=[entry("Ulna", [[0.4, 0.6], [5, 0], [0, 5]])])
    assert read_polygons(path, ["Ulna"])[0][1][0].tolist() == [0, 1]


def nested(points: Any, levels: int) -> Any:
    for _ in range(levels):
        points = [TRIANGLE, points]
    return points


@pytest.mark.parametrize(
    ("points", "fault"),
    [
        ([[0, 0], [5, 5]], "Ulna: 2 points, a polygon needs at least 3"),
        ([["0", "0"], ["5", "0"], ["0", "5"]], r"Ulna: points are not \[x, y\] pairs"),
        ([[0, 0], [5], [0, 5]], r"Ulna: points are not \[x, y\] pairs"),
        ([[0, 0, 1], [5, 0, 1], [0, 5, 1]], r"Ulna: points are not \[x, y\] pairs"),
        ([], r"Ulna: points are not \[x, y\] pairs"),
        (None, r"Ulna: points are not \[x, y\] pairs"),
        ({"x": 1}, r"Ulna: points are not \[x, y\] pairs"),
        ([[0, 0], [None, 0], [0, 5]], r"Ulna: points are not \[x, y\] pairs"),
        ([TRIANGLE, [[0, 0]]], "Ulna: 1 points"),
        ([TRIANGLE, 7], r"Ulna: points are not \[x, y\] pairs"),
        ([[0, 0], [float("nan"), 0], [0, 5]], "Ulna: a point is infinite"),
        ([[0, 0], [1e300, 0], [0, 5]], "Ulna: a point is infinite"),
        ([[0, 0], [10**30, 0], [0, 5]], "Ulna: points are not"),
        (nested([0, 0], 900), "Ulna: points are not"),
        ([TRIANGLE, nested(TRIANGLE, 20)], "Ulna: points are not"),
    ],
)
def test_points_that_make_no_polygon_are_refused_by_label(write_label: WriteLabel, points: Any, fault: str) -> None:
    with pytest.raises(UserError, match=rf"image1\.json: {fault}"):
        read_polygons(write_label(annotations=[entry("Ulna", points)]), ["Ulna"])


def test_an_unknown_class_names_the_nearest(write_label: WriteLabel) -> None:
    with pytest.raises(UserError, match=r"image1\.json: 'finger-20' is not a class\. Did you mean 'finger-"):
        read_polygons(write_label(annotations=[entry("finger-20", TRIANGLE)]), BONES)


def test_missing_classes_are_all_named_unless_allowed(write_label: WriteLabel) -> None:
    path = write_label(annotations=[entry("Ulna", TRIANGLE)])
    with pytest.raises(UserError, match="no annotation of Radius, Lunate"):
        read_polygons(path, ["Radius", "Ulna", "Lunate"])
    assert len(read_polygons(path, ["Radius", "Ulna"], allow_missing=True)) == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", r"not valid JSON \(its end is missing; Expecting"),
        ("{}more", r"not valid JSON \(Extra data: line 1 column 3"),
        ('{"a" 1}', r"not valid JSON \(Expecting"),
        (" ", r"not valid JSON \(the file is empty"),
        ("[" * 100_000, r"not valid JSON \(nested too deep"),
        (
            '{"annotations": [{"label": "Ulna", "points": [[' + "9" * 5000 + ", 1]]}]}",
            "not valid JSON .a number of thous",
        ),
        (json.dumps({"annotations": [entry("\ud800" + "x" * 1000, TRIANGLE)]}), r"'\\ud800x{50,60}…' is not a class"),
        ("[]", "no list 'annotations'"),
        ("{}", "no list 'annotations'"),
        ('{"annotations": 3}', "'annotations' is not a list"),
        ('{"annotations": [3]}', "an annotation without a 'label'"),
        ('{"annotations": [{"points": []}]}', "an annotation without a 'label'"),
        (json.dumps({"annotations": [entry(["Ulna"], TRIANGLE)]}), "an annotation without a 'label'"),
    ],
)
def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "image1.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"image1\.json: {fault}"):
        read_polygons(path, BONES)


def test_a_survey_tells_all_faults_of_a_label_and_keeps_what_can_be_read(write_label: WriteLabel) -> None:
    few, loose, unknown = entry("Ulna", TRIANGLE[:2]), entry("Lunate", 7), entry("ulna", TRIANGLE)
    polygons, faults = survey_polygons(
        write_label(annotations=[few, loose, unknown, entry("Radius", TRIANGLE)]),
        ["Radius", "Ulna", "Lunate", "Hamate"],
    )
    assert [index for index, _ in polygons] == [0]
    assert [(fault.kind, fault.label) for fault in faults] == [
        ("few_points", "Ulna"),
        ("bad_points", "Lunate"),
        ("unknown_class", "ulna"),
        ("missing_class", "Hamate"),
    ]


def test_an_absent_file_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.json: the label cannot be read"):
        read_polygons(tmp_path / "absent.json", BONES)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.json: not valid JSON"):
        read_polygons(tmp_path / "bytes.json", BONES)


def test_a_byte_order_mark_is_no_fault(write_label: WriteLabel) -> None:
    path = write_label()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_polygons(path, BONES)) == 29
