"""Check what torch does not: the zip archives that it saves tensors in."""

from __future__ import annotations

import zipfile
from pathlib import Path

FOLDER = 0x10
"""The bit of a member's attributes that says: this is a folder."""


def check_archive(path: Path) -> None:
    """Raise `zipfile.BadZipFile` for a wrong checksum, and for a tensor that the archive's directory calls a folder.

    torch saves checksums, but is built without reading them. Of a folder it reads nothing, so the tensor is what
    its memory was before.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("wrong checksum")
        if any(member.external_attr & FOLDER for member in archive.infolist()):
            raise zipfile.BadZipFile("a tensor is called a folder")
