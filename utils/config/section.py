"""The base class of all blocks of a configuration: unknown keys are refused, values never change.

A `Section` rewords the errors that pydantic finds in it: "unknown key. Did you mean 'epochs'?" or "expected a whole
number of 1 or more, got 'many'". A number may be written in any way (`1e3` is a whole number), but a value of another
kind is not converted ("12" is text, true is not 1).
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
        """Validate as pydantic does, but raise every error in our own words."""
        faults = list(cls._values_of_the_wrong_kind(data))
        try:
            section = handler(data)
        except ValidationError as error:
            reported = {entry["loc"] for entry in faults}
            found = _without_consequences(error.errors())
            faults += [cls._reworded(entry, data) for entry in found if entry["loc"][:1] not in reported]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, _without_doubles(faults))
        return section

    @classmethod
    def _values_of_the_wrong_kind(cls, data: Any) -> Iterable[InitErrorDetails]:
        """Yield an error for text or true/false given for a number, or a number for true/false.

        Pydantic would convert these in silence.
        """
        for key, value in data.items() if isinstance(data, Mapping) else ():
            field = cls.model_fields.get(key)
            if field is not None and _is_wrong_kind(field.annotation, value):
                yield line(f"expected {describe(field.annotation, field.metadata)}, got {shown(value)}", key)

    @classmethod
    def _reworded(cls, found: ErrorDetails, data: Any) -> InitErrorDetails:
        """Return an error of pydantic in our own words; one that a `Section` or validator has worded stays as it is."""
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
        """Word the error of one value by the type of its key, so that a union gives one error, not one for each arm."""
        field = cls.model_fields[str(loc[0])]
        annotation: Any = field.annotation
        metadata, depth = list(field.metadata), 1
        # Follow list indices down to the type of the item that is wrong.
        while depth < len(loc) and isinstance(loc[depth], int) and item_type(annotation) is not None:
            annotation, metadata, depth = item_type(annotation), [], depth + 1
        words = describe(annotation, metadata)
        if missing and depth == len(loc):
            return line(f"required key is missing; expected {words}", *loc)
        value = _value_at(data, loc[:depth]) if loc[0] in dict(data) else field.default
        # Two frequent mistakes have a remedy: a number where text is expected, and one value where a list is expected.
        remedy = f"; {IN_QUOTES}" if words == "text" and isinstance(value, (int, float)) else ""
        if item_type(annotation) is not None and isinstance(value, (str, int, float)) and "block" not in words:
            remedy = f"; write [{value}]"
        return line(f"expected {words}, got {shown(value)}{remedy}", *loc[:depth])


def sections_of(annotation: Any) -> list[type[Section]]:
    """Return the blocks of keys among a type's alternatives: none, or one (`Section` or `Section | None`)."""
    return [arm for arm in (annotation, *get_args(annotation)) if isinstance(arm, type) and issubclass(arm, Section)]


def line(message: str, *loc: int | str, kind: str = PROBLEM) -> InitErrorDetails:
    """Return an error with this message, at `loc` below the value that is being validated."""
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=loc, input=None)


def fault(message: str, *loc: int | str, kind: str = PROBLEM) -> ValidationError:
    """Return an exception for a validator to raise: one message, at `loc` below the value that is being validated."""
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


def _value_at(data: Any, loc: Loc) -> Any:
    for step in loc:
        data = getattr(data, step) if isinstance(data, Section) and isinstance(step, str) else data[step]
    return data


def _without_consequences(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out "too short" of lists whose items are wrong: pydantic counts only the right ones."""
    around = {entry["loc"][:depth] for entry in found for depth in range(len(entry["loc"]))}
    return [entry for entry in found if entry["type"] != "too_short" or entry["loc"] not in around]


def _without_doubles(lines: list[InitErrorDetails]) -> list[InitErrorDetails]:
    """Keep one of equal errors: each arm of a union reports the same one."""
    return list({(entry["loc"], str(entry["type"])): entry for entry in lines}.values())
