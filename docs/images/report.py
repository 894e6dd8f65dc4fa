"""Draw the picture of README.md that shows a report: its worst images, with outlines and with differences.

python -m docs.images.report --run runs/demo

The report is opened in an installed Chromium, as a reader opens it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tests.browser import open_browser
from utils.arrays import Bytes
from utils.files import replacing
from utils.pictures import encode_jpeg
from utils.program import run_program

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH_PX, ROW = 1160, 3
"""Width of the page, and figures that are drawn of each view."""
VIEWS = ("all outlines", "differences")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.images.report", description="Draw a report's worst images.")
    parser.add_argument("--run", type=Path, required=True, help="a run's folder with report.html and a gallery")
    parser.add_argument("--output", type=Path, default=Path("docs/images/report.jpg"), help="the picture to write")
    arguments = parser.parse_args()
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, device_scale_factor=1.25)
        page.goto((arguments.run / "report.html").absolute().as_uri())
        rows = [row(page, view) for view in VIEWS]
    with replacing(arguments.output) as file:
        file.write(encode_jpeg(np.vstack(rows), quality=85))


def row(page: Page, view: str) -> Bytes:
    """Draw the first figures in one view, and the pointer on a bone of the middle one."""
    viewer = page.locator(".viewer").first
    viewer.locator(".viewer-choice", has_text=view).click()
    stages = viewer.locator(".viewer-stage")
    box = stages.nth(1).bounding_box()
    assert box is not None
    stages.nth(1).hover(position={"x": 0.62 * box["width"], "y": 0.62 * box["height"]})
    shots = [stages.nth(index).screenshot() for index in range(ROW)]
    pictures = [cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR) for shot in shots]
    height = min(len(picture) for picture in pictures if picture is not None)
    return np.hstack([np.asarray(picture[:height], np.uint8) for picture in pictures if picture is not None])


if __name__ == "__main__":
    run_program(main)
