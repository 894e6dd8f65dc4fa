"""The pages of the site: links lead to files there, and the menu has every page. `make site` checks headings too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site.hooks import SHIM, stage
from tests.root import ROOT
from tests.test_pages import LINK, prose_of

MENU = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    stage(folder)
    return folder


def test_each_link_leads_to_a_page_of_its_language_or_a_file(pages: Path) -> None:
    links = [(page, link) for page in pages.rglob("*.md") for link in LINK.findall(prose_of(page))]
    inside = [(page, link.partition("#")[0]) for page, link in links if not re.match(r"[a-z]+:|#", link)]
    assert len(inside) > 100
    for page, link in inside:
        assert (page.parent / link).is_file(), f"{page}: {link}"
        assert not link.endswith(".ko.md"), "the site finds the page of a language by the name of the English one"


def test_the_menu_has_every_page(pages: Path) -> None:
    english = {str(path.relative_to(pages)) for path in pages.rglob("*.md") if not path.name.endswith(".ko.md")}
    assert english == MENU


def test_the_site_needs_no_network(pages: Path) -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f"polyfills: [files/{SHIM}]" in config
    assert (pages / "files" / SHIM).is_file()
    assert "font: false" in config
    assert not re.search(r"https?://", config)
