"""What the page keeps between two clicks of a person: bounded in bytes over all persons, the least recently used goes.

A browser knows a picture by a key that the server draws, and never by a name or a path.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, of `budget_bytes` together at most; the newest one stays whatever its size."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def keep(self, value: Value, size_bytes: int, instead_of: str | None = None) -> str:
        """Keep a value, and forget that of the key `instead_of`; returns the new key."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._forget(instead_of)
            self._values[key] = value, size_bytes
            self._bytes += size_bytes
            while self._bytes > self.budget_bytes and len(self._values) > 1:
                self._forget(next(iter(self._values)))
        return key

    def of(self, key: str | None) -> Value | None:
        """Return the value of a key; None if it is no longer kept."""
        with self._lock:
            if key is None or key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def forget(self, key: str | None) -> None:
        """Forget the value of a key, if it is kept."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: str | None) -> None:
        if key is not None and key in self._values:
            self._bytes -= self._values.pop(key)[1]
