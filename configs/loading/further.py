"""Find further problems of a config that is refused already, so that all of them are told in one round.

Pydantic does not look into a block whose name it does not know, and builders are not asked about a config that is not
valid as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from configs.loading.dry_build import refusals
from configs.loading.nodes import Path
from configs.schema import Config
from utils.config.section import Section
from utils.config.suggestions import nearest

BLOCKS = ("model", "loss", "optimizer", "transform")
"""Blocks whose builders can be asked without the rest of a config."""
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
    """Yield what builders refuse of the blocks that are valid by themselves."""
    for block in BLOCKS:
        if block not in values:
            continue
        task = {"task": values["task"]} if "task" in values else {}
        try:
            alone = Config.model_validate({**MINIMAL, **task, block: values[block]})
        except ValidationError:
            continue
        yield from (refusal for refusal in refusals(alone) if refusal[0][0] == block)
