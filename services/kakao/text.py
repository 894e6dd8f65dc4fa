"""The text of KakaoTalk messages: 200 characters at most, the most important line first, the link never truncated."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from services.channel import Language, QueuedEvent, RunFacts
from services.texts import shortened, text, units
from services.texts.sentences import Words, sentence_of
from utils.events import RunFailed

LIMIT = 200
"""Characters of a text template. https://developers.kakao.com/docs/latest/ko/message-template/default"""
LONGEST_TITLE = 60
LONGEST_LINK = 110
"""A longer link is not in the text, but behind the button alone."""
WORTH_CUTTING = 24
"""A line is truncated to the room that is left, or left out if the room is smaller than this."""
LATE_S = 300.0
"""A message that is sent later than this after its event gives the event's time."""


def template_of(language: Language, facts: RunFacts, queued: QueuedEvent, link: str | None, *, now_s: float) -> Any:
    """The message in the form of KakaoTalk's API."""
    target = {"web_url": link, "mobile_web_url": link} if link else {}  # it opens on domains registered for the app
    button = {"button_title": text(language, "open")} if link else {}
    words = fit(lines_of(language, facts, queued, now_s), link)
    return {"object_type": "text", "text": words, "link": target, **button}


def lines_of(language: Language, facts: RunFacts, queued: QueuedEvent, now_s: float) -> list[str]:
    """The lines of a message, the most important first."""
    words = Words(replace(facts, title=_without_middle(facts.title)), language)
    lines = [sentence_of(queued.event, words)]
    if isinstance(queued.event, RunFailed):
        lines.append(queued.event.reason)
    if now_s - queued.at_s >= LATE_S:
        lines.append(words.say("late", time=time.strftime("%m-%d %H:%M", time.localtime(queued.at_s))))
    return [" ".join(line.split()) for line in [*lines, f"{facts.host}, {facts.user}"] if line.strip()]


def fit(lines: list[str], link: str | None, limit: int = LIMIT) -> str:
    """As many lines as there is room for, and the whole link below them."""
    tail = f"\n{link}" if link and units(link) <= LONGEST_LINK else ""
    words = shortened(lines[0], limit - units(tail))
    for line in lines[1:]:
        room = limit - units(tail) - units(words) - 1
        if units(line) <= room or room >= WORTH_CUTTING:
            words += f"\n{shortened(line, room)}"
    return words + tail


def _without_middle(title: str) -> str:
    """Shorten a title in its middle, because the fold is at its end."""
    if units(title) <= LONGEST_TITLE:
        return title
    end = title[-LONGEST_TITLE // 3 :]
    return f"{shortened(title, LONGEST_TITLE - units(end))}{end}"
