"""What answers have in common: their description for OpenAPI, and the time that they took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

REASONS = {
    400: "The form cannot be read, or there is no file in it.",
    401: "The server needs an API key, and the request has none or another one.",
    408: "The request was not sent in time.",
    413: "Too large: bytes, pixels, or number of files.",
    415: "No form, or no image of a format that is known.",
    422: "A damaged image, or a parameter that cannot be.",
    429: "Too many requests of this address are in work.",
    503: "Too many images are in work, or it took too long; `Retry-After` says when to try again.",
}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "One sentence."}},
    "required": ["error"],
}
TIME = "X-Processing-Time"


def responses(content: dict[str, Any], statuses: Sequence[int] = tuple(REASONS)) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an endpoint: what it answers with 200, by media type, and its refusals."""
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": REASONS[status], "content": {"application/json": {"schema": ERROR}}}
        for status in statuses
    }
    header = {
        TIME: {"description": "Seconds from the head of the request to the answer.", "schema": {"type": "number"}}
    }
    return {200: {"description": "Done.", "content": content, "headers": header}, **refusals}


BINARY = {"schema": {"type": "string", "format": "binary"}}


def time_header(request: Request) -> dict[str, str]:
    """Return the header with the seconds since the request began."""
    return {TIME: f"{time.perf_counter() - request.state.begun_s:.3f}"}
