"""What channels remember of a run, in its folder: `services.json`, one block each. A resumed run goes on from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.files import write_text

FILE = "services.json"


class MemoryFile:
    """The file of one run, written by one process at a time; its channels share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.lock = threading.Lock()
        self.blocks = _read(self.path)

    def of(self, channel: str) -> Memory:
        """The block of one channel."""
        return Memory(self, channel)

    def change(self, channel: str, values: Mapping[str, Any]) -> None:
        """Add values to a block, on disk before this returns. Raises `UserError` where the disk refuses."""
        with self.lock:
            self.blocks[channel] = {**self.blocks.get(channel, {}), **values}
            write_text(self.path, json.dumps(self.blocks, indent=2, ensure_ascii=False) + "\n")


class Memory:
    """What one channel remembers: JSON values by name."""

    def __init__(self, file: MemoryFile, channel: str) -> None:
        self.file, self.channel = file, channel

    def get(self, name: str, default: Any = None) -> Any:
        return self.file.blocks.get(self.channel, {}).get(name, default)

    def set(self, **values: Any) -> None:
        """Remember, on disk before this returns."""
        if any(self.get(name) != value for name, value in values.items()):
            self.file.change(self.channel, values)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """What is remembered; nothing where the file is missing or damaged: what follows is told anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: block for key, block in found.items() if isinstance(block, dict)} if isinstance(found, dict) else {}
