"""Photographs between prediction and writing: each is decoded once, and kept until its picture is written."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from data.cutout.photos.reader import Photograph, read_photo
from utils.arrays import Image

MOST_PX = 128_000_000
"""So many pixels are kept at the same time, or one photograph; three bytes each."""


class PhotoStore:
    """Reads photographs, and keeps those that will be written, if a writer is open. Several threads may use it.

    It keeps the newest; one that was dropped is decoded again.
    """

    def __init__(self) -> None:
        self._photos: OrderedDict[Path, Photograph] = OrderedDict()
        self._keeps = False
        self._lock = Lock()

    def open(self) -> None:
        """Begin to keep what is read."""
        self._keeps = True

    def close(self) -> None:
        """Keep nothing any longer."""
        self._keeps = False
        self._photos.clear()

    def read(self, path: Path) -> Image:
        """Return the pixels of a photograph uint8[H, W, 3], and keep it. Raises `UserError` as `read_photo` does."""
        with self._lock:
            kept = self._photos.get(path)
        return (kept or self._decoded(path)).pixels

    def take(self, path: Path) -> Photograph:
        """Return a photograph, and keep it no longer. Raises `UserError` as `read_photo` does."""
        with self._lock:
            kept = self._photos.pop(path, None)
        return kept or read_photo(path)

    def forget(self, path: Path) -> None:
        """Keep a photograph no longer."""
        with self._lock:
            self._photos.pop(path, None)

    def __getstate__(self) -> dict[str, bool]:
        """Return nothing that is kept: another process has its own."""
        return {}

    def __setstate__(self, _: dict[str, bool]) -> None:
        self.__init__()  # type: ignore[misc]

    def _decoded(self, path: Path) -> Photograph:
        photo = read_photo(path)
        if self._keeps:
            with self._lock:
                self._photos[path] = photo
                while len(self._photos) > 1 and sum(one.pixels.size for one in self._photos.values()) > 3 * MOST_PX:
                    self._photos.popitem(last=False)
        return photo
