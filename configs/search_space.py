"""The search space: a file SPACE.yaml with keys of a config, each with a range or with choices.

optimizer.lr: {low: 1e-4, high: 1e-2, log: true}
trainer.batch_size: {low: 1, high: 4}             whole numbers, because both ends are
loss: {choices: [dice, {name: focal, gamma: 1.5}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Self, TypeAlias

from pydantic import Field, ValidationError, model_validator

from configs.loading.load import load
from configs.loading.nodes import Node, Problem, refuse
from configs.loading.yaml_reader import read_file, scalar
from utils.config.messages import shown
from utils.config.section import Section, fault
from utils.errors import UserError

RESERVED = ("run", "services", "fold", "task")
"""Blocks and keys that a search sets itself, or without which the scores of two trials cannot be compared."""


class Span(Section):
    """A range that includes both ends; of whole numbers if both ends are whole."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the range holds whole numbers only."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    @property
    def values_to_try(self) -> tuple[Any, ...]:
        """The values that are checked when the space is loaded: both ends."""
        return (self.low, self.high)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high:
            raise fault(f"expected more than low, {shown(self.low)}, got {shown(self.high)}", "high")
        if self.log and self.low <= 0:
            raise fault(f"expected a number above 0, for log is true; got {shown(self.low)}", "low")
        if self.step is not None and (self.log or self.step <= 0):
            raise fault("expected a number above 0, and no step where log is true", "step")
        return self


class Choices(Section):
    """A list of values; for a component also names with parameters."""

    choices: tuple[Any, ...] = Field(min_length=2)

    @property
    def values_to_try(self) -> tuple[Any, ...]:
        """The values that are checked when the space is loaded: all of them."""
        return self.choices


Space: TypeAlias = Mapping[str, "Span | Choices"]


def load_space(path: FilePath, config: FilePath, overrides: Sequence[str] = ()) -> Space:
    """Read a search space; check each of its values by itself in the experiment `config`.

    Raises `UserError` with everything that is wrong, a line each: file, line, key, what was expected.
    """
    problems: list[Problem] = []
    node = read_file(path, problems)
    refuse(problems)
    if node is None or not node.value:
        raise UserError(f"{path}: names no key. Write for example: optimizer.lr: {{low: 1e-4, high: 1e-2, log: true}}")
    load(config, overrides)  # refuse first what is wrong without the space
    space = {key: _checked(key, child, problems) for key, child in node.value.items()}
    for key, choice in space.items():
        if choice is not None:
            problems += _unusable(key, choice, node.value[key], config, overrides)
    refuse(problems)
    return {key: choice for key, choice in space.items() if choice is not None}


def format_override(key: str, value: Any) -> str:
    """Return `key=value` for the command line; the value is quoted unless YAML reads it as the same text."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w./+-]+", value) and scalar(value) == value
    return f"{key}={value if plain else json.dumps(value, ensure_ascii=False)}"


def _checked(key: str, node: Node, problems: list[Problem]) -> Span | Choices | None:
    """Return one key's range or choices; None, with its problems noted, if it is neither."""
    if key.split(".")[0] in RESERVED:
        problems.append(Problem(node.location, (key,), "cannot be searched: trials would be no longer comparable"))
        return None
    given = node.plain()
    kind = Choices if isinstance(given, dict) and "choices" in given else Span
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        for found in error.errors():
            problems.append(Problem(node.location_of(found["loc"]), (key, *found["loc"]), _expectation(found["msg"])))
        return None


def _expectation(message: str) -> str:
    return message.replace("expected a block of keys", "expected {low: …, high: …} or {choices: […]}")


def _unusable(
    key: str, choice: Span | Choices, node: Node, config: FilePath, overrides: Sequence[str]
) -> Iterator[Problem]:
    """Yield what the experiment refuses about each value of one key; equal sentences once."""
    seen = set()
    for value in choice.values_to_try:
        override = format_override(key, value)
        for line in _complaints(lambda override=override: load(config, [*overrides, override])):  # type: ignore[misc]
            message = line.removeprefix(f"command line: {override}: ")
            if message not in seen:
                yield Problem(node.location, (key,), message)
            seen.add(message)


def _complaints(attempt: Callable[[], object]) -> list[str]:
    try:
        attempt()
    except UserError as error:
        return str(error).splitlines()
    return []
