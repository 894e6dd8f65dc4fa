"""What keys and builders are, in words: for the reference page, the schema for editors, and `--help KEY`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from utils.config.component import Builder

PARAMETERS = re.compile(r"(?m)^(\w+(?:, \w+)*): ((?:.+\n?)+?)(?=^\w+(?:, \w+)*: |\n|\Z)")
"""Lines about parameters: `encoder_depth: number of stages; null for the architecture's own.`"""


def docstring_of(builder: Builder) -> str:
    """Return a builder's docstring without what it raises."""
    doc = inspect.getdoc(builder.func if isinstance(builder, partial) else builder) or ""
    return re.sub(r"\n+Raises `UserError`[^\n]*(\n[^\n]+)*", "", doc)


def summary_of(builder: Builder) -> str:
    """Return the first paragraph of a builder's docstring, on one line."""
    return " ".join(docstring_of(builder).split("\n\n")[0].split())


def as_markdown(builder: Builder) -> str:
    """Return a builder's docstring; its lines about parameters become a list."""
    return re.sub(r"(?m)^(\w+(?:, \w+)*): ", r"- `\1`: ", docstring_of(builder))


def without_parameters(builder: Builder) -> str:
    """Return a builder's docstring without its lines about parameters."""
    return PARAMETERS.sub("", docstring_of(builder)).strip()


def of_parameters(builder: Builder) -> dict[str, str]:
    """Return what a builder's docstring says of each parameter."""
    found = PARAMETERS.findall(docstring_of(builder))
    return {name: " ".join(words.split()) for names, words in found for name in names.split(", ")}


def in_yaml(value: Any) -> str:
    """Return a default as YAML writes it, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(in_yaml(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
