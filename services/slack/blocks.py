"""Slack's building blocks: texts escaped and cut to what Slack takes, so that no name or traceback breaks a message.

Lengths are counted in UTF-16 units, the stricter of the ways in which Slack may count. What is cut shows it: `…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from utils.redact import redact

Block = dict[str, Any]

# https://docs.slack.dev/reference/block-kit/blocks
MOST_BLOCKS, MOST_FIELDS = 50, 10
HEADER_LIMIT, SECTION_LIMIT, FIELD_LIMIT = 150, 3000, 2000
TEXT_LIMIT = 4000
"""Of the text beside the blocks; Slack cuts at 40,000, and advises against more than this."""
BLOCKS_LIMIT = 12_000
"""Of all blocks together. Slack refuses more than about 13,000 (`msg_blocks_too_long`)."""

CUT = "…"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Message:
    """`text` is what a notification shows, already escaped; `blocks` what the channel shows."""

    text: str
    blocks: tuple[Block, ...]

    @property
    def in_full(self) -> str:
        """All of it as one text, for where blocks are refused."""
        return shortened("\n".join(_texts_of(self.blocks)) or self.text, TEXT_LIMIT)


@dataclass(frozen=True)
class Place:
    """A message that Slack has taken: the channel's ID and the message's time stamp, which names it."""

    channel: str
    ts: str


def message(text: str, blocks: Iterable[Block | None]) -> Message:
    """A message of the blocks that are not None; those beyond what Slack takes are left out, the last ones first."""
    taken, room = [], BLOCKS_LIMIT
    for block in [block for block in blocks if block is not None][:MOST_BLOCKS]:
        room -= sum(map(units, _texts_of([block])))
        if room < 0:
            break
        taken.append(block)
    return Message(shortened(text, TEXT_LIMIT), tuple(taken))


def header(text: str) -> Block:
    """A large line; plain text, so nothing in it is escaped."""
    return {"type": "header", "text": {"type": "plain_text", "text": shortened(_clean(text), HEADER_LIMIT)}}


def section(text: str) -> Block:
    """A paragraph of mrkdwn, whose parts are escaped already."""
    return {"type": "section", "text": _mrkdwn(text, SECTION_LIMIT)}


def fields(pairs: Sequence[tuple[str, str]]) -> Block:
    """Two columns of a label and a value each; the values are escaped here."""
    shown = [_mrkdwn(f"*{label}*\n{escaped(value, 200)}", FIELD_LIMIT) for label, value in pairs]
    return {"type": "section", "fields": shown[:MOST_FIELDS]}


def context(*texts: str) -> Block:
    """Small grey lines of mrkdwn, whose parts are escaped already."""
    return {"type": "context", "elements": [_mrkdwn(text, FIELD_LIMIT) for text in texts[:MOST_FIELDS]]}


def code(text: str, *, keep: str = "head") -> Block:
    """Text as it is, in a fixed width. Of too much the head is kept, or the `tail`."""
    kept = escaped_tail if keep == "tail" else escaped
    inside = kept(text.strip("\n").replace("```", "'''"), SECTION_LIMIT - len("``````") - 10)
    return section(f"```{inside}```")


def escaped(text: str, limit: int) -> str:
    """Somebody's text for mrkdwn: nothing in it is a link or calls anybody. At most `limit` units, its head kept."""
    return "".join(_fitting([_ENTITIES.get(character, character) for character in _clean(text)], limit))


def escaped_tail(text: str, limit: int) -> str:
    """As `escaped`, its tail kept: the end of a traceback says what happened."""
    characters = [_ENTITIES.get(character, character) for character in reversed(_clean(text))]
    return "".join(reversed(_fitting(characters, limit)))


def shortened(text: str, limit: int) -> str:
    """The head of an escaped or plain text; an entity is not cut in the middle."""
    pieces = re.findall(r"&(?:amp|lt|gt);|.", text, re.DOTALL)
    return "".join(_fitting(pieces, limit))


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def _fitting(pieces: Sequence[str], limit: int) -> list[str]:
    """The first pieces, together at most `limit` units; where some are left out, a sign of that is the last."""
    used = 0
    for place, piece in enumerate(pieces):
        used += units(piece)
        if used > limit:
            return [*_fitting_exactly(pieces[:place], limit - units(CUT)), CUT]
    return list(pieces)


def _fitting_exactly(pieces: Sequence[str], limit: int) -> Sequence[str]:
    used = sum(map(units, pieces))
    while used > limit:
        used -= units(pieces[-1])
        pieces = pieces[:-1]
    return pieces


def _clean(text: str) -> str:
    """Without secrets, without control characters, and without what is no Unicode, as file names may be."""
    return _CONTROL.sub("", redact(text).encode("utf-8", "replace").decode())


def _mrkdwn(text: str, limit: int) -> Block:
    return {"type": "mrkdwn", "text": shortened(text, limit)}


def _texts_of(blocks: Iterable[Block]) -> Iterable[str]:
    for block in blocks:
        for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())):
            if part is not None:
                yield str(part["text"])
