"""The viewer in a real browser: what is seen after a click, a key, a move of the pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.utils.viewer.scene import HOSTILE, KOREAN, page, scene
from utils.viewer.markup import markup

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

Open = Callable[..., "Page"]


@pytest.fixture
def open_scene(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the scene from a file; at the end check that no request left and no script failed."""
    contexts, requests, errors = [], [], []

    def opened(text: str | None = None, *, with_script: bool = True, width: int = 1280, touch: bool = False) -> Page:
        path = tmp_path / "page.html"
        path.write_text(text or page(scene()), encoding="utf-8")
        size: ViewportSize = {"width": width, "height": 900}
        context = browser.new_context(java_script_enabled=with_script, viewport=size, has_touch=touch)
        contexts.append(context)
        shown = context.new_page()
        shown.set_default_timeout(5000)
        shown.on("request", lambda request: requests.append(request.url))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(path.as_uri())
        return shown

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert errors == []


def seen(shown: Page, selector: str) -> int:
    """How many of these elements take part in the drawing."""
    return int(
        shown.evaluate(
            "selector => [...document.querySelectorAll(selector)].filter(one => one.getClientRects().length).length",
            selector,
        )
    )


def names(shown: Page) -> list[str]:
    """The figures that are seen, in their order."""
    titles: list[str] = shown.locator(".viewer-figure:not([hidden]) figcaption > b").all_inner_texts()
    return [title.removesuffix(".png") for title in titles]


def test_a_class_that_is_switched_off_has_no_outlines(open_scene: Open) -> None:
    shown = open_scene()
    shown.get_by_text("Classes: 2 / 2").click()
    shown.get_by_role("checkbox", name=KOREAN).uncheck()
    assert (seen(shown, 'path[data-class="0"]'), seen(shown, 'path[data-class="1"]')) == (6, 0)
    shown.get_by_role("button", name="none").click()
    assert seen(shown, "path") == 0
    shown.get_by_role("button", name="all").click()
    assert seen(shown, "path") == 12


def test_a_view_shows_one_layer_both_or_what_differs(open_scene: Open) -> None:
    shown = open_scene()
    layers = ("g[data-layer=truth] path", "g[data-layer=prediction] path")
    found = {}
    for view in ("truth", "prediction", "differences", "picture alone", "all outlines"):
        shown.get_by_role("radio", name=view).check(force=True)
        found[view] = [seen(shown, layer) for layer in (*layers, ".viewer-difference path:not(clipPath path)")]
    assert found == {
        "truth": [6, 0, 0],
        "prediction": [0, 6, 0],
        "differences": [6, 6, 12],
        "picture alone": [0, 0, 0],
        "all outlines": [6, 6, 0],
    }


def test_differences_are_where_only_one_layer_is(open_scene: Open) -> None:
    shown = open_scene()
    shown.get_by_role("radio", name="differences").check(force=True)
    stage = shown.locator(".viewer-stage").first
    side = float(stage.evaluate("one => one.clientWidth")) / 100

    def words_at(x: float, y: float) -> str:
        stage.hover(position={"x": x * side, "y": y * side})
        return shown.locator(".viewer-tip").first.inner_text().removeprefix(HOSTILE)

    # The prediction begins at 5, the truth at 15; both are 40 wide.
    assert words_at(8, 25) == " (added) · Dice 0.5000"
    assert words_at(50, 25) == " (missed) · Dice 0.5000"
    assert words_at(30, 30) == " (truth, prediction) · Dice 0.5000"


def test_the_name_under_the_pointer_is_shown_with_its_number(open_scene: Open) -> None:
    shown = open_scene()
    stage = shown.locator(".viewer-stage").first
    stage.hover(position={"x": 30, "y": 30})
    tip = shown.locator(".viewer-tip").first
    assert tip.inner_text() == f"{HOSTILE} (prediction) · Dice 0.5000"
    assert shown.locator("path.viewer-lit").count() == 2
    shown.mouse.move(2, 2)
    assert tip.is_hidden()
    assert shown.title() == "scene", "a name is not run"


def test_a_finger_shows_the_name_until_the_next_touch(open_scene: Open) -> None:
    shown = open_scene(width=390, touch=True)
    box = shown.locator(".viewer-stage").first.bounding_box()
    assert box is not None
    tip = shown.locator(".viewer-tip").first
    shown.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    assert tip.inner_text().startswith(HOSTILE)
    shown.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    assert tip.is_hidden()


def test_figures_are_sorted_and_left_out_by_numbers_names_and_classes(open_scene: Open) -> None:
    shown = open_scene()
    shown.get_by_text("Sort and filter").click()
    assert names(shown) == ["hand 1", "hand 2", "hand 3"]
    shown.get_by_label("Order").select_option("lowest first")
    assert names(shown) == ["hand 2", "hand 1", "hand 3"]
    shown.get_by_label("Of").select_option(KOREAN)
    assert names(shown) == ["hand 3", "hand 1", "hand 2"]
    shown.get_by_label("Order").select_option("highest first")
    assert names(shown) == ["hand 2", "hand 1", "hand 3"]
    shown.get_by_label("at most").fill("0.5")
    assert names(shown) == ["hand 1", "hand 3"]
    shown.get_by_label("Name contains").fill("3")
    assert names(shown) == ["hand 3"]
    assert shown.get_by_text("1 of 3 pictures").is_visible()
    shown.get_by_label("at least").fill("0.9")
    assert shown.get_by_text("No picture fits these limits.").is_visible()


def test_a_picture_is_zoomed_and_moved_by_buttons_keys_and_wheel(open_scene: Open) -> None:
    shown = open_scene()
    stage = shown.locator(".viewer-stage").first

    def scale() -> float:
        return float(stage.get_attribute("data-scale") or 1)

    stage.get_by_role("button", name="Zoom in").click()
    assert scale() == 1.5
    stage.focus()
    shown.keyboard.press("+")
    assert scale() == 2.25
    before = shown.locator(".viewer-plane").first.bounding_box()
    shown.keyboard.press("ArrowRight")
    after = shown.locator(".viewer-plane").first.bounding_box()
    assert before
    assert after
    assert after["x"] < before["x"]
    image, outlines = (stage.locator(f".viewer-plane > {kind}").bounding_box() for kind in ("img", "svg"))
    assert image == outlines, "outlines stay on their picture"
    shown.keyboard.press("0")
    assert scale() == 1
    stage.hover()
    shown.keyboard.down("Control")
    shown.mouse.wheel(0, -150)
    shown.keyboard.up("Control")
    shown.wait_for_function("document.querySelector('.viewer-stage').dataset.scale === '1.50'")


def test_an_enlarged_picture_comes_back_to_its_place(open_scene: Open) -> None:
    shown = open_scene()
    shown.get_by_role("button", name="Enlarge").nth(1).click()
    dialog = shown.locator("dialog")
    assert dialog.locator("figcaption > b").inner_text() == "hand 2.png"
    dialog.get_by_role("radio", name="truth").check(force=True)
    assert seen(shown, "dialog g[data-layer=prediction] path") == 0
    shown.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert names(shown) == ["hand 1", "hand 2", "hand 3"]
    assert shown.locator(".viewer > .viewer-bar").is_visible()


def test_everything_is_reached_by_the_keyboard(open_scene: Open) -> None:
    shown = open_scene()
    focused = []
    for _ in range(60):
        shown.keyboard.press("Tab")
        focused.append(
            shown.evaluate(
                "(one => one.type === 'radio' ? 'view' : one.classList.contains('viewer-stage') ? 'stage' : "
                "one.getAttribute('aria-label') || one.closest('label')?.innerText.trim() || one.innerText.trim())"
                "(document.activeElement)"
            )
        )
    reached = {text.split("\n")[0] for text in focused}
    assert {"view", "Fill", "Brightness", "Contrast", "Reset", "stage", "Zoom in", "Enlarge", "Numbers"} <= reached
    assert any(text.startswith("Classes") for text in reached)
    assert any(text.startswith("Sort and filter") for text in reached)


def test_without_script_pictures_outlines_and_numbers_are_there(open_scene: Open) -> None:
    shown = open_scene(with_script=False)
    assert shown.locator(".viewer-plane path").count() == 12
    assert shown.locator(".viewer-plane path").first.bounding_box()
    assert shown.locator(".viewer-bar").count() == 0, "no control without a function"
    shown.locator(".viewer-numbers summary").first.click()
    assert shown.get_by_role("cell", name="0.5000").first.is_visible()
    assert shown.locator("path title").first.text_content() == f"{HOSTILE}, prediction"


def test_a_phone_scrolls_down_only(open_scene: Open) -> None:
    shown = open_scene(width=390)
    shown.get_by_text("Sort and filter").click()
    shown.get_by_text("Classes: 2 / 2").click()
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390


def test_cut_outs_lie_on_the_photograph_up_to_a_line(open_scene: Open) -> None:
    shown = open_scene(page(scene(cutouts=True)))
    assert shown.locator(".viewer-board:visible").count() == 3
    shown.get_by_label("Before and after").fill("20")
    assert shown.locator(".viewer-board:visible").first.evaluate("one => getComputedStyle(one).clipPath") == (
        "inset(0px 0px 0px 20%)"
    )
    shown.get_by_role("radio", name="photograph").check(force=True)
    assert shown.locator(".viewer-board:visible").count() == 0


def test_cut_outs_are_beside_the_photograph_without_script(open_scene: Open) -> None:
    shown = open_scene(page(scene(cutouts=True)), with_script=False)
    assert shown.locator(".viewer-cutouts img").count() == 6


def test_a_viewer_that_is_added_later_works_too(open_scene: Open) -> None:
    shown = open_scene()
    shown.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", markup(scene(language="ko")))
    shown.wait_for_function("document.querySelectorAll('.viewer-bar').length === 2")
    assert shown.get_by_text("정렬과 필터").is_visible()


def test_brightness_and_contrast_change_the_picture_alone(open_scene: Open) -> None:
    shown = open_scene()
    shown.get_by_label("Brightness").fill("2")
    filters = shown.locator(".viewer-plane > img").first.evaluate("one => getComputedStyle(one).filter")
    assert filters == "brightness(2) contrast(1)"
    shown.get_by_role("button", name="Reset").click()
    assert "brightness(1)" in shown.locator(".viewer-plane > img").first.evaluate("one => getComputedStyle(one).filter")
