from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.utils.viewer.scene import CLASSES, HOSTILE, KOREAN, scene
from utils.pictures import encode_cutout, encode_jpeg
from utils.viewer.figure import data_source
from utils.viewer.markup import markup, program, script, style
from utils.viewer.texts import TEXTS


class Names(HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def parsed(text: str) -> Names:
    names = Names()
    names.feed(text)
    return names


def test_names_are_text_and_nothing_else() -> None:
    made = parsed(markup(scene()))
    assert "script" not in made.tags
    assert not [name for name, _ in made.attributes if name.startswith("on")], "no handler is written into an element"
    assert HOSTILE not in markup(scene())
    assert KOREAN in markup(scene())


def test_numbers_and_outlines_are_there_without_the_script() -> None:
    text = markup(scene())
    assert '<td data-column="dice" data-value="0.25">0.2500</td>' in text
    assert '<td data-column="area" data-value="1600">1,600</td>' in text
    assert text.count("<path ") == 3 * 2 * len(CLASSES)
    assert text.count('d="M') == text.count("<path ")


def test_a_page_asks_for_nothing_outside_itself() -> None:
    page = style() + script() + markup(scene())
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert all(address.startswith(("data:", "#", "`", "$")) for address in addresses)
    assert set(re.findall(r"https?://[^\"'\s]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "</script" not in program()


def test_an_image_file_is_known_by_its_first_bytes() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert data_source(encode_jpeg(image)).startswith("data:image/jpeg;base64,")
    assert data_source(encode_cutout(image, image[..., 0], 4)).startswith("data:image/webp;base64,")
    with pytest.raises(ValueError, match="neither"):
        data_source(b"GIF89a")


def test_both_languages_have_all_words() -> None:
    assert TEXTS["en"].keys() == TEXTS["ko"].keys()
    assert "보기" in markup(scene(language="ko"))
