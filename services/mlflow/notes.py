"""What is remembered of a run in MLflow: its id there above all. A run keeps it with its other channels' in its folder;
folds trained side by side, perhaps on several machines, share that of their parent run in `mlflow.json`."""

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
    """JSON values by name; `services.delivery.run_memory.Memory` is one."""

    def get(self, name: str, default: Any = None) -> Any: ...

    def set(self, **values: Any) -> None: ...


class SharedNotes:
    """Notes in a folder that several processes write, each within `alone`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def get(self, name: str, default: Any = None) -> Any:
        return self._read().get(name, default)

    def set(self, **values: Any) -> None:
        write_text(self.path, json.dumps({**self._read(), **values}, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other folds waiting. Raises `NotDelivered` where one of them takes long."""
        busy = f"{self.path}: another fold is making the parent run"
        try:
            with locked_within(self.path.with_name(f".{FILE}.lock"), LOCK_S, busy):
                yield
        except Busy as error:
            raise NotDelivered(busy, retry_after_s=2.0) from error

    def _read(self) -> dict[str, Any]:
        """What is noted; nothing where the file is missing or damaged: the run is then found by its tag."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
