"""Suggest the block that an unknown key belongs to: `epochs` at the top of a file means `trainer.epochs`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from configs.loading.nodes import Path, dotted
from utils.config.component import component, params_of, unread_kinds
from utils.config.messages import marker
from utils.config.section import Section, sections_of
from utils.config.suggestions import nearest


def suggest_other_block(schema: type[Section], path: Path) -> str | None:
    """Return a message that names the other blocks with a key of this name; None if there is none, or more than 3."""
    if path == ("extends",):
        return "stands in a file, not on the command line"
    if len(path) == 1 and nearest(str(path[0]), ["extends"]):
        return "unknown key. Did you mean 'extends'?"
    others = {
        location
        for location in key_paths(schema, unread_kinds())
        if location[-1] == path[-1] and location[0] != path[0]
    }
    named = " or ".join(f"'{dotted(location)}'" for location in sorted(others, key=dotted))
    return f"unknown key here. Did you mean {named}?" if 1 <= len(others) <= 3 else None


@cache
def key_paths(schema: type[Section], unread: frozenset[str] = frozenset()) -> tuple[Path, ...]:
    """Return the path of every key of a schema, including the parameters of all components but those of `unread`."""
    return tuple(_walk(schema, (), unread))


def _walk(schema: type[Section], path: Path, unread: frozenset[str]) -> Iterator[Path]:
    for name, field in schema.model_fields.items():
        here: Path = (*path, name)
        yield here
        chosen = marker(field.annotation, component, field.metadata)
        for builder in chosen.table().values() if chosen is not None and chosen.kind not in unread else ():
            yield from ((*here, param) for param in params_of(builder).model_fields)
        for section in sections_of(field.annotation):
            yield from _walk(section, here, unread)
