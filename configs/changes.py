"""Which keys of a config may change when a run is resumed, and configs as dotted keys, for comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAY_CHANGE = (
    *("run", "services", "trackers", "launcher", "checkpoint"),
    *("data.root", "data.made_by", "data.workers", "data.prefetch"),
    *("data.licence", "data.attribution"),
    *("trainer.epochs", "trainer.steps", "trainer.evaluate_batch_size", "trainer.compile", "trainer.distances"),
    *("trainer.precision", "model.checkpoint_gradients"),
)
"""Keys, and blocks of keys, that may change on resume: where things are, how fast they go, how long the run is."""


def may_change(key: str) -> bool:
    """Return whether this dotted key may change when a run is resumed."""
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE)


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys with their values; a list is one value. {"a": {"b": 1}} gives ("a.b", 1)."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
