"""Where a key that is unknown here belongs: `epochs` at the top of a file means `trainer.epochs`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from configs.loading.nodes import Path, dotted
from utils.config.component import component, params_of
from utils.config.messages import marker
from utils.config.section import Section
from utils.config.suggestions import nearest


def elsewhere(schema: type[Section], path: Path) -> str | None:
    """A message that names the other blocks with a key of this very name; None where there is none, or a crowd."""
    if path == ("extends",):
        return "stands in a file, not on the command line"
    if len(path) == 1 and nearest(str(path[0]), ["extends"]):
        return "unknown key. Did you mean 'extends'?"
    others = {place for place in key_paths(schema) if place[-1] == path[-1] and place[0] != path[0]}
    named = " or ".join(f"'{dotted(place)}'" for place in sorted(others, key=dotted))
    return f"unknown key here. Did you mean {named}?" if 1 <= len(others) <= 3 else None


@cache
def key_paths(schema: type[Section]) -> tuple[Path, ...]:
    """Every key of a schema; those of components too, of whichever name."""
    return tuple(_walk(schema, ()))


def _walk(schema: type[Section], path: Path) -> Iterator[Path]:
    for name, field in schema.model_fields.items():
        here: Path = (*path, name)
        yield here
        chosen = marker(field.annotation, component, field.metadata)
        for builder in chosen.table().values() if chosen is not None else ():
            yield from ((*here, param) for param in params_of(builder).model_fields)
        for section in _sections(field.annotation):
            yield from _walk(section, here)


def _sections(annotation: object) -> list[type[Section]]:
    """The Section that an annotation is, or may be where null is allowed."""
    arms = getattr(annotation, "__args__", (annotation,))
    return [arm for arm in arms if isinstance(arm, type) and issubclass(arm, Section)]
