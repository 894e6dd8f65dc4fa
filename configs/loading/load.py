"""Read an experiment: YAML, the files it extends and `key=value` arguments → one config, or every problem at once.

config = load("configs/base_train.yaml", ["fold=1", "trainer.epochs=80"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from configs.loading.dry_build import refusals
from configs.loading.further import below_misspelt, refusals_of_blocks
from configs.loading.merge import Merger
from configs.loading.misplaced_keys import suggest_other_block
from configs.loading.nodes import Location, Node, Problem, node_of, refuse
from configs.loading.yaml_reader import FLOAT, INT
from configs.schema import Config
from utils.config.section import IN_QUOTES, UNKNOWN_KEY, UNKNOWN_NAME, Section
from utils.errors import UserError

Schema = TypeVar("Schema", bound=Section)


def load(path: str | FilePath, overrides: Sequence[str] = ()) -> Config:
    """Read the config of a YAML file and `key=value` overrides. Raises `UserError` with all problems, a line each."""
    node, problems = _merged(Config, path, overrides)
    config = _checked(Config, node, problems)
    refuse([Problem(node.location_of(key), key, message) for key, message in refusals(config)])
    return config


def load_as(schema: type[Schema], path: str | FilePath, overrides: Sequence[str] = ()) -> Schema:
    """Read a config of any schema, as `load` does, but without asking the builders."""
    return _checked(schema, *_merged(schema, path, overrides))


def from_mapping(values: Mapping[str, Any], source: str = "config", overrides: Sequence[str] = ()) -> Config:
    """Read the config of plain values, as `as_dict` returns them, and `key=value` overrides; messages name `source`."""
    return mapping_as(Config, values, source, overrides)


def mapping_as(
    schema: type[Schema], values: Mapping[str, Any], source: str = "config", overrides: Sequence[str] = ()
) -> Schema:
    """Read a config of any schema from plain values, as `from_mapping` does."""
    node = node_of(values, Location(source))
    if not overrides:
        return _checked(schema, node, [])
    merger = Merger(schema)
    return _checked(schema, merger.merge(node, merger.overlay(overrides)), merger.problems)


def read_values(path: str | FilePath) -> dict[str, Any]:
    """Return the plain values of a file and all that it extends, without checking them.

    Raises `UserError` for a file that is no YAML.
    """
    node, problems = _merged(Config, path, ())
    refuse(problems)
    values: dict[str, Any] = node.plain()
    return values


def as_dict(config: Section) -> dict[str, Any]:
    """Return plain values (text, numbers, lists, dicts) with every default, for YAML, JSON and weights' metadata."""
    return config.model_dump(mode="json")


def dump(config: Section) -> str:
    """Return YAML with every default, which loads to an equal config."""
    return yaml.dump(as_dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _merged(schema: type[Section], path: str | FilePath, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    merger = Merger(schema)
    overlay = merger.overlay(overrides)
    node = merger.read(FilePath(path))
    if node is None:
        refuse(merger.problems)
        raise UserError(f"{path}: cannot be read")
    return merger.merge(node, overlay), merger.problems


def _checked(schema: type[Schema], node: Node, problems: list[Problem]) -> Schema:
    try:
        config = schema.model_validate(node.plain())
    except ValidationError as error:
        refuse([*problems, *_problems(schema, node, error), *_further(schema, node)])
        raise
    refuse(problems)
    return config


def _problems(schema: type[Section], node: Node, error: ValidationError) -> list[Problem]:
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


def _further(schema: type[Section], node: Node) -> list[Problem]:
    """Return the problems that pydantic has not come to: below misspelt blocks, and those that builders find."""
    values, problems = node.plain(), []
    for key, meant, error in below_misspelt(schema, values):
        written = Node({meant: node.children[key]}, node.location)
        found = [problem for problem in _problems(schema, written, error) if problem.path[:1] == (meant,)]
        problems += [Problem(each.location, (key, *each.path[1:]), each.message) for each in found]
    if schema is Config:
        problems += [Problem(node.location_of(path), path, text) for path, text in refusals_of_blocks(values)]
    return problems


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes every text which PyYAML's rules or ours would read as a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _pattern, _tag in ((INT, "int"), (FLOAT, "float")):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list("-+.0123456789"))
