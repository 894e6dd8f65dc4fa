"""Read the parameters of requests by their schema, word what is wrong with them, and describe them for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from utils.config.messages import describe, shown
from utils.config.suggestions import did_you_mean_of_all
from web.faults import Refused

Schema = TypeVar("Schema", bound=BaseModel)


def read(schema: type[Schema], values: Mapping[str, str]) -> Schema:
    """Read texts of a form or query. An empty text counts as not given. Raises `Refused` with the first problem."""
    given = {name: value for name, value in values.items() if value != ""}
    unknown = next((name for name in given if name not in schema.model_fields), None)
    if unknown is not None:
        hint = did_you_mean_of_all(unknown[:60], schema.model_fields)
        raise Refused(422, f"{shown(unknown)} is no parameter. {hint}")
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        field = schema.model_fields[name]
        words = describe(field.annotation, field.metadata).removesuffix(", or null")
        raise Refused(422, f"{name}: expected {words}, got {shown(given[name])}.") from None


def refuse_others(request: Request) -> None:
    """Raise `Refused` for a parameter of the query that an endpoint without a form does not have."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        hint = did_you_mean_of_all(unknown[:60], known) if known else "It has none: leave this one out."
        raise Refused(422, f"{shown(unknown)} is no parameter. {hint}")


def fields_of(schema: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each field; those that may be absent are not `null` in a form."""
    found: dict[str, dict[str, Any]] = {}
    for name, about in schema.model_json_schema()["properties"].items():
        arms = [arm for arm in about.pop("anyOf", []) if arm != {"type": "null"}]
        about = {**(arms[0] if len(arms) == 1 else {}), **about}
        about.pop("title", None)
        if about.get("default", ...) is None:
            about.pop("default")
        found[name] = about
    return found


def described(schema: type[BaseModel], files: Mapping[str, str], *, many: str | None = None) -> dict[str, Any]:
    """Return the part of OpenAPI that describes a form with these fields and files, and the same fields as a query.

    `many`: the file field that is a list.
    """
    binary = {"type": "string", "format": "binary"}
    parts: dict[str, Any] = {
        name: {"type": "array", "items": binary, "minItems": 1, "description": told}
        if name == many
        else {**binary, "description": told}
        for name, told in files.items()
    }
    fields = fields_of(schema)
    form = {
        "type": "object",
        "properties": {**parts, **fields},
        "required": [next(iter(files))],
        "additionalProperties": False,
    }
    query = [
        {"name": name, "in": "query", "required": False, "schema": about, "description": about.get("description", "")}
        for name, about in fields.items()
    ]
    return {
        "parameters": query,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
    }
