"""Values of a configuration with the file and line they come from, before the schema checks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from utils.errors import UserError

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True)
class Location:
    """Where a value was written: a file and its line, or an argument of the command line."""

    source: str
    line: int | None = None
    key: str = ""
    """The dotted key that `source` already contains, so that a message does not repeat it."""

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value and its location: a scalar, a list of nodes, or nodes by key.

    The keys of a mapping are text; only overlays also have whole numbers, for `train[2]`.
    """

    value: Any
    location: Location

    @property
    def children(self) -> dict[Step, Node]:
        """The nodes below, by key or index; empty for a scalar."""
        if isinstance(self.value, dict):
            return dict(self.value)
        return dict(enumerate(self.value)) if isinstance(self.value, list) else {}

    def plain(self) -> Any:
        """Return the values without their locations."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value

    def location_of(self, path: Iterable[Step]) -> Location:
        """Return the location of the value at `path`; if there is none, that of the nearest block around it."""
        node = self
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node.location


@dataclass(frozen=True)
class Problem:
    """One thing to fix: where it is, which key, and what was expected."""

    location: Location
    path: Path
    message: str

    def __str__(self) -> str:
        key = dotted(self.path)
        return ": ".join(
            part for part in (str(self.location), "" if key == self.location.key else key, self.message) if part
        )


def node_of(value: Any, location: Location) -> Node:
    """Return plain values as nodes that all have the same location."""
    if isinstance(value, Mapping):
        return Node({str(key): node_of(item, location) for key, item in value.items()}, location)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Node([node_of(item, location) for item in value], location)
    return Node(value, location)


def dotted(path: Path) -> str:
    """Join a path: ("transform", "train", 2, "p") gives "transform.train[2].p"."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def refuse(problems: Sequence[Problem]) -> None:
    """Raise all problems in one `UserError`, a line each, sorted by file and line, the command line last."""
    if problems:
        sources = list(dict.fromkeys(problem.location.source for problem in problems))
        order = sorted(
            problems, key=lambda p: (p.location.line is None, sources.index(p.location.source), p.location.line or 0)
        )
        raise UserError("\n".join(dict.fromkeys(str(problem) for problem in order)))
