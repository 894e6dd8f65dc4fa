"""Read an experiment: YAML, the files it extends and `key=value` arguments → one config, or every problem at once.

config = load("configs/base_train.yaml", ["fold=1", "trainer.epochs=80"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import yaml

from configs.loading.dry_build import refusals
from configs.loading.further import below_misspelt, refusals_of_blocks
from configs.loading.nodes import Location, Node, Problem, refuse
from configs.loading.schemas import Schema, as_dict, checked, mapping_as, merged, problems_of
from configs.loading.yaml_reader import FLOAT, INT
from configs.schema import Config
from utils.config.section import Section

__all__ = ["as_dict", "dump", "from_mapping", "from_values", "load", "load_as"]


def load(path: str | FilePath, overrides: Sequence[str] = ()) -> Config:
    """Read the config of a YAML file and `key=value` overrides. Raises `UserError` with all problems, a line each."""
    node, problems = merged(Config, path, overrides)
    config = checked(Config, node, problems, partial(_further, Config))
    refuse([Problem(node.location_of(key), key, message) for key, message in refusals(config)])
    return config


def load_as(schema: type[Schema], path: str | FilePath, overrides: Sequence[str] = ()) -> Schema:
    """Read a config of any schema, as `load` does, but without asking the builders."""
    node, problems = merged(schema, path, overrides)
    return checked(schema, node, problems, partial(_further, schema))


def from_mapping(values: Mapping[str, Any], source: str = "config", overrides: Sequence[str] = ()) -> Config:
    """Read the config of plain values, as `as_dict` returns them, and `key=value` overrides; messages name `source`."""
    return mapping_as(Config, values, source, overrides, partial(_further, Config))


def from_values(values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Read the config of plain values that a program gives, as `load` reads a file's: the builders are asked too."""
    config = from_mapping(values, overrides=overrides)
    refuse([Problem(Location("config"), key, message) for key, message in refusals(config)])
    return config


def dump(config: Section) -> str:
    """Return YAML with every default, which loads to an equal config."""
    return yaml.dump(as_dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _further(schema: type[Section], node: Node) -> list[Problem]:
    """Return the problems that pydantic has not come to: below misspelt blocks, and those that builders find."""
    values, problems = node.plain(), []
    for key, meant, error in below_misspelt(schema, values):
        written = Node({meant: node.children[key]}, node.location)
        found = [problem for problem in problems_of(schema, written, error) if problem.path[:1] == (meant,)]
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
