"""Read values of any schema: a file or a mapping, and `key=value` → a checked block, or every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from configs.loading.merge import Merger
from configs.loading.misplaced_keys import suggest_other_block
from configs.loading.nodes import Location, Node, Problem, node_of, refuse
from utils.config.section import IN_QUOTES, UNKNOWN_KEY, UNKNOWN_NAME, Section
from utils.errors import UserError

Schema = TypeVar("Schema", bound=Section)
FindFurther: TypeAlias = Callable[[Node], Iterable[Problem]]
"""Values that are refused → the problems that pydantic has not come to."""


def mapping_as(
    schema: type[Schema],
    values: Mapping[str, Any],
    source: str = "config",
    overrides: Sequence[str] = (),
    further: FindFurther = lambda _: (),
) -> Schema:
    """Read plain values, as `as_dict` returns them, and `key=value` overrides; messages name `source`."""
    node = node_of(values, Location(source))
    if not overrides:
        return checked(schema, node, [], further)
    merger = Merger(schema)
    return checked(schema, merger.merge(node, merger.overlay(overrides)), merger.problems, further)


def read_values(schema: type[Section], path: str | FilePath) -> dict[str, Any]:
    """Return the plain values of a file and all that it extends, unchecked. Raises `UserError` if it is no YAML."""
    node, problems = merged(schema, path, ())
    refuse(problems)
    values: dict[str, Any] = node.plain()
    return values


def as_dict(config: Section) -> dict[str, Any]:
    """Return plain values (text, numbers, lists, dicts) with every default, for YAML, JSON and weights' metadata."""
    return config.model_dump(mode="json")


def merged(schema: type[Section], path: str | FilePath, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """Merge a file, what it extends and overrides; return the tree and the problems that were found on the way."""
    merger = Merger(schema)
    overlay = merger.overlay(overrides)
    node = merger.read(FilePath(path))
    if node is None:
        refuse(merger.problems)
        raise UserError(f"{path}: cannot be read")
    return merger.merge(node, overlay), merger.problems


def checked(schema: type[Schema], node: Node, problems: list[Problem], further: FindFurther = lambda _: ()) -> Schema:
    """Validate a tree. Raises `UserError` with all problems, a line each, those that were found before included."""
    try:
        config = schema.model_validate(node.plain())
    except ValidationError as error:
        refuse([*problems, *problems_of(schema, node, error), *further(node)])
        raise
    refuse(problems)
    return config


def problems_of(schema: type[Section], node: Node, error: ValidationError) -> list[Problem]:
    """Return the errors of validation with the file and line, or the argument, in which each value was written."""
    problems = []
    for found in error.errors():
        path, message = found["loc"], found["msg"].removeprefix("Value error, ")
        location = node.location_of(path)
        if found["type"] == UNKNOWN_KEY:
            message = suggest_other_block(schema, path) or message
        # On the command line the shell removes quotes, so the remedy must name two pairs of them.
        if location.key:
            message = message.replace(IN_QUOTES, f"{IN_QUOTES} that the shell leaves: {location.key}='\"…\"'")
        named = found["type"] == UNKNOWN_NAME and path[-1:] == ("name",)
        problems.append(Problem(location, path[:-1] if named else path, message))
    return problems
