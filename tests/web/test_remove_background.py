"""`POST /remove-background` and its batch: pictures as the library makes them, and one sentence for what is wrong."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import carpus
from data.refine import PRESETS, REFINEMENTS
from tests.web.conftest import client_of, encoded, opened, photo
from utils.config.component import params_of
from web.api.archive import free_name
from web.api.cutouts import Cut
from web.engine.look import Look as TypedLook

Look: Any = TypedLook


def post(client: TestClient, content: bytes = photo(), path: str = "/remove-background", **fields: Any) -> Any:
    return client.post(path, files={"file": ("a.png", content)}, data=fields)


def test_a_photograph_becomes_the_cut_out_of_the_library(client: TestClient, models: list[str]) -> None:
    answer = post(client, preset="soft")
    assert answer.headers["content-type"] == "image/png"
    assert 0 < float(answer.headers["x-processing-time"]) < 60
    expected = carpus.load(models[0], refine="soft").cutout(photo()).rgba
    np.testing.assert_array_equal(np.asarray(opened(answer.content)), expected)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_that_of_the_refinements(client: TestClient, preset: str) -> None:
    assert Look(preset=preset).specs([]) == list(PRESETS[preset])
    assert post(client, preset=preset).status_code == 200


def test_every_parameter_of_every_refinement_is_one_of_the_request() -> None:
    for name, builder in REFINEMENTS.items():
        for key, field in params_of(builder).model_fields.items():
            assert Look(**{f"{name}_{key}": field.default}).specs([]) == [{"name": name, key: field.default}]


def test_a_parameter_changes_its_refinement_and_a_switch_removes_it() -> None:
    nuggy = [spec["name"] for spec in PRESETS["nuggy"]]
    changed = Look(preset="nuggy", cutoff_level=0.4).specs([])
    assert [spec["name"] for spec in changed] == nuggy
    assert {"name": "cutoff", "level": 0.4} in changed
    assert [spec["name"] for spec in Look(preset="nuggy", islands=False).specs([])] == [
        name for name in nuggy if name != "islands"
    ]


def test_a_query_says_the_same_as_a_form(client: TestClient) -> None:
    by_form = post(client, preset="nuggy", cutoff_level="0.5")
    by_query = post(client, path="/remove-background?preset=nuggy&cutoff_level=0.5")
    assert by_form.content == by_query.content
    assert by_form.content != post(client, preset="nuggy").content


@pytest.mark.parametrize(
    ("fields", "mode", "file_format"),
    [
        ({"output": "rgba"}, "RGBA", "PNG"),
        ({"output": "mask"}, "L", "PNG"),
        ({"output": "colour", "background": "red", "format": "jpeg", "quality": "80"}, "RGB", "JPEG"),
        ({"output": "blur", "blur_strength": "0.1", "format": "webp"}, "RGB", "WEBP"),
        ({"output": "sheet"}, "RGB", "PNG"),
    ],
)
def test_every_kind_of_picture_is_made(client: TestClient, fields: dict[str, Any], mode: str, file_format: str) -> None:
    answer = post(client, **fields)
    picture = opened(answer.content)
    assert (answer.status_code, picture.mode, picture.format) == (200, mode, file_format)


def test_an_object_is_laid_on_a_picture_that_is_sent_too(client: TestClient) -> None:
    ground = encoded(np.full((8, 8, 3), (0, 200, 0), np.uint8), "PNG")
    files = {"file": ("a.png", photo()), "background_file": ("b.png", ground)}
    laid = client.post("/remove-background", files=files, data={"output": "picture"})
    on_colour = post(client, output="colour", background="#00c800")
    np.testing.assert_array_equal(np.asarray(opened(laid.content)), np.asarray(opened(on_colour.content)))


@pytest.mark.parametrize(
    ("status", "words", "fields"),
    [
        (422, "preset: expected plain, u2net, nuggy, soft or people, got 'sooft'", {"preset": "sooft"}),
        (422, "cutoff_level: expected a number from 0 to 0.9, got '3'", {"cutoff_level": "3"}),
        (422, "Did you mean 'cutoff_level'?", {"cutof_level": "0.3"}),
        (422, "islands: is switched off, but islands_area is given", {"islands": "false", "islands_area": "0.1"}),
        (422, "a JPEG holds no alpha", {"format": "jpeg"}),
        (422, "quality: a PNG has none", {"quality": "50"}),
        (422, "'greeen' is no colour", {"output": "colour", "background": "greeen"}),
        (422, "background_file need each other", {"output": "picture"}),
        (422, "'cuts' is not served here. Did you mean 'cut'?", {"model": "cuts"}),
        (422, "cuts nothing out. Send images to /segment", {"model": "bones"}),
        (422, "is no parameter", {"file": "/etc/passwd", "url": "http://127.0.0.1/"}),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    client: TestClient, status: int, words: str, fields: dict[str, Any]
) -> None:
    answer = post(client, **fields)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (422, b""),
        (415, b"no image at all"),
        (422, photo()[:200]),
        (422, photo(kind="JPEG")[:900]),
        (422, encoded(np.zeros((8, 8), np.float32), "TIFF")),
    ],
    ids=["empty", "text", "truncated PNG", "truncated JPEG", "32 bits"],
)
def test_a_bad_file_is_the_fault_of_its_sender(client: TestClient, status: int, content: bytes) -> None:
    answer = post(client, content)
    assert answer.status_code == status
    assert answer.json()["error"].startswith("file: ")
    assert "/proc" not in answer.text


def test_values_that_contradict_each_other_are_refused(client: TestClient) -> None:
    answer = post(client, path="/remove-background?preset=soft", preset="nuggy")
    assert answer.json() == {"error": "preset: is given twice, with different values. Leave one out."}


@pytest.mark.parametrize("fields", [{"background": "red"}, {"blur_strength": "0.1", "output": "mask"}])
def test_a_parameter_of_another_output_is_refused(client: TestClient, fields: dict[str, Any]) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{next(iter(fields))}: is for output=")


def test_a_file_field_in_which_a_browser_has_no_file_counts_as_not_sent(client: TestClient) -> None:
    content = post(client, preset="plain").content
    empty = b'--x\r\nContent-Disposition: form-data; name="background_file"; filename=""\r\n\r\n\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + photo() + b"\r\n--x--"
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/remove-background?preset=plain", content=empty + file, headers=form).content == content


def test_a_request_without_a_form_or_a_file_is_refused(client: TestClient) -> None:
    assert client.post("/remove-background", content=photo()).status_code == 415
    assert client.post("/remove-background", json={"file": "a"}).status_code == 415
    assert client.post("/remove-background", data={"preset": "soft"}).status_code == 415
    missing = client.post("/remove-background", files={"background_file": photo()})
    assert (missing.status_code, "no file in the field file" in missing.json()["error"]) == (400, True)
    other = client.post("/remove-background", files={"image": photo()})
    assert (other.status_code, other.json()["error"]) == (422, "'image' is no field for files. Send images as file.")
    broken = client.post(
        "/remove-background", content=b"--x\r\nnothing", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code == 400
    assert client.get("/remove-background").status_code == 405


def test_a_batch_makes_what_it_can_and_names_the_rest(client: TestClient) -> None:
    files = [("files", ("../a.jpg", photo(kind="JPEG"))), ("files", ("b.txt", b"x")), ("files", ("a.png", photo()))]
    archive = zipfile.ZipFile(io.BytesIO(client.post("/batch-remove-background", files=files).content))
    assert archive.namelist() == ["a.png", "a-2.png", "errors.json"]
    assert archive.read("a-2.png") == post(client).content
    assert b'"status": 415' in archive.read("errors.json")
    items = client.post("/batch-remove-background", files=files, data={"answer": "json"}).json()["items"]
    assert [(item["name"], item["status"]) for item in items] == [("../a.jpg", 200), ("b.txt", 415), ("a.png", 200)]
    assert base64.b64decode(items[2]["content"]) == archive.read("a-2.png")


def test_a_batch_is_refused_as_a_whole_for_what_is_wrong_with_all_of_it(client: TestClient) -> None:
    many = [("files", ("a.png", photo()))] * 12
    assert client.post("/batch-remove-background", files=many).status_code == 413
    assert client.post("/batch-remove-background", files=many[:2], data={"model": "bones"}).status_code == 422
    assert client.post("/batch-remove-background", files=many[:11]).status_code == 413


def test_names_in_a_zip_file_have_no_folders_and_differ() -> None:
    taken: set[str] = set()
    sent = ["../../etc/cron", "C:\\x\\photo.png", "Photo.jpg", "", ".png", "사진.jpg"]
    names = [free_name(each, "image/png", taken) for each in sent]
    assert names == ["cron.png", "photo.png", "Photo-2.png", "image.png", "png.png", "사진.png"]


def test_large_images_are_refused_by_their_heads_and_large_files_by_their_length(models: list[str]) -> None:
    with client_of(models[:1], limits={"file_mb": 0.02, "megapixels": 0.01}) as client:
        pixels = post(client, encoded(np.zeros((200, 300), np.uint8), "PNG"))
        assert (pixels.status_code, pixels.json()["error"]) == (
            413,
            "file: 300 x 200 px, expected at most 0.01 megapixels.",
        )
        assert post(client, b"x" * 30_000).status_code == 413
        whole = post(client, b"x" * 300_000)
        assert (whole.status_code, "too large" in whole.json()["error"]) == (413, True)


def test_the_page_of_the_api_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if f"{path}</code></h2>" not in page] == []
    assert [name for name in Cut.model_fields if f'name="{name}"' not in page] == []
    assert "://" not in page
    assert "<script" not in page


def test_the_parameters_of_openapi_are_those_that_are_read(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/remove-background"]["post"]
    form = described["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"file", "background_file", *Cut.model_fields} == set(form["properties"])
    assert {parameter["name"] for parameter in described["parameters"]} == set(Cut.model_fields)
