"""What Slack takes as a message, by the limits that it documents, and a few that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TEXT, HEADER, SECTION, FIELD, CONTEXT, ALL_BLOCKS = 40_000, 150, 3000, 2000, 2000, 13_000


def fault_in_message(message: dict[str, Any]) -> str | None:
    """The error code for a message that Slack does not take; None for one that it does."""
    blocks = message.get("blocks", [])
    if len(message["text"]) > TEXT:
        return "msg_too_long"
    if not isinstance(blocks, list) or len(blocks) > 50 or any(map(_is_wrong, blocks)):
        return "invalid_blocks"
    if sum(_units(text) for block in blocks for text in texts_of(block)) > ALL_BLOCKS:
        return "msg_blocks_too_long"
    metadata = message.get("metadata", {"event_type": "x", "event_payload": {}})
    if not (isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)):
        return "invalid_metadata_format"
    return None


def texts_of(block: dict[str, Any]) -> Iterator[str]:
    """All texts of a block."""
    for part in (block.get("text"), *block.get("fields", []), *block.get("elements", [])):
        if part:
            yield part["text"]


def _is_wrong(block: Any) -> bool:
    kind = block.get("type")
    if kind == "divider":
        return False
    if kind == "header":
        return not _is_text(block.get("text"), HEADER, "plain_text")
    if kind == "context":
        elements = block.get("elements", [])
        return not 1 <= len(elements) <= 10 or not all(_is_text(part, CONTEXT, "mrkdwn") for part in elements)
    if kind != "section" or not ("text" in block or "fields" in block):
        return True
    fields = block.get("fields", [])
    fits = "text" not in block or _is_text(block["text"], SECTION, "mrkdwn")
    return not fits or len(fields) > 10 or not all(_is_text(part, FIELD, "mrkdwn") for part in fields)


def _is_text(part: Any, limit: int, kind: str) -> bool:
    return isinstance(part, dict) and part.get("type") == kind and 1 <= _units(part.get("text", "")) <= limit


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
