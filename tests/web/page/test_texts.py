"""The page speaks two languages: every text is there in both, with the same values."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from tests.root import ROOT
from web.page.texts import TEXTS, preferred, say_in


def fields(text: str) -> set[str | None]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("name", TEXTS)
def test_both_languages_say_it_with_the_same_values(name: str) -> None:
    english, korean = TEXTS[name]
    assert english
    assert korean
    assert fields(english) <= fields(korean)
    assert fields(korean) <= {*fields(english), "name"}


def test_every_text_is_used() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "web" / "page").rglob("*.py"))
    used = re.compile(r'"(\w+)"|f"(\w+_)\{')
    words = {
        word for pair in used.findall(sources.replace((ROOT / "web/page/texts.py").read_text(), "")) for word in pair
    }
    prefixes = tuple(word for word in words if word.endswith("_"))
    ends = ("_about",)
    unused = [name for name in TEXTS if name not in words and not name.startswith(prefixes) and not name.endswith(ends)]
    assert unused == []


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en-US,en;q=0.9,ko;q=0.1", "en"),
        ("en;q=0.3, ko;q=0.7", "ko"),
        ("de-DE,de", "en"),
        ("de,ko;q=0.2", "ko"),
        ("", "en"),
        ("ko;q=many", "en"),
    ],
)
def test_the_browser_chooses_the_language(accepted: str, expected: str) -> None:
    assert preferred(accepted) == expected


def test_values_stand_in_their_places() -> None:
    assert (
        say_in("en")("too_many_files", count=12, most=10)
        == "12 pictures were chosen, expected at most 10. Choose fewer."
    )
    assert say_in("ko")("too_many_files", count=12, most=10).startswith("12장")
