"""The type of the key `fold`: one fold (`0`), several (`1,3`), or `all`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from utils.config.messages import shown
from utils.config.section import fault

ALL: Literal["all"] = "all"
NUMBER_LIST = r"^\s*\d{1,9}\s*(,\s*\d{1,9}\s*)+$"
"""Text such as `1,3`."""
Folds: TypeAlias = int | tuple[int, ...] | Literal["all"]
"""A number: one run, in the run's own folder. A tuple or `all`: several runs, in the folders `fold<k>` inside it."""


@dataclass(frozen=True)
class fold_choice:
    """A marker: `Annotated[Any, fold_choice()]` reads a number, a list of numbers, `1,3`, or `all`."""

    @property
    def words(self) -> str:
        """What is expected of a value, for messages and the reference page."""
        return "a fold's number, several such as 1,3, or all"

    def read(self, value: Any) -> Folds:
        """Return a number, a tuple of numbers, or `all`. Raises a `ValidationError` for anything else."""
        if value == ALL:
            return ALL
        if is_fold_number(value):
            return int(value)
        numbers = [int(number) for number in value.split(",")] if is_number_list(value) else value
        if not isinstance(numbers, (list, tuple)) or not numbers or not all(map(is_fold_number, numbers)):
            raise fault(f"expected {self.words}, got {shown(value)}")
        return refuse_repeated([int(number) for number in numbers])

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        number = {"type": "integer", "minimum": 0}
        several = {"type": "array", "items": number, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [number, several, {"const": ALL}, {"type": "string", "pattern": NUMBER_LIST}]}


def is_fold_number(value: Any) -> bool:
    """Return whether this is a fold's number, 0 or more; `1e0` is one, `true` is not."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and value >= 0 and value % 1 == 0


def is_number_list(value: Any) -> bool:
    """Return whether this is text such as `1,3`."""
    return isinstance(value, str) and re.fullmatch(NUMBER_LIST, value) is not None


def refuse_repeated(numbers: list[int]) -> tuple[int, ...]:
    """Return the numbers as a tuple. Raises a `ValidationError` if one of them is given twice."""
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        raise fault(f"{twice[0]} is given more than once")
    return tuple(numbers)
