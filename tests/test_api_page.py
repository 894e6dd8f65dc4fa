"""docs/api.md is what the docstrings say today, and holds every public name."""

from __future__ import annotations

import carpus
from tests.api import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_public_name_is_on_it_with_its_parameters() -> None:
    text = page()
    missing = [name for name in carpus.__all__ if f" {name}\n" not in text and f" {name}(" not in text]
    assert missing == ["UserError", "rle"], "both are documented by another section of library.md"
    assert "cutout(image: Given) -> Cutout" in text
    assert "- `alpha: Bytes`: The mask times the alpha that the image has already, uint8[H, W]." in text
