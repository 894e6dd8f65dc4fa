"""`POST /segment`: polygons, areas and runs that all say the same, and the drawing of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

import carpus
from data.hand_bone.classes import BONES
from data.masks.packed import fill_polygons
from tests.dicoms import NAME, dicom_bytes
from tests.runtime.networks import small_for, write_described
from tests.web.conftest import client_of, encoded, hand, opened, photo


def test_polygons_areas_and_runs_are_those_of_the_library(client: TestClient, models: list[str]) -> None:
    found = client.post("/segment", files={"file": hand()}).json()
    expected = carpus.load(models[1]).predict(hand())
    assert (found["model"], found["task"], found["height"], found["width"]) == ("bones", "hand_bone", 64, 64)
    assert [each["name"] for each in found["classes"]] == list(BONES)
    assert {each["name"]: each["rle"] for each in found["classes"]} == expected.rle
    assert {each["name"]: each["area_px"] for each in found["classes"]} == expected.areas
    rings = [(index, np.array(ring)) for index, each in enumerate(found["classes"]) for ring in each["polygons"]]
    np.testing.assert_array_equal(fill_polygons(rings, (64, 64), len(BONES)), expected.packed)
    assert any(expected.areas.values())


def test_a_dicom_film_has_the_bones_of_its_png_and_a_broken_one_is_refused(client: TestClient) -> None:
    film = np.asarray(Image.open(io.BytesIO(hand())))
    found = client.post("/segment", files={"file": dicom_bytes(film)}, data={"model": "bones"}).json()
    assert found == client.post("/segment", files={"file": hand()}, data={"model": "bones"}).json()
    refused = client.post("/segment", files={"file": dicom_bytes(film)[:-999]}, data={"model": "bones"})
    assert refused.status_code == 422
    assert "its pixels cannot be decoded" in refused.text
    assert NAME not in refused.text


def test_an_image_unlike_those_trained_on_is_said_to_be(tmp_path: Path) -> None:
    usual = {"brightness": 7.0, "brightness_spread": 0.05, "skew": 0.5, "skew_spread": 0.02}
    path = write_described(tmp_path / "bones.onnx", small_for("hand_bone"), "hand_bone", images=usual)
    bright = np.random.default_rng(0).exponential(60, (64, 64)).clip(0, 255).astype(np.uint8)
    with client_of([str(path)]) as client:
        said = [
            client.post("/segment", files={"file": encoded(pixels, "PNG")}).json()["oddity"]
            for pixels in (bright, 255 - bright, bright // 16)
        ]
    assert said[0] == ""
    assert "it looks inverted" in said[1]
    assert "times darker" in said[2]


def test_a_threshold_changes_the_masks(client: TestClient) -> None:
    def area(threshold: str) -> int:
        found = client.post("/segment", files={"file": hand()}, data={"threshold": threshold}).json()
        return sum(each["area_px"] for each in found["classes"])

    assert area("0.99") < area("0.5") < area("0.01")


def test_the_drawing_is_that_of_the_library(client: TestClient, models: list[str]) -> None:
    drawn = client.post("/segment", files={"file": hand()}, data={"output": "overlay"})
    expected = carpus.load(models[1]).predict(hand()).overlay()
    np.testing.assert_array_equal(np.asarray(opened(drawn.content)), np.asarray(expected))


def test_a_network_for_cut_outs_has_masks_too_and_no_threshold(client: TestClient) -> None:
    found = client.post("/segment", files={"file": photo()}, data={"model": "cut"}).json()
    assert [each["name"] for each in found["classes"]] == ["foreground"]
    refused = client.post("/segment", files={"file": photo()}, data={"model": "cut", "threshold": "0.5"})
    assert (refused.status_code, "are soft" in refused.json()["error"]) == (422, True)


def test_an_image_of_another_kind_is_refused(client: TestClient) -> None:
    refused = client.post("/segment", files={"file": b"no image"})
    assert (refused.status_code, refused.json()["error"][:6]) == (422, "file: ")


def test_an_opacity_without_a_drawing_is_refused(client: TestClient) -> None:
    answer = client.post("/segment", files={"file": hand()}, data={"opacity": "0.2"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("opacity: is for output=overlay")
