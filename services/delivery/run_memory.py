"""What the channels of a run remember, in `services.json` of its folder: one block each, which a resumed run reads."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from utils.files import write_text

FILE = "services.json"
RUN = "run"
"""The block with the id of the run and the folder in which it got it."""


class RunMemory:
    """The file of one run, shared by its channels and written by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE
        self.identity = _identity(folder)
        self.lock = threading.Lock()
        self.blocks = {key: block for key, block in values_in(self.path).items() if isinstance(block, dict)}

    @property
    def is_in_place(self) -> bool:
        """Whether the folder is still the same: a run that is replaced has its folder renamed."""
        return _identity(self.folder) == self.identity

    def block(self, channel: str) -> ChannelMemory:
        """The block of one channel."""
        return ChannelMemory(self, channel)

    def change(self, channel: str, values: Mapping[str, Any]) -> None:
        """Add values to a block and write the file. Raises `UserError` if it cannot be written."""
        with self.lock:
            self.blocks[channel] = {**self.blocks.get(channel, {}), **values}
            if self.identity is None or self.is_in_place:
                write_text(self.path, json.dumps(self.blocks, indent=2, ensure_ascii=False) + "\n")


class ChannelMemory:
    """The block of one channel: JSON values by name."""

    def __init__(self, file: RunMemory, channel: str) -> None:
        self.file, self.channel = file, channel

    def get(self, name: str, default: Any = None) -> Any:
        return value_of(self.file.blocks.get(self.channel, {}), name, default)

    def set(self, **values: Any) -> None:
        """Add values and write the file, if they differ from the saved ones. Raises as `RunMemory.change`."""
        if any(self.get(name) != value for name, value in values.items()):
            self.file.change(self.channel, values)


def value_of(values: Mapping[str, Any], name: str, default: Any) -> Any:
    """The value of this name; `default` if there is none of its type, as in a file that somebody has edited."""
    found = values.get(name, default)
    return found if default is None or isinstance(found, type(default)) else default


def original_of(folder: Path) -> Path | None:
    """The folder of the run of which this one is a copy, which keeps its messages; None if it is no copy.

    A folder that was moved is none, because the old one is gone.
    """
    block = RunMemory(folder).block(RUN)
    original = Path(block.get("folder", ""))
    with suppress(OSError, ValueError):
        if block.get("run_id") and original.is_absolute() and not original.samefile(folder):
            return original if RunMemory(original).block(RUN).get("run_id") == block.get("run_id") else None
    return None


def _identity(folder: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    return None


def values_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing or damaged, so that messages may be sent again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
