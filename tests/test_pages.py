"""Links between the pages lead somewhere, and a Korean page has the parts of the English one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.root import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
KOREAN = [page for page in PAGES if page.name.endswith(".ko.md")]
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    headings = re.findall(r"^#+ (.*)", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def parts_of(page: Path) -> dict[str, object]:
    """What a translation must have as often as the original: headings, rows, points, pictures; lines of each block."""
    kinds = {"headings": r"^#+ ", "rows": r"^\|", "points": r"^ *- ", "pictures": r"^!\["}
    counts = {kind: len(re.findall(start, prose_of(page), re.MULTILINE)) for kind, start in kinds.items()}
    return {**counts, "blocks": [block.count("\n") for block in BLOCK.findall(page.read_text(encoding="utf-8"))]}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not heading or heading in anchors_of(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("korean", KOREAN, ids=name_of)
def test_a_korean_page_has_the_parts_of_the_english_one(korean: Path) -> None:
    english = korean.with_name(korean.name.replace(".ko.md", ".md"))
    assert parts_of(korean) == parts_of(english)
    for page, other in ((korean, english), (english, korean)):
        assert f"]({other.name})" in page.read_text(encoding="utf-8"), f"{name_of(page)} does not lead to the other"
