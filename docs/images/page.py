"""Take the pictures of the page in docs/serve.md, in both languages, from a server that runs.

python serve.py --model weights/u2netp.onnx --model runs/demo/demo.onnx
python -m docs.images.page --address http://127.0.0.1:8000
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser import open_browser
from utils.program import run_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH, QUALITY = 1200, 80
PAGES = (("cutout", 760, "#examples", "#cutout-facts p"), ("bones", 1000, "#regions-examples", "#regions-facts p"))
"""The name of a picture, its height, the examples of its page, and what is there when the answer is."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Take pictures of the page that a server shows.")
    parser.add_argument("--address", required=True, help="of the server, such as http://127.0.0.1:8000")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="the folder to write to")
    arguments = parser.parse_args()
    with open_browser() as browser:
        for language, suffix in (("en", ""), ("ko", ".ko")):
            take(browser, f"{arguments.address}/{language}/", arguments.out, suffix)


def take(browser: Browser, address: str, out: Path, suffix: str) -> None:
    """Write `page-cutout.jpg` and `page-bones.jpg` of a language: each page with its first example."""
    page = browser.new_page()
    page.goto(address)
    for number, (name, height, examples, facts) in enumerate(PAGES):
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.locator("#pages > .tab-wrapper [role=tab]").nth(2 * number).click()
        page.locator(f"{examples} button.gallery-item").first.click()
        page.locator(facts).wait_for()
        settle(page)
        page.screenshot(path=out / f"page-{name}{suffix}.jpg", quality=QUALITY, type="jpeg")
    page.close()


def settle(page: Page) -> None:
    """Wait until all images are there and nothing moves."""
    page.wait_for_function("[...document.images].every(image => image.complete)")
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    run_program(main)
