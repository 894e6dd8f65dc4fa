"""Merge a file, the files it extends, and `key=value` from the command line into one tree of nodes.

Blocks merge key by key, and the later value wins; lists and single values replace earlier ones. A component that has
another name than the earlier one replaces it completely: the parameters of one loss have no meaning for another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path as FilePath

from configs.loading.nodes import Location, Node, Path, Problem, Step, node_of
from configs.loading.yaml_reader import UNPRINTABLE, read_file, read_value
from configs.places import as_typed
from utils.config.component import component
from utils.config.messages import item_type, marker
from utils.config.section import Section

STEPS = re.compile(r"[^.\[\]]+|\[\d+\]")
KEY = re.compile(r"[^.\[\]\s]+(\[\d+\])*(\.[^.\[\]\s]+(\[\d+\])*)*")


def pieces_of_first(arguments: Sequence[str]) -> int:
    """Return how many of the arguments form one override that the shell has split at spaces.

    Example: 2 for `data.exclude=[ID001,` and `ID002]`.
    """
    depth = 0
    for count, argument in enumerate(arguments, start=1):
        depth += sum(map(argument.count, "[{")) - sum(map(argument.count, "]}"))
        if count == 1 and "=" not in argument:
            return 1
        if depth <= 0:
            return count
    return 1


class Merger:
    """Reads and merges configs of one schema; `problems` collects what is wrong."""

    def __init__(self, schema: type[Section]) -> None:
        self.components = frozenset(component_paths(schema))
        self.defaults = default_components(schema)
        self.problems: list[Problem] = []

    def read(self, path: FilePath, extended_at: Location | None = None, children: tuple[str, ...] = ()) -> Node | None:
        """Read a file and merge it over all that it extends; return None if one of them cannot be read."""
        name = os.path.normpath(path)
        if name in children:
            circle = " → ".join([*children[children.index(name) :], name])
            self._note(extended_at or Location(name), ("extends",), f"goes in a circle: {circle}")
            return None
        node = read_file(FilePath(name), self.problems, extended_at)
        return None if node is None else self._over_its_parent(node, FilePath(name), (*children, name))

    def overlay(self, overrides: Sequence[str]) -> Node:
        """Merge all `key.path=value` into one tree. The later of two values for one key wins, so scripts can append."""
        root = Node({}, Location("command line"))
        for override in self._not_split(overrides):
            assigned = self._assigned(override)
            root = root if assigned is None else self.merge(root, assigned)
        return root

    def merge(self, below: Node, above: Node, path: Path = ()) -> Node:
        """Merge two trees; `above` wins. A merged block keeps the line of a file if the command line adds to it."""
        below, above = self._with_name(below, path), self._with_name(above, path)
        if _is_indexed(above) and not _is_indexed(below):
            return self._merge_items(below, above, path)
        if not (isinstance(below.value, dict) and isinstance(above.value, dict)) or self._replaces(below, above, path):
            return above
        merged = dict(below.value)
        for key, child in above.value.items():
            merged[key] = self.merge(merged[key], child, (*path, key)) if key in merged else child
        return Node(merged, below.location if above.location.line is None else above.location)

    def _over_its_parent(self, node: Node, path: FilePath, children: tuple[str, ...]) -> Node | None:
        extends = node.value.get("extends")
        node = Node({key: child for key, child in node.value.items() if key != "extends"}, node.location)
        if extends is None:
            return self.merge(node_of(self.defaults, Location(path.as_posix())), node)
        if not isinstance(extends.value, str):
            self._note(extends.location, ("extends",), "expected the path of one YAML file, relative to this file")
            return None
        parent = self.read(path.parent / os.path.expanduser(extends.value), extends.location, children)
        return None if parent is None else self.merge(parent, node)

    def _not_split(self, overrides: Sequence[str]) -> Iterator[str]:
        """Yield the overrides, and note a problem for each that the shell has split at spaces."""
        first = 0
        while first < len(overrides):
            pieces = overrides[first : first + pieces_of_first(overrides[first:])]
            if len(pieces) == 1:
                yield pieces[0]
            else:
                at = Location(f"command line: {pieces[0]}")
                self._note(at, (), f"the shell has cut this at a space; put it in quotes: '{' '.join(pieces)}'")
            first += len(pieces)

    def _assigned(self, override: str) -> Node | None:
        """Return `a.b[0].c=value` as a tree with that one value; None, with the problem noted, if it is malformed."""
        if UNPRINTABLE.search(override):
            self._note(Location("command line"), (), f"{override!a}: holds what is no UTF-8 text; remove it")
            return None
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals:
            self._note(Location("command line"), (), f"'{override}': expected key=value, for example trainer.epochs=3")
            return None
        location = Location(f"command line: {override}", key=key)
        if not KEY.fullmatch(key):
            self._note(location, (), "expected a key such as trainer.epochs or transform.train[0].p before the '='")
            return None
        # Wrap the value in one node for each step of the key, the last step first.
        node = read_value(text, location, self.problems)
        if node is not None:
            node = Node(as_typed(key, node.value), location)
        for step in reversed(steps_of(key)) if node is not None else ():
            node = Node({step: node}, location)
        return node

    def _merge_items(self, below: Node, above: Node, path: Path) -> Node:
        """Change items of a list, as `train[2].p=0.5` asks; note a problem for an item that the list does not have."""
        if not isinstance(below.value, list):
            self._note(above.location, path, "is not a list, so it has no items to set")
            return below
        items = list(below.value)
        for index, child in above.value.items():
            if index >= len(items):
                self._note(
                    child.location, path, f"the list has {len(items)} items, counted from [0]; there is no [{index}]"
                )
            else:
                items[index] = self.merge(items[index], child, (*path, index))
        return Node(items, below.location)

    def _with_name(self, node: Node, path: Path) -> Node:
        """Return `{name: dice}` for a component that is written as `dice`; other nodes unchanged."""
        short = isinstance(node.value, str) and _anywhere(path) in self.components
        return Node({"name": node}, node.location) if short else node

    def _replaces(self, below: Node, above: Node, path: Path) -> bool:
        named = "name" in below.value and "name" in above.value and _anywhere(path) in self.components
        return named and below.value["name"].plain() != above.value["name"].plain()

    def _note(self, location: Location, path: Path, message: str) -> None:
        self.problems.append(Problem(location, path, message))


def component_paths(schema: type[Section], path: Path = ()) -> Iterable[Path]:
    """Yield the paths at which a schema has components; for items of a list the index is 0."""
    for name, field in schema.model_fields.items():
        here: Path = (*path, name)
        item = item_type(field.annotation)
        if marker(field.annotation, component, field.metadata) is not None:
            yield here
        elif marker(item, component) is not None:
            yield (*here, 0)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from component_paths(field.annotation, here)


def default_components(schema: type[Section]) -> dict[str, dict[str, str]]:
    """Return a schema's default components, so that `optimizer: {lr: 1e-4}` changes a parameter of the default one."""
    fields = schema.model_fields.items()
    named = {name: field.default for name, field in fields if marker(field.annotation, component, field.metadata)}
    return {name: {"name": default} for name, default in named.items() if isinstance(default, str)}


def steps_of(key: str) -> list[Step]:
    """Split a dotted key: "transform.train[2].p" gives ["transform", "train", 2, "p"]."""
    return [int(step[1:-1]) if step.startswith("[") else step for step in STEPS.findall(key)]


def _anywhere(path: Path) -> Path:
    return tuple(0 if isinstance(step, int) else step for step in path)


def _is_indexed(node: Node) -> bool:
    return isinstance(node.value, dict) and any(isinstance(key, int) for key in node.value)
