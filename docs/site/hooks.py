"""Put the pages of the repository together for the site, with links that work there: a hook of MkDocs.

On GitHub README.md lies above docs/ and each language links to its own files. On the site README.md is the first page,
and the language is a part of the address: `library.ko.md` is reached as `library.md` from a Korean page.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ABOVE = {"README.md": "index.md", "README.ko.md": "index.ko.md", "CONTRIBUTING.md": None, "CHANGELOG.md": None}
"""Pages that lie above docs/, and their names on the site; None: the same."""
LINK = re.compile(r"(?<!`)(\[[^\]]*\]\()([^)\s]+)(\))")
SWITCH = re.compile(r"^\[(?:한국어|English)\]\([^)\n]+\)(?: · |\n\n)", re.MULTILINE)
"""The link to the other language; the site has a menu of them."""
SHIM = "iframe-worker.js"
"""By this name the plugin `offline` recognises that a shim is there, and takes none from the network."""
BLOCK = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Let MkDocs read a folder that holds all pages."""
    config.docs_dir = tempfile.mkdtemp(prefix="carpus-site-")
    stage(Path(config.docs_dir))
    return config


def on_post_build(config: Any) -> None:
    """Delete that folder."""
    shutil.rmtree(config.docs_dir, ignore_errors=True)


def stage(folder: Path) -> None:
    """Write all pages, and the files that they link to, into a folder."""
    pages = {ROOT / name: folder / (new or name) for name, new in ABOVE.items()}
    pages |= {page: folder / page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    for page, place in list(pages.items()):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(staged(page, pages, folder), encoding="utf-8")
    (folder / "files").mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "site" / SHIM, folder / "files" / SHIM)


def staged(page: Path, pages: dict[Path, Path], folder: Path) -> str:
    """Return a page as it is on the site; examples in blocks of code are left as they are."""
    parts = BLOCK.split(SWITCH.sub("", page.read_text(encoding="utf-8")))
    parts[::2] = [LINK.sub(lambda found: relinked(found, page, pages, folder), part) for part in parts[::2]]
    return "".join(parts)


def relinked(found: re.Match[str], page: Path, pages: dict[Path, Path], folder: Path) -> str:
    """Return a link with the address that its target has on the site; a file that is no page is copied there."""
    before, link, after = found.groups()
    address, hash_mark, heading = link.partition("#")
    if not address or re.match(r"[a-z]+:", address):
        return found[0]
    target = (page.parent / address).resolve()
    if target not in pages:
        pages[target] = folder / "files" / target.relative_to(ROOT)
        pages[target].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(target, pages[target])
    # From a Korean page the name without .ko leads to the Korean page.
    name = str(pages[target].relative_to(folder)).replace(".ko.md", ".md")
    up = "../" * (len(pages[page].relative_to(folder).parts) - 1)
    return f"{before}{up}{name}{hash_mark}{heading}{after}"
