"""A list of classes of one's own: names, the groups in which reports list them, and colours, as YAML says them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, field_validator

from utils.config.messages import shown
from utils.config.section import Section
from utils.errors import UserError
from utils.text import composed, printable

MOST = 1000
"""Classes. A mask of so many takes 125 bytes of each pixel."""
_IN_NO_NAME = re.compile(r"[\x00-\x1f\x7f,\"/\\\ud800-\udfff]")
"""What a cell of a CSV or the name of a file cannot hold."""


class ClassEntry(Section):
    """A class of one's own."""

    name: str = Field(description="As the labels write it.")
    group: str = Field("", description="The classes of one group share a colour and a mean in charts and tables.")
    colour: str = Field(
        "", description='The colour of its outlines, such as `"#ff8800"`, in quotes; empty: one is chosen.'
    )

    @field_validator("name", "group", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"expected text, got {shown(value)}; put it in quotes")
        return composed(value)

    @field_validator("name")
    @classmethod
    def _usable_name(cls, name: str) -> str:
        if not name or name != name.strip() or _IN_NO_NAME.search(name):
            unfit = "commas, quotes, slashes, control characters and outer spaces"
            raise ValueError(f"expected a name without {unfit}, got {shown(name)}")
        return name

    @field_validator("colour", mode="before")
    @classmethod
    def _six_digits(cls, colour: Any) -> Any:
        if colour is None:
            raise ValueError("expected a colour in quotes: YAML takes what follows # for a comment")
        if colour != "" and not re.fullmatch(r"#[0-9a-fA-F]{6}", str(colour)):
            raise ValueError(f'expected six digits after #, such as "#ff8800", got {shown(colour)}')
        return str(colour).lower()


def _entry(value: Any) -> Any:
    """Let a class be its name alone."""
    return value if isinstance(value, (Mapping, ClassEntry)) else {"name": value}


def _each_once(classes: tuple[ClassEntry, ...]) -> tuple[ClassEntry, ...]:
    twice = [name for name, count in Counter(entry.name for entry in classes).items() if count > 1]
    if twice:
        raise ValueError(f"expected each class once, but {shown(twice[0])} is listed {len(twice) + 1} times")
    if len(classes) > MOST:
        raise ValueError(f"expected {MOST} classes at most, got {len(classes)}")
    return classes


Entry = Annotated[ClassEntry, BeforeValidator(_entry, json_schema_input_type=str | ClassEntry)]
Entries = Annotated[tuple[Entry, ...], AfterValidator(_each_once)]


def read_classes(path: Path) -> tuple[ClassEntry, ...]:
    """Read the list of classes in a YAML file: the list itself, or a config's `data.classes`.

    Raises `UserError` for a file that holds none, and for the first entry that cannot be.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--classes: {path} cannot be read ({error.strerror}). Check the path.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"--classes: {path} is no valid YAML ({_place(error)}). Correct it.") from error
    if isinstance(found, Mapping):
        inner = found.get("data", found)
        found = inner.get("classes") if isinstance(inner, Mapping) else None
    if not isinstance(found, list) or not found:
        raise UserError(f"--classes: {path} holds no list of classes. Write one name a line, each after '- '.")
    return classes_of(found, f"--classes: {path}")


def classes_of(values: Sequence[Any], source: str) -> tuple[ClassEntry, ...]:
    """Check a list of classes as YAML or JSON holds them. Raises `UserError` that names `source` and the entry."""
    try:
        return TypeAdapter(Entries).validate_python(tuple(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = f"entry {first['loc'][0] + 1}: " if first["loc"] and isinstance(first["loc"][0], int) else ""
        raise UserError(f"{source}: {place}{printable(first['msg'].removeprefix('Value error, '))}.") from error


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else type(error).__name__
