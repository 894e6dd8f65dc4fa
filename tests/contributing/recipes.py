"""Packs the YAML of the page into as few recipes as possible, since each costs a training."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.contributing.page import Section, Step


@dataclass
class Recipe:
    """Keys at the top level of a config, each with its lines, and the sections that they come from."""

    beginning: str
    """Its first lines."""
    taken: set[str] = field(default_factory=set)
    """Keys that the next example must not set."""
    blocks: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def take(self, section: Section, step: Step) -> None:
        blocks = blocks_of(step.code)
        self.blocks |= blocks
        self.taken |= blocks.keys()
        self.steps.append(step)
        self.sections += [section] if section not in self.sections else []

    @property
    def text(self) -> str:
        """The whole file; if an example sets a key of the beginning, the example counts."""
        return "".join({**blocks_of(self.beginning), **self.blocks}.values())


def recipes_of(sections: Iterable[Section], beginning: str) -> list[Recipe]:
    """Put every example into the first recipe in which its keys are free; the first one keeps its whole beginning."""
    recipes = [Recipe(beginning, taken=set(blocks_of(beginning)))]
    for section in sections:
        if not section.of("use"):
            recipes[0].sections.append(section)
        for step in section.of("use"):
            free = [recipe for recipe in recipes if not recipe.taken & blocks_of(step.code).keys()]
            if not free:
                free = [Recipe(beginning)]
                recipes += free
            free[0].take(section, step)
    return recipes


def blocks_of(yaml: str) -> dict[str, str]:
    """The lines of each top-level key, as they stand."""
    blocks = re.findall(r"(?ms)^((\w+):.*?)(?=^\w|\Z)", f"{yaml.rstrip()}\n")
    return {key: lines for lines, key in blocks}
