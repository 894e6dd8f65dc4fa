"""Pages fit a phone: charts are as wide as the page, and what is wider scrolls in a box of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data.tasks import TASKS
from trainer.drawing.charts import class_bars, curves
from trainer.drawing.html import render_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TASK = TASKS["hand_bone"]
BOXES = "all => all.map(one => [one.getBoundingClientRect().width, one.parentElement.clientWidth])"
SMALLEST_TEXT_PX = 5.5


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the charts of a report, and a table that is wider than a phone."""
    history = [{"epoch": str(k), "train_loss": "0.5", "valid_loss": "0.4", "dice": "0.9", "lr": "0.1"} for k in (1, 2)]
    scores = dict.fromkeys(TASK.classes, 0.9)
    keys = [f"transform.train[{place}].probability" for place in range(9)]
    values = {
        "name": "a search",
        "subtitle": "of keys",
        "tiles": [],
        "command": "",
        "metric": TASK.metric,
        "dots": curves(history, TASK.metric) + class_bars(scores, TASK.groups, TASK.metric.label),
        "importance": [],
        "keys": keys,
        "length": "epochs",
        "rows": [[1, "done", 0.9, 2, *keys]],
        "failures": [],
    }
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page("search.html.j2", values), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "in_a_row"), [(390, 1), (1280, 3)])
def test_charts_are_as_wide_as_the_page_and_can_be_read(
    browser: Browser, path: Path, width: int, in_a_row: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert all(own <= box for own, box in page.locator("svg").evaluate_all(BOXES))
        tops = page.locator(".panels > svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
        assert tops.count(tops[0]) == in_a_row
        texts = page.locator("svg text").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
        assert min(texts) > SMALLEST_TEXT_PX
        table = page.locator(".card:has(table)")
        assert table.evaluate("one => one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX") == "auto"
