"""What `--help KEY` prints: the values of a key, its default and its meaning, or what else has this name.

Keys are dotted:

    trainer            a block of keys
    trainer.epochs     a key
    optimizer          a choice, with all names
    optimizer.adamw    a name, with its parameters
    model.encoder      a parameter, with the names that have it
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from utils.config.component import Builder, component, params_of
from utils.config.descriptions import in_yaml, of_parameters, summary_of, without_parameters
from utils.config.messages import describe, marker
from utils.config.section import Section, sections_of
from utils.config.suggestions import did_you_mean
from utils.errors import UserError

WIDEST = 110
"""Columns of a line, if the console has more."""
INDENT = "  "


def explain(schema: type[Section], key: str) -> str:
    """Explain a dotted key of a schema. Raises `UserError` for one that it does not have."""
    return "\n".join(_lines(schema, key, ""))


def _lines(section: type[Section], key: str, before: str) -> Iterable[str]:
    name, _, rest = key.partition(".")
    path = f"{before}{name}"
    field = section.model_fields.get(name)
    if field is None:
        raise UserError(f"{path}: unknown key. {did_you_mean(name, section.model_fields)}")
    block = next(iter(sections_of(field.annotation)), None)
    chosen = marker(field.annotation, component, field.metadata) or _item_of(field.annotation)
    if rest and block is not None:
        return _lines(block, rest, f"{path}.")
    if rest and chosen is not None:
        return [path + "." + rest, *_of_choice(chosen, path, rest)]
    if rest:
        raise UserError(f"{path}.{rest}: unknown key; {path} is no block of keys.")
    return [path, *_wrapped(_values(field)), *_wrapped(field.description or ""), *_below(block, chosen, path)]


def _below(block: type[Section] | None, chosen: component | None, path: str) -> Iterable[str]:
    if block is not None:
        return ["", *_paragraphs(inspect.getdoc(block) or ""), "", *_keys(block.model_fields, {})]
    if chosen is not None:
        names = {name: summary_of(builder) for name, builder in chosen.table().items()}
        return ["", *_columns(names), "", *_wrapped(f"The parameters of one: --help {path}.{next(iter(names))}")]
    return []


def _of_choice(chosen: component, path: str, name: str) -> list[str]:
    table = chosen.table()
    if name in table:
        return [*_paragraphs(without_parameters(table[name])), "", *_parameters(table[name])]
    fields = {other: params_of(builder).model_fields for other, builder in table.items()}
    having = [other for other, found in fields.items() if name in found]
    if not having:
        known = [*table, *dict.fromkeys(parameter for found in fields.values() for parameter in found)]
        raise UserError(f"{path}.{name}: no {chosen.kind} has this name or parameter. {did_you_mean(name, known)}")
    first = having[0]
    explained = of_parameters(table[first]).get(name, "")
    return [*_wrapped(_values(fields[first][name])), *_wrapped(explained), *_wrapped(f"Of {', '.join(having)}.")]


def _parameters(builder: Builder) -> list[str]:
    fields = params_of(builder).model_fields
    return _keys(fields, of_parameters(builder)) if fields else _wrapped("No parameters.")


def _keys(fields: Mapping[str, FieldInfo], explained: Mapping[str, str]) -> list[str]:
    words = {name: field.description or explained.get(name, "") for name, field in fields.items()}
    return _columns({name: f"{_values(field)}. {words[name]}".rstrip() for name, field in fields.items()})


def _values(field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"default {_default(field)}"
    return f"{describe(field.annotation, field.metadata)}; {default}"


def _default(field: FieldInfo) -> str:
    return "of each key" if isinstance(field.default, Section) else in_yaml(field.default)


def _item_of(annotation: Any) -> component | None:
    """Return the choice that each item of a list is, also if null is allowed too."""
    for part in get_args(annotation):
        found = marker(part, component) or _item_of(part)
        if found is not None:
            return found
    return None


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size((100, 24)).columns)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _width(), initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)


def _paragraphs(text: str) -> list[str]:
    return textwrap.indent(text, INDENT).splitlines()


def _columns(texts: Mapping[str, str]) -> list[str]:
    """Return a line for each name, and its text beside it."""
    room = max(map(len, texts), default=0) + 2
    lines = []
    for name, text in texts.items():
        beside = textwrap.wrap(text, max(30, _width() - room - len(INDENT))) or [""]
        lines += [f"{INDENT}{name:{room}}{beside[0]}".rstrip(), *(INDENT + " " * room + line for line in beside[1:])]
    return lines
