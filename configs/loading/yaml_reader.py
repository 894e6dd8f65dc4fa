"""YAML as people write it → nodes with their lines.

YAML 1.2 scalars: `1e-3` is a number, `yes` and `on` are text. A key that is given twice is a problem, not a choice.
Of YAML's rarer powers anchors and aliases work; merge keys, tags and several documents are refused, each in a sentence.
"""

from __future__ import annotations

import math
import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from configs.loading.nodes import Node, Path, Place, Problem
from utils.config.suggestions import nearest

INT = re.compile(r"[-+]?[0-9]+$")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
CASES = {case for word in CONSTANTS for case in (word, word.capitalize(), word.upper())}
DEEPEST, LARGEST = 50, 20_000
"""Levels and values in one file. No experiment needs so many; aliases of aliases make a few lines into billions."""
LONGEST_INT = 300
"""Digits; Python refuses to read whole numbers of thousands of them. Longer ones are floats, and infinite."""
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


def read_file(path: FilePath, problems: list[Problem], asked_from: Place | None = None) -> Node | None:
    """A file as nodes; None, with the problem noted, where it is not there or not YAML."""
    source = path.as_posix()
    try:
        return read_text(path.read_text(encoding="utf-8-sig"), source, problems)
    except OSError as error:
        complaint = _cannot_open(path, error)
    except UnicodeDecodeError:
        complaint = "is not UTF-8 text; save it as UTF-8"
    if asked_from is None:
        problems.append(Problem(Place(source), (), complaint))
    else:
        problems.append(Problem(asked_from, ("extends",), f"'{source}': {complaint}"))
    return None


def read_text(text: str, source: str, problems: list[Problem]) -> Node | None:
    """A whole document; an empty one is an empty mapping."""
    root = _composed(text, source, problems, Place(source, 1))
    if root is None:
        return None
    reader = _Reader(source, problems)
    node = reader.node(root, (), Place(source, 1))
    if reader.values >= LARGEST:
        return None
    if node.value is None:
        return Node({}, node.place)
    if not isinstance(node.value, dict):
        problems.append(Problem(node.place, (), "expected keys such as 'trainer:' at the top of the file"))
        return None
    return node


def read_value(text: str, place: Place, problems: list[Problem]) -> Node | None:
    """The value of `key=value`; everything in it stands at `place`."""
    root = _composed(text, "", problems, place)
    return None if root is None else _Reader("", problems, fixed=place).node(root, (), place)


class _Scalars(yaml.SafeLoader):
    """PyYAML without its own ideas of what a scalar means: plain scalars keep the tag of text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the table that PyYAML reads


class _Reader:
    """One walk over the composed nodes of one source."""

    def __init__(self, source: str, problems: list[Problem], fixed: Place | None = None) -> None:
        self.source, self.problems, self.fixed = source, problems, fixed
        self.values = 0

    def node(self, node: yaml.Node, path: Path, place: Place) -> Node:
        """`place` is that of the key, or of the list item, under which the value stands."""
        self.values += 1
        if self.values >= LARGEST:
            return self._too_large(place, path)
        if len(path) > DEEPEST:
            return self._told(place, path[:1], "too deep; an alias inside its own anchor?", None)
        if node.tag not in TAGS:
            return self._told(place, path, f"tags such as {node.tag} are not used here; remove it", None)
        if isinstance(node, yaml.MappingNode):
            return Node(self._entries(node, path), place)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return Node([self.node(item, (*path, i), self._place(item)) for i, item in items], place)
        if UNPRINTABLE.search(node.value):
            self._told(place, path, "holds a character that no text may have (as \\0); remove it", None)
            return Node(UNPRINTABLE.sub("", node.value), place)
        quoted = getattr(node, "style", None) is not None
        return Node(node.value if quoted else scalar(node.value), place)

    def _entries(self, node: yaml.MappingNode, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place, key = self._place(key_node), key_node.value
            if not isinstance(key, str) or UNPRINTABLE.search(key):
                self._told(place, path, "a key must be one word, not a list or a block", None)
            elif self.values >= LARGEST:
                break
            elif key == "<<":
                self._told(place, path, "merge keys (<<) are not used here; write the keys out, or use 'extends'", None)
            elif key in entries:
                self._doubled(place, (*path, key), entries[key].place)
            else:
                entries[key] = self.node(value_node, (*path, key), place)
        return entries

    def _too_large(self, place: Place, path: Path) -> Node:
        """Told once; whatever comes after is left out."""
        if self.values == LARGEST:
            self._told(place, path[:1], f"more than {LARGEST} values; aliases of aliases of aliases?", None)
        return Node(None, place)

    def _doubled(self, place: Place, path: Path, first: Place) -> None:
        lines = "" if place.line is None else f", on lines {first.line} and {place.line}"
        self._told(place, path, f"given twice{lines}; keep one", None)

    def _place(self, node: yaml.Node) -> Place:
        return self.fixed or Place(self.source, node.start_mark.line + 1)

    def _told(self, place: Place, path: Path, message: str, value: Any) -> Node:
        self.problems.append(Problem(place, path, message))
        return Node(value, place)


def scalar(text: str) -> bool | int | float | str | None:
    """A plain scalar by the rules of YAML 1.2's core schema."""
    if text in CASES:
        return CONSTANTS[text.lower()]
    if INT.match(text) and len(text) <= LONGEST_INT:
        return int(text)
    if FLOAT.match(text):
        return float(text)
    return SPECIAL.get(text.lower(), text)


def _composed(text: str, source: str, problems: list[Problem], place: Place) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Scalars) or yaml.ScalarNode("tag:yaml.org,2002:null", "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Place(source, mark.line + 1) if source and mark is not None else place
        problems.append(Problem(_opening(error, at), (), f"not YAML: {_advice(error)}"))
    except yaml.YAMLError as error:
        problems.append(Problem(place, (), f"not YAML: {str(error).splitlines()[0]}"))
    except RecursionError:
        problems.append(Problem(place, (), "nested too deep; is a bracket or an indentation repeated by mistake?"))
    return None


def _opening(error: yaml.MarkedYAMLError, place: Place) -> Place:
    """What is never closed or finished is mended where it begins, not where the reader noticed."""
    unclosed = any(word in str(error.context) for word in ("flow", "quoted", "simple key"))
    if place.line is None or error.context_mark is None or not unclosed:
        return place
    return Place(place.source, error.context_mark.line + 1)


def _advice(error: yaml.MarkedYAMLError) -> str:
    said = str(error.problem)
    for pattern, advice in ADVICE:
        if re.search(pattern, said):
            return advice.format(char=re.sub(r"found character (.*) that.*", r"\1", said))
    return said


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
