"""The text of KakaoTalk messages: 200 characters at most, the most important line first, the link never truncated."""

from __future__ import annotations

import time
from typing import Any

from services.channel import Language, QueuedEvent, RunFacts
from services.texts import counted, duration, shortened, text, units
from utils.events import FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted
from utils.rounds import done_after

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
    words = fit(lines_of(language, facts, queued, now_s), link)
    target = {"web_url": link, "mobile_web_url": link} if link else {}  # it opens on domains registered for the app
    button = {"button_title": text(language, "kakao_button")} if link else {}
    return {"object_type": "text", "text": words, "link": target, **button}


def lines_of(language: Language, facts: RunFacts, queued: QueuedEvent, now_s: float) -> list[str]:
    """The lines of a message, the most important first."""
    where = text(language, "kakao_where", host=facts.host, user=facts.user)
    lines = [_head(language, facts, queued), _result(language, facts, queued), *_late(language, queued, now_s)]
    if isinstance(queued.event, RunFinished):
        lines.append(text(language, "kakao_took", time=duration(language, queued.event.seconds)))
    return [" ".join(line.split()) for line in [*lines, where] if line.strip()]


def fit(lines: list[str], link: str | None, limit: int = LIMIT) -> str:
    """As many lines as there is room for, and the whole link below them."""
    tail = f"\n{link}" if link and units(link) <= LONGEST_LINK else ""
    words = shortened(lines[0], limit - units(tail))
    for line in lines[1:]:
        room = limit - units(tail) - units(words) - 1
        if units(line) <= room or room >= WORTH_CUTTING:
            words += f"\n{shortened(line, room)}"
    return words + tail


def _head(language: Language, facts: RunFacts, queued: QueuedEvent) -> str:
    event = queued.event
    title = _without_middle(event.name if isinstance(event, FoldsJoined) else facts.title)
    if isinstance(event, RunStarted):
        return text(language, "kakao_resumed" if event.first_epoch else "kakao_started", title=title)
    if isinstance(event, RunFinished):
        return text(language, "kakao_stopped_early" if event.stopped_early else "kakao_done", title=title)
    if isinstance(event, FoldsJoined):
        return text(language, "kakao_joined", title=title, folds=event.folds)
    return text(language, "kakao_interrupted" if isinstance(event, RunInterrupted) else "kakao_failed", title=title)


def _result(language: Language, facts: RunFacts, queued: QueuedEvent) -> str:
    event, metric = queued.event, facts.metric.label
    if isinstance(event, RunStarted):
        count = counted(language, event.rounds, "count", done_after(event.epochs - 1, event.rounds))
        return text(language, "kakao_plan", count=count, images=event.train_images, device=event.device)
    if isinstance(event, RunFinished):
        total = done_after(event.epochs_done - 1, event.rounds)
        at = counted(language, event.rounds, "at", done_after(event.best_epoch, event.rounds))
        count = counted(language, event.rounds, "count", total)
        shown = {"score": f"{event.score:.4f}", "at": at, "total": total, "count": count}
        return text(language, "kakao_best", metric=metric, **shown)
    if isinstance(event, FoldsJoined):
        spread = "" if event.spread is None else f" ± {event.spread:.4f}"
        return text(language, "kakao_mean", metric=metric, score=f"{event.mean:.4f}{spread}")
    if isinstance(event, RunInterrupted):
        by = f" ({event.signal})" if event.signal else ""
        done = event.epoch + 1 if event.rounds is None else event.steps_done
        return text(language, "kakao_saved", at=counted(language, event.rounds, "at", done), by=by)
    return _reason(language, event) if isinstance(event, RunFailed) else ""


def _reason(language: Language, event: RunFailed) -> str:
    named = text(language, f"kakao_{event.fault}") if event.fault in ("memory", "nan") else ""
    return f"{named} {event.reason}"


def _late(language: Language, queued: QueuedEvent, now_s: float) -> list[str]:
    if now_s - queued.at_s < LATE_S:
        return []
    return [text(language, "kakao_late", time=time.strftime("%m-%d %H:%M", time.localtime(queued.at_s)))]


def _without_middle(title: str) -> str:
    """Shorten a title in its middle, because the fold is at its end."""
    if units(title) <= LONGEST_TITLE:
        return title
    end = title[-LONGEST_TITLE // 3 :]
    return f"{shortened(title, LONGEST_TITLE - units(end))}{end}"
