"""What a configuration says, with the place where it says it: the values between YAML and the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from utils.errors import UserError

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written: a file and its line, or an argument of the command line."""

    source: str
    line: int | None = None
    key: str = ""
    """The dotted key that `source` already names, which a message need not repeat."""

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value and its place: a scalar, a list of nodes, or nodes by key.

    The keys of a mapping are text; whole numbers stand only in overlays, for `train[2]`.
    """

    value: Any
    place: Place

    @property
    def children(self) -> dict[Step, Node]:
        """What stands below, by key or index; nothing below a scalar."""
        if isinstance(self.value, dict):
            return dict(self.value)
        return dict(enumerate(self.value)) if isinstance(self.value, list) else {}

    def plain(self) -> Any:
        """The values alone."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value

    def place_of(self, path: Iterable[Step]) -> Place:
        """The place of the value at `path`, or of the nearest block around it where there is no such value."""
        node = self
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node.place


@dataclass(frozen=True)
class Problem:
    """One thing to mend: where, which key, what was expected."""

    place: Place
    path: Path
    message: str

    def __str__(self) -> str:
        key = dotted(self.path)
        return ": ".join(part for part in (str(self.place), "" if key == self.place.key else key, self.message) if part)


def grown(value: Any, place: Place) -> Node:
    """Plain values as nodes that all stand at the same place."""
    if isinstance(value, Mapping):
        return Node({str(key): grown(item, place) for key, item in value.items()}, place)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Node([grown(item, place) for item in value], place)
    return Node(value, place)


def dotted(path: Path) -> str:
    """("transform", "train", 2, "p") → "transform.train[2].p"."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def refuse(problems: Sequence[Problem]) -> None:
    """Raise all problems in one `UserError`, a line each, by file and line, the command line last."""
    if problems:
        sources = list(dict.fromkeys(problem.place.source for problem in problems))
        order = sorted(problems, key=lambda p: (p.place.line is None, sources.index(p.place.source), p.place.line or 0))
        raise UserError("\n".join(dict.fromkeys(str(problem) for problem in order)))
