"""Which keys of a config a resumed run may be given anew, and configs as flat keys for comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAY_CHANGE = (
    *("run", "services", "launcher", "checkpoint", "data.root", "data.workers", "data.prefetch"),
    *("trainer.epochs", "trainer.evaluate_batch_size", "trainer.compile", "model.checkpoint_gradients"),
)
"""Keys that a resume may set anew: where things are, how fast they go, and how long the run is."""


def free(key: str) -> bool:
    """Whether a resume may set this dotted key anew."""
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; lists count as values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
