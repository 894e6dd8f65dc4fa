"""Find further problems of a config that is refused already, so that all of them are told in one round.

Pydantic does not look into a block whose name it does not know, and builders are not asked about a config that is not
valid as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from configs import tables
from configs.loading.dry_build import refusals
from configs.loading.nodes import Path
from configs.schema import Config
from utils.config.section import Section
from utils.config.suggestions import nearest

BLOCKS = ("model", "loss", "optimizer", "transform")
"""Blocks whose builders can be asked without the rest of a config."""
COMPONENTS = {"model": tables.models, "loss": tables.losses, "optimizer": tables.optimizers}
"""The blocks among these that name a component; a key `name` in another is an invalid one."""
MINIMAL = {"run": {"name": "x"}, "model": {"name": "unet"}}


def below_misspelt(schema: type[Section], values: dict[str, Any]) -> Iterator[tuple[str, str, ValidationError]]:
    """Yield each misspelt block, the block that is meant, and the errors of the config with that name in its place."""
    for key in values.keys() - schema.model_fields.keys():
        for meant in nearest(key, list(schema.model_fields))[:1]:
            corrected = {name: value for name, value in values.items() if name != key} | {meant: values[key]}
            try:
                schema.model_validate(corrected)
            except ValidationError as error:
                yield key, meant, error


def refusals_of_blocks(values: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield what builders refuse of each block by itself, and what is wrong below a misspelt name of a component."""
    for block in BLOCKS:
        if block in values:
            task = {"task": values["task"]} if "task" in values else {}
            yield from _faults_of(block, {**MINIMAL, **task, block: values[block]})


def _faults_of(block: str, values: dict[str, Any], *, renamed: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield the refusals of a block without its invalid keys; with `renamed` first those keys."""
    try:
        alone = Config.model_validate(values)
    except ValidationError as error:
        if renamed:
            yield from ((found["loc"], found["msg"].removeprefix("Value error, ")) for found in error.errors())
        corrected = _corrected(block, values[block], error)
        if corrected is not None:
            yield from _faults_of(
                block, {**values, block: corrected}, renamed=corrected.get("name") != values[block].get("name")
            )
        return
    yield from (refusal for refusal in refusals(alone) if refusal[0][0] == block)


def _corrected(block: str, given: Any, error: ValidationError) -> dict[str, Any] | None:
    """Return a block with the nearest name for a misspelt one, and without its other invalid keys; None if neither."""
    if not isinstance(given, dict):
        return None
    corrected = dict(given)
    for found in error.errors():
        key = found["loc"][1] if found["loc"][:1] == (block,) and len(found["loc"]) > 1 else None
        corrected.pop(key, None)
        if key == "name" and block in COMPONENTS:
            near = nearest(str(given.get("name")), COMPONENTS[block]())
            if not near:
                return None
            corrected["name"] = near[0]
    return None if corrected == given else corrected
