"""Saved values about a run in MLflow, above all its id there.

A run saves them in its folder, with those of the other channels. Folds, which may be trained at the same time on
several machines, share the values of their parent run in `mlflow.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from services.channel import NotDelivered
from utils.files import write_text
from utils.lock import Busy, locked_within

FILE = "mlflow.json"
LOCK_S = 12.0


class Notes(Protocol):
    """JSON values by name; `services.delivery.run_memory.ChannelMemory` is one."""

    def get(self, name: str, default: Any = None) -> Any: ...

    def set(self, **values: Any) -> None: ...


class SharedNotes:
    """Values in a folder that several processes write, each within `locked`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def get(self, name: str, default: Any = None) -> Any:
        return self._read().get(name, default)

    def set(self, **values: Any) -> None:
        write_text(self.path, json.dumps({**self._read(), **values}, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock against the other folds. Raises `NotDelivered` if one of them holds it for long."""
        busy = f"{self.path}: another fold is making the parent run"
        try:
            with locked_within(self.path.with_name(f".{FILE}.lock"), LOCK_S, busy):
                yield
        except Busy as error:
            raise NotDelivered(busy, retry_after_s=2.0) from error

    def _read(self) -> dict[str, Any]:
        """The saved values; empty if the file is missing or damaged, and then the run is found by its tag."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
