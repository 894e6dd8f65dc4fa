"""The base of everything a configuration may say: unknown keys are refused, values never change.

A `Section` speaks plainly about what is wrong with it: whatever pydantic finds is reworded, at the level where it is
found, into "unknown key. Did you mean 'epochs'?" or "expected a whole number of 1 or more, got 'many'". Numbers are lax
(`1e3` is a whole number), kinds are not ("12" is text, true is not 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from utils.config.messages import describe, item_type, leaf_types, shown
from utils.config.suggestions import did_you_mean

PROBLEM, UNKNOWN_KEY, UNKNOWN_NAME = "problem", "unknown_key", "unknown_name"
IN_QUOTES = "put it in quotes"
PYDANTIC_KINDS = frozenset({*get_args(ErrorType), "path_type"})
Loc = tuple[int | str, ...]


class Section(BaseModel):
    """A block of keys in a YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _in_plain_words(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        faults = list(cls._values_of_the_wrong_kind(data))
        try:
            made = handler(data)
        except ValidationError as error:
            told = {entry["loc"] for entry in faults}
            found = _without_consequences(error.errors())
            faults += [cls._reworded(entry, data) for entry in found if entry["loc"][:1] not in told]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, _without_doubles(faults))
        return made

    @classmethod
    def _values_of_the_wrong_kind(cls, data: Any) -> Iterable[InitErrorDetails]:
        """Text or true/false given for a number, a number for true/false: pydantic would convert these in silence."""
        for key, value in data.items() if isinstance(data, Mapping) else ():
            field = cls.model_fields.get(key)
            if field is not None and _is_wrong_kind(field.annotation, value):
                yield line(f"expected {describe(field.annotation, field.metadata)}, got {shown(value)}", key)

    @classmethod
    def _reworded(cls, found: ErrorDetails, data: Any) -> InitErrorDetails:
        loc, kind = found["loc"], found["type"]
        if kind == "extra_forbidden" and len(loc) == 1:
            hint = did_you_mean(str(loc[0]), cls.model_fields)
            return line(f"unknown key. {hint}".rstrip(), *loc, kind=UNKNOWN_KEY)
        if kind in ("value_error", "assertion_error"):
            return line(str(found.get("ctx", {}).get("error", found["msg"])), *loc)
        if kind not in PYDANTIC_KINDS:
            return line(found["msg"], *loc, kind=kind)
        if not loc or loc[0] not in cls.model_fields:
            remedy = "; indent its keys below it, or remove it" if found["input"] is None else ""
            return line(f"expected a block of keys, got {shown(found['input'])}{remedy}", *loc)
        return cls._expectation(loc, data, missing=kind == "missing")

    @classmethod
    def _expectation(cls, loc: Loc, data: Any, missing: bool) -> InitErrorDetails:
        """The error of one value, told by the type of its key; a union is told once, not once per arm."""
        field = cls.model_fields[str(loc[0])]
        annotation: Any = field.annotation
        metadata, depth = list(field.metadata), 1
        while depth < len(loc) and isinstance(loc[depth], int) and item_type(annotation) is not None:
            annotation, metadata, depth = item_type(annotation), [], depth + 1
        words = describe(annotation, metadata)
        if missing and depth == len(loc):
            return line(f"required key is missing; expected {words}", *loc)
        value = _at(data, loc[:depth]) if loc[0] in dict(data) else field.default
        remedy = f"; {IN_QUOTES}" if words == "text" and isinstance(value, (int, float)) else ""
        if item_type(annotation) is not None and isinstance(value, (str, int, float)) and "block" not in words:
            remedy = f"; write [{value}]"
        return line(f"expected {words}, got {shown(value)}{remedy}", *loc[:depth])


def line(message: str, *loc: int | str, kind: str = PROBLEM) -> InitErrorDetails:
    """One problem in plain words, at `loc` below the value that is being looked at."""
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=loc, input=None)


def fault(message: str, *loc: int | str, kind: str = PROBLEM) -> ValidationError:
    """To raise in a validator: one problem in plain words at `loc` below the value that is being validated."""
    return ValidationError.from_exception_data("fault", [line(message, *loc, kind=kind)])


def _is_wrong_kind(annotation: Any, value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_wrong_kind(annotation, item) for item in value)
    allowed = leaf_types(annotation) - {type(None)}
    if not allowed <= {int, float, bool}:
        return False
    if isinstance(value, bool):
        return bool not in allowed
    return isinstance(value, str) or (isinstance(value, (int, float)) and allowed == {bool})


def _at(data: Any, loc: Loc) -> Any:
    for step in loc:
        data = getattr(data, step) if isinstance(data, Section) and isinstance(step, str) else data[step]
    return data


def _without_consequences(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """A list is called too short when its items are wrong."""
    around = {entry["loc"][:depth] for entry in found for depth in range(len(entry["loc"]))}
    return [entry for entry in found if entry["type"] != "too_short" or entry["loc"] not in around]


def _without_doubles(lines: list[InitErrorDetails]) -> list[InitErrorDetails]:
    """The arms of a union report the same problem several times."""
    return list({(entry["loc"], str(entry["type"])): entry for entry in lines}.values())
