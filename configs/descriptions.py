"""What builders say of themselves and of their parameters, in the docstrings that the reference is made of."""

from __future__ import annotations

import inspect
import re
from functools import partial

from utils.config.component import Builder

PARAMETERS = re.compile(r"(?m)^(\w+(?:, \w+)*): ((?:.+\n?)+?)(?=^\w+(?:, \w+)*: |\n|\Z)")
"""Lines about parameters: `encoder_depth: number of stages; null for the architecture's own.`"""


def docstring_of(builder: Builder) -> str:
    """Return a builder's docstring without what it raises."""
    doc = inspect.getdoc(builder.func if isinstance(builder, partial) else builder) or ""
    return re.sub(r"\n+Raises `UserError`[^\n]*(\n[^\n]+)*", "", doc)


def as_markdown(builder: Builder) -> str:
    """Return a builder's docstring; its lines about parameters become a list."""
    return re.sub(r"(?m)^(\w+(?:, \w+)*): ", r"- `\1`: ", docstring_of(builder))


def of_parameters(builder: Builder) -> dict[str, str]:
    """Return what a builder's docstring says of each parameter."""
    found = PARAMETERS.findall(docstring_of(builder))
    return {name: " ".join(words.split()) for names, words in found for name in names.split(", ")}
