"""What the key `fold` may say: one fold (`0`), several (`1,3`), or `all`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from utils.config.messages import shown
from utils.config.section import fault

ALL: Literal["all"] = "all"
Folds: TypeAlias = int | tuple[int, ...] | Literal["all"]
"""A number is one run in the run's own folder; numbers in a list, and `all`, are runs in its folders `fold<k>`."""


@dataclass(frozen=True)
class fold_choice:
    """Makes `Annotated[Any, fold_choice()]` read a number, a list of numbers, `1,3`, or `all`."""

    @property
    def words(self) -> str:
        """What is expected here, for messages and the reference page."""
        return "a fold's number, several such as 1,3, or all"

    def read(self, value: Any) -> Folds:
        """The choice as a number, a tuple of numbers, or `all`; a `ValidationError` for anything else."""
        if value == ALL:
            return ALL
        if is_whole(value):
            return int(value)
        numbers = [int(number) for number in value.split(",")] if is_list(value) else value
        if not isinstance(numbers, (list, tuple)) or not numbers or not all(map(is_whole, numbers)):
            raise fault(f"expected {self.words}, got {shown(value)}")
        return once_each([int(number) for number in numbers])

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


def is_whole(value: Any) -> bool:
    """Whether this is a fold's number; `1e0` is one, `true` is not."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and value >= 0 and value % 1 == 0


def is_list(value: Any) -> bool:
    """Whether this is text such as `1,3`."""
    return isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)+", value) is not None


def once_each(numbers: list[int]) -> tuple[int, ...]:
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        raise fault(f"{twice[0]} is given more than once")
    return tuple(numbers)
