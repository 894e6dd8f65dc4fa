"""Read YAML into nodes with their lines.

Scalars follow YAML 1.2: `1e-3` is a number, `yes` and `on` are text. A key that is given twice is a problem. Anchors
and aliases work; merge keys, tags and several documents are refused, each with its own sentence.
"""

from __future__ import annotations

import math
import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from configs.loading.nodes import Location, Node, Path, Problem
from utils.config.suggestions import nearest

INT = re.compile(r"[-+]?[0-9]+$")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
CASES = {case for word in CONSTANTS for case in (word, word.capitalize(), word.upper())}
DEEPEST, LARGEST = 50, 20_000
"""Limits of levels and of values in one file. No experiment needs so many, but a few lines of aliases of aliases would
expand to billions of values."""
LONGEST_INT = 300
"""Digits. Python refuses to read whole numbers of thousands of digits; longer ones are read as floats (infinite)."""
UNPRINTABLE = re.compile(r"[\x00\ud800-\udfff]")
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map", "null")}

ADVICE = (
    (r"'\\t'", "a tab indents this line; YAML wants spaces there"),
    (r"cannot start any token", "text that begins with {char} must stand in quotes"),
    (
        r"mapping values are not allowed",
        "this ':' cannot stand here: is the ':' of a line above missing, the indentation off, or does text with a ':' "
        "need quotes?",
    ),
    (
        r"could not find expected ':'",
        "expected 'key: value'; a ':' (and a space after it) is missing in this line",
    ),
    (r"expected <block end>, but found", "this line does not line up with the lines above it; check its indentation"),
    (r"expected ',' or '[\]}]'", "a bracket that opens here is never closed"),
    (r"end of stream", "a quote or bracket that opens here is never closed"),
    (r"found undefined alias", "this alias (*name) has no anchor (&name) above it"),
    (r"found another document", "one document per file; remove the '---' between the parts"),
)


def read_file(path: FilePath, problems: list[Problem], extended_at: Location | None = None) -> Node | None:
    """Read a file into nodes; return None, with the problem noted, if it is absent or not YAML.

    `extended_at` is the location of the `extends:` that names this file, None for the first file.
    """
    source = path.as_posix()
    try:
        return read_text(path.read_text(encoding="utf-8-sig"), source, problems)
    except OSError as error:
        complaint = _cannot_open(path, error)
    except UnicodeDecodeError:
        complaint = "is not UTF-8 text; save it as UTF-8"
    if extended_at is None:
        problems.append(Problem(Location(source), (), complaint))
    else:
        problems.append(Problem(extended_at, ("extends",), f"'{source}': {complaint}"))
    return None


def read_text(text: str, source: str, problems: list[Problem]) -> Node | None:
    """Read a document into nodes; an empty one is an empty mapping. `source` is its name in messages."""
    root = _composed(text, source, problems, Location(source, 1))
    if root is None:
        return None
    reader = _Reader(source, problems)
    node = reader.node(root, (), Location(source, 1))
    if reader.values >= LARGEST:
        return None
    if node.value is None:
        return Node({}, node.location)
    if not isinstance(node.value, dict):
        problems.append(Problem(node.location, (), "expected keys such as 'trainer:' at the top of the file"))
        return None
    return node


def read_value(text: str, location: Location, problems: list[Problem]) -> Node | None:
    """Read the value of `key=value` into nodes, which all have this location."""
    root = _composed(text, "", problems, location)
    return None if root is None else _Reader("", problems, fixed=location).node(root, (), location)


class _Scalars(yaml.SafeLoader):
    """PyYAML's loader without its rules for scalars: all plain scalars stay text, for `scalar` to read."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the table that PyYAML reads


class _Reader:
    """Turns PyYAML's nodes of one source into ours. `values` counts them, `problems` collects what is wrong."""

    def __init__(self, source: str, problems: list[Problem], fixed: Location | None = None) -> None:
        self.source, self.problems, self.fixed = source, problems, fixed
        self.values = 0

    def node(self, node: yaml.Node, path: Path, location: Location) -> Node:
        """Return the node of a value. `location` is that of its key, or of the list item."""
        self.values += 1
        # Refuse what would never end or has no meaning here.
        if self.values >= LARGEST:
            return self._note_too_large(location, path)
        if len(path) > DEEPEST:
            return self._noted(location, path[:1], "too deep; an alias inside its own anchor?", None)
        if node.tag not in TAGS:
            return self._noted(location, path, f"tags such as {node.tag} are not used here; remove it", None)
        if isinstance(node, yaml.MappingNode):
            return Node(self._entries(node, path), location)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return Node([self.node(item, (*path, i), self._location(item)) for i, item in items], location)
        if UNPRINTABLE.search(node.value):
            self._noted(location, path, "holds a character that no text may have (as \\0); remove it", None)
            return Node(UNPRINTABLE.sub("", node.value), location)
        quoted = getattr(node, "style", None) is not None
        return Node(node.value if quoted else scalar(node.value), location)

    def _entries(self, node: yaml.MappingNode, path: Path) -> dict[str, Node]:
        """Return the nodes of a mapping by key, and note keys that are refused; the first of equal keys counts."""
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            location, key = self._location(key_node), key_node.value
            if not isinstance(key, str) or UNPRINTABLE.search(key):
                self._noted(location, path, "a key must be one word, not a list or a block", None)
            elif self.values >= LARGEST:
                break
            elif key == "<<":
                self._noted(
                    location, path, "merge keys (<<) are not used here; write the keys out, or use 'extends'", None
                )
            elif key in entries:
                self._note_doubled(location, (*path, key), entries[key].location)
            else:
                entries[key] = self.node(value_node, (*path, key), location)
        return entries

    def _note_too_large(self, location: Location, path: Path) -> Node:
        """Note once that there are too many values; what follows is left out."""
        if self.values == LARGEST:
            self._noted(location, path[:1], f"more than {LARGEST} values; aliases of aliases of aliases?", None)
        return Node(None, location)

    def _note_doubled(self, location: Location, path: Path, first: Location) -> None:
        lines = "" if location.line is None else f", on lines {first.line} and {location.line}"
        self._noted(location, path, f"given twice{lines}; keep one", None)

    def _location(self, node: yaml.Node) -> Location:
        return self.fixed or Location(self.source, node.start_mark.line + 1)

    def _noted(self, location: Location, path: Path, message: str, value: Any) -> Node:
        self.problems.append(Problem(location, path, message))
        return Node(value, location)


def scalar(text: str) -> bool | int | float | str | None:
    """Read a plain scalar by the rules of YAML 1.2's core schema."""
    if text in CASES:
        return CONSTANTS[text.lower()]
    if INT.match(text) and len(text) <= LONGEST_INT:
        return int(text)
    if FLOAT.match(text):
        return float(text)
    return SPECIAL.get(text.lower(), text)


def _composed(text: str, source: str, problems: list[Problem], location: Location) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Scalars) or yaml.ScalarNode("tag:yaml.org,2002:null", "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Location(source, mark.line + 1) if source and mark is not None else location
        problems.append(Problem(_where_it_begins(error, at), (), f"not YAML: {_advice(error)}"))
    except yaml.YAMLError as error:
        problems.append(Problem(location, (), f"not YAML: {str(error).splitlines()[0]}"))
    except RecursionError:
        problems.append(Problem(location, (), "nested too deep; is a bracket or an indentation repeated by mistake?"))
    return None


def _where_it_begins(error: yaml.MarkedYAMLError, location: Location) -> Location:
    """Return where an unclosed bracket or quote begins, as it is fixed there; otherwise the error's own location."""
    unclosed = any(word in str(error.context) for word in ("flow", "quoted", "simple key"))
    if location.line is None or error.context_mark is None or not unclosed:
        return location
    return Location(location.source, error.context_mark.line + 1)


def _advice(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    for pattern, advice in ADVICE:
        if re.search(pattern, problem):
            return advice.format(char=re.sub(r"found character (.*) that.*", r"\1", problem))
    return problem


def _cannot_open(path: FilePath, error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "is a folder; expected a YAML file"
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"cannot be read ({error.strerror})"
    patterns = ("[!.]*.yaml", "[!.]*.yml", f"configs/{path.name}")
    beside = sorted(other.as_posix() for pattern in patterns for other in path.parent.glob(pattern))
    near = nearest(path.as_posix(), beside)
    if near:
        return f"no such file. Did you mean '{near[0]}'?"
    return "no such file" + (f". In that folder: {', '.join(FilePath(b).name for b in beside)}" if beside else "")
