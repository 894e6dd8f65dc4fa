"""What channels send to people, in English and Korean: the table of sentences, and how texts are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args

from services.channel import Language
from services.texts.table import TEXTS
from utils.rounds import Rounds, counted_in

Counted = Literal["at", "point", "count", "of", "from"]


def template(language: Language, name: str) -> str:
    """A sentence of the table with its `{fields}`."""
    return TEXTS[name][get_args(Language).index(language)]


def text(language: Language, name: str, **values: Any) -> str:
    """A sentence in a language, with `values` in its `{fields}`."""
    return template(language, name).format(**values)


def counted(language: Language, rounds: Rounds | None, kind: Counted, number: int, **values: Any) -> str:
    """A number of epochs, or of optimizer steps if the training has `rounds`, in words of a kind.

    `at`: in epoch 3; `point`: epoch 3; `count`: 3 epochs; `of`: epoch 3 of 10, and
    `from`: in epoch 3 of 10, with the value `total`.
    """
    return text(language, f"{kind}_{counted_in(rounds)}", number=number, **values)


def shortened(text: str, limit: int) -> str:
    """Truncate a text to `limit` units; it then ends with `…`. An entity such as `&amp;` is not split."""
    return "".join(fitting((found[0] for found in re.finditer(r"&(?:amp|lt|gt);|.", text, re.DOTALL)), limit))


def fitting(pieces: Iterable[str], limit: int) -> list[str]:
    """The first pieces, `limit` units at most; if some are left out, `…` is the last.

    No more pieces are taken than fit, because a traceback may have millions of characters.
    """
    kept, length, room_for_sign = list[str](), 0, 0
    for piece in pieces:
        length += units(piece)
        if length > limit:
            return [*kept[:room_for_sign], "…"]
        kept.append(piece)
        room_for_sign += length < limit
    return kept


def units(text: str) -> int:
    """The length of a text in UTF-16 units, the strictest of the ways in which services may count characters."""
    return len(text) + sum(character > "\uffff" for character in text)


def duration(language: Language, seconds: float) -> str:
    """A time span in its two largest units: `2 h 05 min`, `12 min`, `40 s`."""
    hours, rest = divmod(round(seconds / 60), 60)
    if seconds < 90:
        return f"{round(seconds)} s" if language == "en" else f"{round(seconds)}초"
    if not hours:
        return f"{rest} min" if language == "en" else f"{rest}분"
    return f"{hours} h {rest:02d} min" if language == "en" else f"{hours}시간 {rest:02d}분"
