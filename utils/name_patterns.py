"""Parts of a network by name: a pattern stands for parameters, or for whole modules with all that is in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from utils.config.suggestions import nearest
from utils.errors import UserError


def matches(name: str, pattern: str) -> bool:
    """Whether a parameter of this name is meant. Example: "stage1", "stage1.*" and "*.conv_s1.weight"."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def refuse_unmatched(patterns: Iterable[str], names: Collection[str], key: str) -> None:
    """Raise `UserError` for a pattern of `key` that stands for none of the parameters `names`."""
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            near = nearest(pattern, modules_of(names), 1)
            guess = f"Did you mean '{near[0]}'? " if near else ""
            first = ", ".join(sorted({name.split(".")[0] for name in names})[:30])
            raise UserError(f"{key}: '{pattern}' is the name of no part of the network. {guess}Its parts: {first}")


def modules_of(names: Iterable[str]) -> list[str]:
    """Return the names of all modules that hold the parameters `names`, and these names."""
    parts = [name.split(".") for name in names]
    return sorted({".".join(part[:length]) for part in parts for length in range(1, len(part) + 1)})
