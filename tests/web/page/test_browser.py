"""The page in a real Chromium, as a person uses it: one server and one browser for all."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from web.app import build_app
from web.page.cutout.drawing import Cutout
from web.page.cutout.work import Settings, Work
from web.page.examples import FOLDER
from web.page.mount import mount_page
from web.server import EndingServer, open_port
from web.settings import Limits, Serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

RADIOGRAPH, LABEL = FOLDER / "hand-1.png", FOLDER / "hand-1.json"


@dataclass
class Running:
    """A server in a thread of the tests."""

    server: EndingServer
    thread: threading.Thread
    address: str

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def running(models: list[str]) -> Iterator[Running]:
    """A server with the page, for a network that cuts out and one that segments hands."""
    app = build_app(Serve(models=tuple(models), limits=Limits(file_mb=0.3, megapixels=1, files=3)))
    mount_page(app, app.state.engine)
    listener = open_port("127.0.0.1", 0)
    server = EndingServer(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"), app.state.ends)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    running = Running(server, thread, f"http://127.0.0.1:{listener.getsockname()[1]}")
    yield running
    running.end()


@pytest.fixture(scope="module")
def address(running: Running) -> str:
    return running.address


@pytest.fixture(scope="module")
def requested() -> list[str]:
    """What the browser has asked for, collected while the other tests run."""
    return []


@pytest.fixture(scope="module")
def page(browser: Browser, address: str, requested: list[str]) -> Iterator[Page]:
    """The English page, 1280 px wide; the tests share it, and each begins with a picture of its own."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US") as context:
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.goto(address)
        page.locator("#picture").wait_for()
        yield page


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).resize((480, 360)).save(tmp_path / "a photo.png")
    return tmp_path / "a photo.png"


def drop(page: Page, place: str, file: Path) -> None:
    """Choose a file in the place of the one that is there."""
    remove = page.locator(f"#{place} button[aria-label^='Remove'], #{place} button[aria-label='Clear']")
    if remove.count():
        remove.first.click()
    page.locator(f"#{place} input[type=file]").set_input_files(file)


def facts_of(page: Page, place: str) -> Locator:
    return page.locator(f"#{place}-facts p").first


def shown(page: Page, view: str) -> str:
    """Return the address of the picture that a view shows beside the photograph."""
    return str(page.locator(f"#shown-{view} img").last.get_attribute("src"))


def downloaded(page: Page, button: str) -> tuple[str, Path]:
    with page.expect_download() as started:
        page.click(f"#{button}")
    return started.value.suggested_filename, Path(started.value.path())


def go_to(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()


@pytest.fixture
def cutout(page: Page, photograph: Path) -> Page:
    """The page for cut-outs with a photograph whose transparent cut-out is shown."""
    go_to(page, "Cut-out")
    go_to(page, "Transparent")
    drop(page, "picture", photograph)
    facts_of(page, "cutout").wait_for()
    return page


def test_a_photograph_is_cut_out_and_downloaded(cutout: Page) -> None:
    page = cutout
    assert "480 × 360 px" in facts_of(page, "cutout").inner_text()
    name, file = downloaded(page, "get-transparent-png")
    assert name == "a_photo-transparent.png"
    with Image.open(file) as image:
        assert (image.mode, image.size) == ("RGBA", (480, 360))


def test_a_slider_answers_without_the_network(cutout: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page = cutout
    before = shown(page, "transparent")

    def refuse(*_: object) -> None:
        raise AssertionError("the network runs again")

    monkeypatch.setattr("web.engine.batcher.Batcher.submit", refuse)
    page.locator("#cutoff input[type=range]").click(position={"x": 60, "y": 4})
    changed = "before => [...document.querySelectorAll('#shown-transparent img')].at(-1).src !== before"
    page.wait_for_function(changed, arg=before)
    assert page.locator("#cutout-notice [role=alert]").count() == 0


def test_keys_and_a_typed_number_are_drawn_as_they_are_downloaded(
    cutout: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, drawn = cutout, Queue[int]()
    draw = Work._drawn

    def note(work: Work, cutout: Cutout, view: str, settings: Settings) -> Any:
        drawn.put(settings.controls.feather_px)
        return draw(work, cutout, view, settings)

    monkeypatch.setattr(Work, "_drawn", note)
    slider, field = (page.locator(f"#feather input[type={kind}]") for kind in ("range", "number"))
    slider.focus()
    slider.press("End")
    assert drawn.get(timeout=8) == 40
    field.fill("7")
    field.press("Enter")
    assert drawn.get(timeout=8) == 7
    field.press("ArrowUp")
    assert drawn.get(timeout=8) == 8
    field.fill("99")
    field.press("Enter")
    assert drawn.get(timeout=8) == 40
    field.fill("")
    field.press("Enter")
    assert drawn.get(timeout=8) == 0
    slider.click(position={"x": 60, "y": 4})
    assert drawn.get(timeout=8) > 0
    page.wait_for_timeout(300)
    assert drawn.empty()


def test_the_background_can_be_a_colour_a_picture_or_blurred(cutout: Page) -> None:
    page = cutout
    go_to(page, "Background")
    page.locator("#shown-ground img").last.wait_for()
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG")):
        name, file = downloaded(page, f"get-ground-{suffix}")
        assert name == f"a_photo-ground.{suffix}"
        with Image.open(file) as image:
            assert (image.format, image.mode) == (kind, "RGB")
            white = np.asarray(image)
    page.locator("#ground-kind").get_by_text("blur").click()
    page.locator("#ground-blur").wait_for()
    blurred = downloaded(page, "get-ground-png")[1]
    assert np.asarray(Image.open(blurred)).mean() < white.mean()
    page.locator("#ground-kind").get_by_text("picture").click()
    page.locator("#ground-picture").wait_for()
    given: list[object] = []
    page.on("download", lambda file: given.append(file))
    page.click("#get-ground-jpg")
    page.locator("#cutout-notice").get_by_text("Choose a picture for the background first.").wait_for()
    page.wait_for_timeout(300)
    assert given == []
    page.locator("#ground-picture input[type=file]").set_input_files(FOLDER / "pills-1.jpg")
    page.locator("#ground-picture img").wait_for()
    on_picture = downloaded(page, "get-ground-png")[1]
    assert np.abs(np.asarray(Image.open(on_picture)).astype(int) - np.asarray(Image.open(blurred))).mean() > 1


def test_a_file_that_is_no_image_gets_one_sentence(cutout: Page, photograph: Path, tmp_path: Path) -> None:
    page = cutout
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + b"no image" * 10)
    drop(page, "picture", tmp_path / "broken.jpg")
    notice = page.locator("#cutout-notice [role=alert]")
    notice.wait_for()
    assert notice.inner_text().startswith("broken.jpg: is no image that can be read.")
    assert "/tmp" not in notice.inner_text()
    assert page.locator("#cutout-facts p").count() == 0
    assert page.locator("#picture img").count() == 0
    assert "Error" not in page.locator("body").inner_text()
    drop(page, "picture", photograph)
    facts_of(page, "cutout").wait_for()
    assert notice.count() == 0


def test_too_many_pixels_and_bytes_get_one_sentence(cutout: Page, tmp_path: Path) -> None:
    page = cutout
    Image.new("L", (2000, 1000)).save(tmp_path / "wide.png")
    drop(page, "picture", tmp_path / "wide.png")
    notice = page.locator("#cutout-notice [role=alert]")
    notice.wait_for()
    assert notice.inner_text() == "wide.png has too many pixels, expected at most 1 megapixels. Make it smaller."
    (tmp_path / "heavy.jpg").write_bytes(b"x" * 400_000)
    drop(page, "picture", tmp_path / "heavy.jpg")
    page.get_by_text("heavy.jpg has 0.4 MB, expected at most 0.3. Make it smaller.").first.wait_for()
    notice.wait_for(state="detached")
    drop(page, "picture", tmp_path / "wide.png")
    notice.wait_for()
    assert "Error" not in page.locator("body").inner_text()


def test_several_photographs_become_a_zip(page: Page, photograph: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"broken")
    go_to(page, "Several pictures")
    files = [photograph, FOLDER / "pills-1.jpg", tmp_path / "broken.png"]
    page.locator("#several-files input[type=file]").set_input_files(files)
    page.wait_for_function("document.querySelectorAll('#several-files tr').length === 3")
    page.click("#several-start")
    facts_of(page, "several").wait_for()
    assert facts_of(page, "several").inner_text() == "2 of 3 pictures are in the zip."
    assert "broken.png: is no image" in page.locator("#several-facts [role=alert]").inner_text()
    _, file = downloaded(page, "file-zip")
    with zipfile.ZipFile(file) as packed:
        assert packed.namelist() == ["a photo-transparent.png".replace(" ", "_"), "pills-1-transparent.png"]


def test_hands_are_shown_with_outlines_and_compared_with_a_truth(page: Page, tmp_path: Path) -> None:
    go_to(page, "Hand bones")
    drop(page, "radiograph", RADIOGRAPH)
    facts_of(page, "regions").wait_for()
    assert "512 × 512 px" in facts_of(page, "regions").inner_text()
    paths = page.locator("#regions-shown path[data-class]:visible")
    paths.first.wait_for()
    assert paths.count() > 5
    page.locator("#regions-shown .viewer-classes summary").click()
    page.locator("#regions-shown .viewer-classes").get_by_role("button", name="none").click()
    assert paths.count() == 0
    page.locator("#true-label input[type=file]").set_input_files(LABEL)
    page.get_by_text("mean Dice").wait_for()
    assert page.locator("#regions-shown g[data-layer=truth] path").count() == 29
    for button, name in (("get-csv", "hand-1.csv"), ("get-label", "hand-1.json"), ("get-coco", "hand-1-coco.json")):
        given, file = downloaded(page, button)
        assert given == name
        content = file.read_text(encoding="utf-8")
        assert (
            content.startswith("image_name,class,rle\nhand-1.png,finger-1,")
            if name.endswith("csv")
            else json.loads(content)
        )
    (tmp_path / "no label.json").write_text("{}")
    page.locator("#true-label button[aria-label='Clear']").click()
    page.wait_for_function("!document.querySelector('#regions-facts').innerText.includes('Dice')")
    page.locator("#true-label input[type=file]").set_input_files(tmp_path / "no label.json")
    page.get_by_text("no label.json: no list 'annotations' at the top level").wait_for()


def test_an_example_is_shown_as_if_it_had_been_dropped(page: Page) -> None:
    go_to(page, "Cut-out")
    page.locator("#examples button.gallery-item").first.click()
    page.wait_for_function("document.querySelector('#cutout-facts')?.innerText.includes('712 × 791 px')")
    assert page.locator("#picture img").count() == 1


def test_too_many_at_once_get_one_sentence(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    go_to(page, "Cut-out")
    monkeypatch.setattr("web.engine.engine.Engine.turn", _refuse)
    page.locator("#examples button.gallery-item").last.click()
    page.get_by_text("Too many people use this server at the moment.").wait_for()
    assert "Error" not in page.locator("body").inner_text()


def _refuse(*_: Any) -> None:
    from web.faults import Refused

    raise Refused(503, "65 images are in work already.")


def test_the_page_speaks_korean_on_a_phone(browser: Browser, address: str, photograph: Path) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, locale="ko-KR", has_touch=True) as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("tab", name="배경 제거").wait_for()
        assert page.url == f"{address}/ko/"
        assert page.evaluate("document.documentElement.lang") == "ko"
        page.locator("#picture input[type=file]").set_input_files(photograph)
        facts_of(page, "cutout").wait_for()
        assert "물체" in facts_of(page, "cutout").inner_text()
        # Nothing is wider than the phone, and the result comes before the settings.
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        tops = [page.locator(place).bounding_box()["y"] for place in ("#picture", "#views", "#settings")]  # type: ignore[index]
        assert tops == sorted(tops)
        page.get_by_role("link", name="English").click()
        for tab in ("Cut-out", "Several pictures", "Hand bones"):
            page.get_by_role("tab", name=tab).wait_for()


def test_the_picture_goes_along_to_the_page_in_the_other_language(
    browser: Browser, address: str, photograph: Path
) -> None:
    with browser.new_context(locale="en-US") as context:
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(f"{address}/en/")
        page.locator("#picture").wait_for()
        drop(page, "picture", photograph)
        facts_of(page, "cutout").wait_for()
        page.click(".carpus-heading a[hreflang=ko]")
        page.wait_for_url("**/ko/")
        facts_of(page, "cutout").wait_for()
        assert re.match("480 × 360 px · 신경망", facts_of(page, "cutout").inner_text())
        page.reload()
        page.locator("#picture input[type=file]").wait_for(state="attached")
        page.wait_for_timeout(500)
        assert page.locator("#picture img").count() == 0, "the browser keeps nothing"


def test_files_of_the_server_are_not_given_away(address: str) -> None:
    passwd = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    for language in ("en", "ko"):
        base = f"{address}/{language}/gradio_api"
        assert requests.get(f"{base}/file=/etc/passwd", timeout=20).status_code == 404
        config = requests.get(f"{address}/{language}/config", timeout=20).json()
        event = {"data": [passwd], "fn_index": config["dependencies"][0]["id"], "session_hash": "a"}
        assert requests.post(f"{base}/queue/join", json=event, timeout=20).status_code == 400


def test_gradio_itself_refuses_a_path_that_was_not_uploaded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.page.gate.Gate._is_own", lambda *_: True)
    assert requests.get(f"{address}/en/gradio_api/file=/etc/passwd", timeout=20).status_code == 403


def test_no_request_leaves_for_another_server(page: Page, requested: list[str], address: str) -> None:
    assert len(requested) > 20
    assert [url for url in requested if not url.startswith((address, "data:", "blob:"))] == []
    assert page.evaluate("[...document.fonts].filter(font => font.status === 'error').length") == 0


def test_the_server_ends_although_pages_are_open(page: Page, running: Running) -> None:
    assert page.locator("#picture").count() == 1
    folder = running.server.config.app.state.page_files.folder  # type: ignore[union-attr]
    assert folder.is_dir()
    running.end()
    assert not running.thread.is_alive()
    assert not folder.exists()
    page.locator("#picture").wait_for(state="attached")
