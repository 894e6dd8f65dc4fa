"""Slack's blocks: texts are escaped and truncated to Slack's limits, so that any name or traceback can be sent.

Lengths are counted in UTF-16 units, the strictest of the ways in which Slack may count. A truncated text ends with `…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.texts import fitting, shortened, units
from utils.redact import redact

Block = dict[str, Any]

# https://docs.slack.dev/reference/block-kit/blocks
MOST_BLOCKS, MOST_FIELDS = 50, 10
HEADER_LIMIT, SECTION_LIMIT, FIELD_LIMIT = 150, 3000, 2000
TEXT_LIMIT = 4000
"""Limit of the text beside the blocks. Slack truncates it at 40,000, and advises against more than 4,000."""
BLOCKS_LIMIT = 12_000
"""Limit of all blocks together. Slack refuses more than about 13,000 (`msg_blocks_too_long`)."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Message:
    """`text` is what a notification shows, already escaped; `blocks` what the channel shows."""

    text: str
    blocks: tuple[Block, ...]

    @property
    def in_full(self) -> str:
        """The texts of all blocks as one text, used if Slack refuses the blocks."""
        return shortened("\n".join(_texts_of(self.blocks)) or self.text, TEXT_LIMIT)


@dataclass(frozen=True)
class PostedMessage:
    """A message in Slack, identified by the channel's ID and the message's time stamp."""

    channel: str
    ts: str


@dataclass(frozen=True)
class File:
    """A file's name and title in Slack, and its content."""

    name: str
    title: str
    content: bytes | Path
    snippet_type: str | None = None
    """The language by which Slack highlights a text file."""


def message(text: str, blocks: Iterable[Block | None]) -> Message:
    """A message of the blocks that are not None; blocks at the end are left out if there are too many for Slack."""
    taken, room = [], BLOCKS_LIMIT
    for block in [block for block in blocks if block is not None][:MOST_BLOCKS]:
        room -= sum(map(units, _texts_of([block])))
        if room < 0:
            break
        taken.append(block)
    return Message(shortened(text, TEXT_LIMIT), tuple(taken))


def paragraph(sentence: str) -> Message:
    """A message of one paragraph of mrkdwn, whose parts the caller has escaped."""
    return message(sentence, [section(sentence)])


def header(text: str) -> Block:
    """A large line. It is plain text, so nothing in it is escaped."""
    return {"type": "header", "text": {"type": "plain_text", "text": shortened(_clean(text), HEADER_LIMIT)}}


def section(text: str) -> Block:
    """A paragraph of mrkdwn; the caller has escaped its parts."""
    return {"type": "section", "text": _mrkdwn(text, SECTION_LIMIT)}


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """Labels and values in two columns; the values are escaped here."""
    shown = [_mrkdwn(f"*{label}*\n{escaped(value, 200)}", FIELD_LIMIT) for label, value in pairs]
    return {"type": "section", "fields": shown[:MOST_FIELDS]}


def context(*texts: str) -> Block:
    """Small grey lines of mrkdwn; the caller has escaped their parts."""
    return {"type": "context", "elements": [_mrkdwn(text, FIELD_LIMIT) for text in texts[:MOST_FIELDS]]}


def code(text: str, *, keep: str = "head") -> Block:
    """Text in a font of fixed width. If it is too long, its head is kept, or its `tail`."""
    kept = escaped_tail if keep == "tail" else escaped
    inside = kept(text.strip("\n").replace("```", "'''"), SECTION_LIMIT - len("``````") - 10)
    return section(f"```{inside}```")


def escaped(text: str, limit: int) -> str:
    """Escape a text for mrkdwn, so that it has no links and mentions, and truncate it to `limit` units."""
    return "".join(fitting((_ENTITIES.get(character, character) for character in _clean(text)), limit))


def escaped_tail(text: str, limit: int) -> str:
    """As `escaped`, but keep the tail of the text: the end of a traceback says what happened."""
    characters = (_ENTITIES.get(character, character) for character in reversed(_clean(text)))
    return "".join(reversed(fitting(characters, limit)))


def _clean(text: str) -> str:
    """The text without secrets, control characters and invalid Unicode, which file names may contain."""
    return _CONTROL.sub("", redact(text).encode("utf-8", "replace").decode())


def _mrkdwn(text: str, limit: int) -> Block:
    return {"type": "mrkdwn", "text": shortened(text, limit)}


def _texts_of(blocks: Iterable[Block]) -> Iterable[str]:
    for block in blocks:
        for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())):
            if part is not None:
                yield str(part["text"])
