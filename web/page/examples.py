"""Example pictures of the page, all rendered; how, says `assets/examples/README.md`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "assets" / "examples"
PHOTOGRAPHS = tuple(FOLDER / name for name in ("pills-1.jpg", "pills-2.jpg", "pills-3.jpg"))
RADIOGRAPHS = tuple(FOLDER / name for name in ("hand-1.png", "hand-2.png"))
