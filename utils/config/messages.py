"""Describe types and values in the words of YAML, not of Python.

Error messages ("expected a whole number of 1 or more, got 'many'") and the reference page use the same words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

Found = TypeVar("Found")
NOUNS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false values"),
    Path: ("a path", "paths"),
    Any: ("a value", "values"),
    NoneType: ("null", "nulls"),
}
LISTS = (tuple, list, set, frozenset, Sequence, Iterable, AbstractSet)
SHOWN_AT_MOST = 60


def describe(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Describe the values of a type: "a number from 0 to 1", "a list of 2 whole numbers, or null"."""
    annotation, metadata = _unwrap(annotation, metadata)
    own_words = next((m.words for m in metadata if hasattr(m, "words")), None)
    if own_words:
        return str(own_words)
    if is_union(annotation):
        return _union(annotation, metadata)
    if get_origin(annotation) is Literal:
        return _choices(get_args(annotation))
    return _noun(annotation, metadata) + _range(annotation, metadata)


def shown(value: Any) -> str:
    """Return a value as it is written in YAML, cut to `SHOWN_AT_MOST` characters."""
    if isinstance(value, str):
        return repr(_cut(value))
    if isinstance(value, BaseModel):
        return shown(value.model_dump())
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}")
    if isinstance(value, (list, tuple)):
        return _cut("[" + ", ".join(shown(item) for item in value) + "]")
    constants = {None: "nothing", True: "true", False: "false"}
    return constants[value] if value is None or isinstance(value, bool) else _number(value)


def leaf_types(annotation: Any) -> set[Any]:
    """Return the types that a single value may have, also inside unions, lists and annotations."""
    annotation, _ = _unwrap(annotation, ())
    if get_origin(annotation) is Literal:
        return {type(choice) for choice in get_args(annotation)}
    if is_union(annotation) or get_origin(annotation) in LISTS:
        return set().union(*(leaf_types(part) for part in get_args(annotation) if part is not ...))
    return {annotation}


def item_type(annotation: Any) -> Any | None:
    """Return X for `tuple[X, ...]`, `list[X]` and the like, also if null is allowed too; None for other types."""
    annotation, _ = _unwrap(annotation, ())
    if is_union(annotation):
        arms = [arm for arm in get_args(annotation) if arm is not NoneType]
        return item_type(arms[0]) if len(arms) == 1 else None
    if get_origin(annotation) not in LISTS:
        return None
    args = get_args(annotation)
    fixed = get_origin(annotation) is tuple and args[1:] != (...,)
    return None if fixed else args[0]


def marker(annotation: Any, kind: type[Found], metadata: Sequence[Any] = ()) -> Found | None:
    """Return the marker of this kind in `Annotated[X, marker]` or `Annotated[X, marker] | None`; None without one."""
    bare, found = _unwrap(annotation, metadata)
    if is_union(bare):
        return next((inner for arm in get_args(bare) if (inner := marker(arm, kind)) is not None), None)
    return next((entry for entry in found if isinstance(entry, kind)), None)


def is_union(annotation: Any) -> bool:
    """Return whether a type is `X | Y` or `Union[X, Y]`."""
    return get_origin(annotation) in (Union, UnionType)


def _unwrap(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Split `Annotated[X, Ge(1)]` into X and a flat list of all its constraints."""
    found = _flat(metadata)
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        found += _flat(more)
    return annotation, found


def _flat(metadata: Iterable[Any]) -> list[Any]:
    """Return constraints one by one; they may come grouped (`Interval`) or inside a pydantic `Field(...)`."""
    flat: list[Any] = []
    for constraint in metadata:
        inner = getattr(constraint, "metadata", None)
        if inner is not None:
            flat += _flat(inner)
        elif type(constraint).__name__ in ("Interval", "Len"):
            flat += list(constraint)
        else:
            flat.append(constraint)
    return flat


def _union(annotation: Any, metadata: Sequence[Any]) -> str:
    arms = [describe(arm, metadata) for arm in get_args(annotation) if arm is not NoneType]
    nullable = NoneType in get_args(annotation)
    return ", or ".join([*arms, "null"] if nullable else arms)


def _choices(choices: Sequence[Any]) -> str:
    words = [str(choice) for choice in choices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _noun(annotation: Any, metadata: Sequence[Any]) -> str:
    origin = get_origin(annotation) or annotation
    if origin in LISTS:
        return _list(annotation, metadata)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, BaseModel)):
        return "a block of keys"
    return NOUNS[origin][0] if origin in NOUNS else str(getattr(origin, "__name__", "a value"))


def _list(annotation: Any, metadata: Sequence[Any]) -> str:
    args = get_args(annotation)
    if not args:
        return "a list"
    each = item_type(annotation)
    if each is not None:
        least = max((m.min_length for m in metadata if hasattr(m, "min_length")), default=0)
        return f"a list of {f'{least} or more ' if least else ''}{_plural(each)}"
    if len(set(args)) == 1:
        return f"a list of {len(args)} {_plural(args[0])}"
    return f"a list of {len(args)}: {', '.join(describe(part) for part in args)}"


def _plural(annotation: Any) -> str:
    bare, metadata = _unwrap(annotation, ())
    own_words = next((m.plural for m in metadata if hasattr(m, "plural")), None)
    if own_words:
        return str(own_words)
    if bare in NOUNS:
        return NOUNS[bare][1] + _range(bare, metadata)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return "blocks of keys"
    return f"items, each {describe(annotation)}"


def _range(annotation: Any, metadata: Sequence[Any]) -> str:
    """Describe the limits of a value: " from 0 to 1", " above 0 and below 1", " of 1 or more"; empty without limits."""
    limits = {name: getattr(m, name) for m in metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}
    limits = _inclusive(limits) if annotation is int else limits
    if limits.keys() == {"ge", "le"}:
        return f" from {shown(limits['ge'])} to {shown(limits['le'])}"
    if limits.keys() == {"ge"}:
        return f" of {shown(limits['ge'])} or more"
    if limits.keys() == {"le"}:
        return f" of {shown(limits['le'])} or less"
    words = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}
    parts = [f"{words[name]} {shown(limits[name])}" for name in words if name in limits]
    return f" {' and '.join(parts)}" if parts else ""


def _inclusive(limits: dict[str, Any]) -> dict[str, Any]:
    """Turn exclusive limits of whole numbers into inclusive ones: above 0 is 1 or more."""
    inclusive = {"gt": ("ge", 1), "lt": ("le", -1)}
    changes = ((*inclusive.get(name, (name, 0)), limit) for name, limit in limits.items())
    return {name: limit + by for name, by, limit in changes}


def _number(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_AT_MOST else f"{text[: SHOWN_AT_MOST - 1]}…"
