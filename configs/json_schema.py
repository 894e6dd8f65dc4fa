"""The JSON Schema of a config, docs/config.schema.json: editors complete and check a recipe with it.

`python -m configs.reference` writes it. A recipe names it in a comment at its head:

    # yaml-language-server: $schema=../docs/config.schema.json

No key is required, since a config may extend another file. What depends on several keys is checked by `load` alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.schema import Config
from configs.tables import REGISTRIES
from utils.config.component import COMPONENT_IN_JSON_SCHEMA, Builder, Table, params_of
from utils.config.descriptions import of_parameters, summary_of
from utils.config.section import Section

FILE = Path(__file__).parent.parent / "docs" / "config.schema.json"
COMMENT = "# yaml-language-server: $schema="
"""The line of a recipe that names the file, relative to the recipe."""

Schema = dict[str, Any]


def text() -> str:
    """Return the content of the file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def json_schema() -> Schema:
    """Return the schema of a config, draft 2020-12."""
    config = _of_section(Config)
    extends = {"type": "string", "description": "Another config, a path relative to this file; this one wins."}
    config["properties"] = {"extends": extends, **config["properties"]}
    definitions = config.setdefault("$defs", {})
    for kind, table in REGISTRIES.items():
        definitions |= _of_table(kind, table())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of Carpus",
        **_adapted(config),
    }


def _of_section(section: type[Section]) -> Schema:
    return section.model_json_schema(mode="validation")


def _of_table(kind: str, table: Table) -> dict[str, Schema]:
    """Return the definitions of a component: its name, or its name and parameters.

    Builders with the same parameters share one definition, named after the first.
    """
    definitions: dict[str, Schema] = {}
    named_as: dict[str, str] = {}
    cases = []
    for name, builder in table.items():
        parameters = _of_builder(builder)
        definitions |= parameters.pop("$defs", {})
        reference = named_as.setdefault(json.dumps(parameters, sort_keys=True), f"{kind}.{name}")
        definitions.setdefault(reference, parameters)
        chosen = {"properties": {"name": {"const": name}}, "required": ["name"]}
        cases.append({"if": chosen, "then": {"$ref": f"#/$defs/{reference}"}})
    names = [{"const": name, "description": summary_of(builder)} for name, builder in table.items()]
    block = {"type": "object", "properties": {"name": {"enum": list(table)}}, "allOf": cases}
    return {kind: {"anyOf": [{"type": "string", "oneOf": names}, block]}, **definitions}


def _of_builder(builder: Builder) -> Schema:
    found = _of_section(params_of(builder))
    explained = of_parameters(builder)
    properties = {
        name: {**value, **({"description": explained[name]} if name in explained else {})}
        for name, value in found.get("properties", {}).items()
    }
    return {**found, "properties": {"name": {"type": "string"}, **properties}}


def _adapted(schema: Any, *, is_condition: bool = False) -> Any:
    """Refer to the definitions of components; leave out titles, defaults that are blocks, and what is required."""
    if isinstance(schema, list):
        return [_adapted(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if COMPONENT_IN_JSON_SCHEMA in schema:
        rest = {key: value for key, value in schema.items() if key in ("description", "default")}
        return {"$ref": f"#/$defs/{schema[COMPONENT_IN_JSON_SCHEMA]}", **rest}
    return {
        key: {name: _adapted(value) for name, value in item.items()}
        if key in ("properties", "$defs")
        else _adapted(item, is_condition=key == "if")
        for key, item in schema.items()
        if not _is_left_out(key, item, is_condition)
    }


def _is_left_out(key: str, value: Any, is_condition: bool) -> bool:
    return key == "title" or (key == "required" and not is_condition) or (key == "default" and isinstance(value, dict))
