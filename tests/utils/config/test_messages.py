from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, NonNegativeFloat, PositiveInt

from utils.config.messages import describe, item_type, leaf_types, marker, shown
from utils.config.section import Section


class Block(Section):
    key: int = 0


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (PositiveInt, "a whole number of 1 or more"),
        (Annotated[int, Field(ge=2, lt=9)], "a whole number from 2 to 8"),
        (NonNegativeFloat, "a number of 0 or more"),
        (Annotated[float, Field(gt=0, le=1)], "a number above 0 and at most 1"),
        (Annotated[float, Field(ge=0, lt=1)], "a number of at least 0 and below 1"),
        (Annotated[float, Field(le=5)] | None, "a number of 5 or less, or null"),
        (Literal["max", "min"], "max or min"),
        (bool, "true or false"),
        (Path, "a path"),
        (tuple[str, ...], "a list of texts"),
        (Sequence[PositiveInt], "a list of whole numbers of 1 or more"),
        (Annotated[tuple[Block, ...], Field(min_length=1)], "a list of 1 or more blocks of keys"),
        (tuple[float, float], "a list of 2 numbers"),
        (tuple[int, str], "a list of 2: a whole number, text"),
        (int | tuple[int, int], "a whole number, or a list of 2 whole numbers"),
        (dict[str, Any] | None, "a block of keys, or null"),
        (Block, "a block of keys"),
    ],
)
def test_types_are_reported_in_words(annotation: Any, words: str) -> None:
    assert describe(annotation) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        ("many", "'many'"),
        (2.0, "2"),
        (1e-6, "1e-06"),
        ([1, "a"], "[1, 'a']"),
        ({"a": None}, "{a: nothing}"),
    ],
)
def test_values_are_shown_as_they_were_written(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_long_value_is_cut() -> None:
    assert len(shown(list(range(1000)))) == 60


def test_types_are_looked_for_inside() -> None:
    assert leaf_types(Annotated[int, Field(ge=1)] | tuple[float, ...] | None) == {int, float, type(None)}
    assert item_type(tuple[int, ...] | None) is int
    assert item_type(tuple[int, int]) is None
    assert marker(Annotated[int, "a"] | None, str) == "a"
