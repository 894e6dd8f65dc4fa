"""Temporary files of the page: in one folder that belongs to this server alone, bounded in bytes, removed at the end.

Gradio writes uploads there as well, and serves files from there only.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from pathlib import Path

import cv2

from utils.arrays import Image

QUALITY = 90
"""Of the JPEG previews."""


class PageFiles:
    """Writes files into `folder`. Beyond `budget_bytes` the oldest files are removed."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self.folder, self.budget_bytes = folder, budget_bytes
        self._kept: frozenset[Path] = frozenset()

    def write(self, name: str, content: bytes) -> str:
        """Write a file under a name that the server has made, in a folder of its own; returns its path."""
        self.make_room(len(content))
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        (folder / name).write_bytes(content)
        return str(folder / name)

    def jpeg(self, pixels: Image) -> str:
        """Write a preview, uint8[H, W, 3]; returns its path."""
        settings = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
        content = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)[1]
        return self.write("preview.jpg", content.tobytes())

    def example(self, path: Path) -> str:
        """Write a copy of an example, which can be served; returns its path."""
        return self.write(path.name, path.read_bytes())

    def keep_present(self) -> None:
        """Never remove the files that are there now: those of the page itself."""
        self._kept = frozenset(self.folder.rglob("*"))

    def make_room(self, size_bytes: int) -> None:
        """Remove the oldest files, so that so many bytes more are within the budget."""
        present = [path for path in self.folder.rglob("*") if path.is_file() and path not in self._kept]
        about = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in present)
        room = self.budget_bytes - size_bytes - sum(size for _, size, _ in about)
        for _, size, path in about:
            if room >= 0:
                break
            path.unlink(missing_ok=True)
            room += size


def safe_stem(name: str) -> str:
    """Return the stem of a file's name in letters, digits, hyphens and underscores, which never leave a folder."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:60] or "picture"


def free_of(taken: Collection[str], stem: str, suffix: str) -> str:
    """Return a file's name that is not taken: `stem.png`, `stem-2.png`, …"""
    names = (f"{stem}{number}{suffix}" for number in ["", *(f"-{count}" for count in range(2, len(taken) + 3))])
    return next(name for name in names if name not in taken)
