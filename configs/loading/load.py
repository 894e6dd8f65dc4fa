"""Read an experiment: YAML, the files it extends and `key=value` arguments → one config, or every problem at once.

config = load("configs/base_train.yaml", ["fold=1", "trainer.epochs=80"])
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from configs.loading.dry_build import refusals
from configs.loading.further import below_misspelt, refusals_of_blocks
from configs.loading.nodes import Location, Node, Problem, refuse
from configs.loading.schemas import Schema, as_dict, checked, mapping_as, merged, problems_of
from configs.loading.yaml_reader import FLOAT, INT
from configs.schema import Config
from utils.config.component import unread
from utils.config.section import Section
from utils.errors import AlreadyReported, UserError

__all__ = ["as_dict", "as_yaml", "dump", "from_mapping", "from_values", "load", "load_as"]


NEED_TORCH = ("model", "loss", "optimizer", "scheduler")
"""Components whose tables import torch, which takes seconds."""
LOOKING_ON = "Looking for more in model, loss, optimizer and scheduler, which takes seconds ..."

log = logging.getLogger(__name__)


def load(
    path: str | FilePath, overrides: Sequence[str] = (), *, early: Callable[[Config], object] = lambda _: None
) -> Config:
    """Read the config of a YAML file and `key=value` overrides. Raises `UserError` with all problems, a line each.

    If torch is not loaded yet, problems that can be found without it are logged first, and those that are found with it
    follow; `early` is called with a config whose components are not read, so that it may refuse what else is wrong.
    """
    node, problems = merged(Config, path, overrides)
    logged = [] if sys.modules.get("torch") else _log_without_torch(node, problems, early)
    try:
        config = checked(Config, node, problems, partial(_further, Config))
        refuse([Problem(node.location_of(key), key, message) for key, message in refusals(config)])
    except UserError as error:
        raise _rest_of(error, logged) from error
    return config


def _log_without_torch(node: Node, problems: list[Problem], early: Callable[[Config], object]) -> list[str]:
    """Log the problems of a config without its `NEED_TORCH`, and return them, a line each; call `early` if none is.

    None is known if a key may be a parameter of these, such as `lr`: then they are needed to say so.
    """
    config, found = None, list(problems)
    with unread(NEED_TORCH):
        try:
            config = Config.model_validate(node.plain())
        except ValidationError as error:
            found += [*problems_of(Config, node, error), *_below_misspelt(Config, node)]
    if any(each.message.startswith("unknown key") and "Did you mean" not in each.message for each in found):
        return []
    try:
        refuse(found)
    except UserError as error:
        log.error("%s", error)
        log.info(LOOKING_ON)
        return str(error).splitlines()
    if config is not None:
        early(config)
    return []


def _rest_of(error: UserError, logged: Sequence[str]) -> UserError:
    """Return an error with the problems that are not logged yet; one that is written nowhere if there are no others."""
    rest = [line for line in str(error).splitlines() if line not in logged]
    return UserError("\n".join(rest)) if rest else AlreadyReported(str(error), 2)


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
    return as_yaml(as_dict(config))


def as_yaml(values: Mapping[str, Any]) -> str:
    """Return YAML of plain values, whose texts our reader reads as texts."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _further(schema: type[Section], node: Node) -> list[Problem]:
    """Return the problems that pydantic has not come to: below misspelt blocks, and those that builders find."""
    problems = _below_misspelt(schema, node)
    if schema is Config:
        found = refusals_of_blocks(node.plain())
        problems += [Problem(node.location_of(path), path, text) for path, text in found]
    return problems


def _below_misspelt(schema: type[Section], node: Node) -> list[Problem]:
    """Return the problems in blocks whose names are misspelt."""
    problems = []
    for key, meant, error in below_misspelt(schema, node.plain()):
        written = Node({meant: node.children[key]}, node.location)
        found = [problem for problem in problems_of(schema, written, error) if problem.path[:1] == (meant,)]
        problems += [Problem(each.location, (key, *each.path[1:]), each.message) for each in found]
    return problems


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes every text which PyYAML's rules or ours would read as a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _pattern, _tag in ((INT, "int"), (FLOAT, "float")):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list("-+.0123456789"))
