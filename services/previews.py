"""Show as text what each channel would send."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.apprise import TOLD, message_of
from services.channel import Context, QueuedEvent, occasion_of
from services.delivery.snapshot import Snapshot, snapshot_after
from services.kakao.text import template_of
from services.mlflow.values import end_tags, joined_metrics, metrics_of, params_of, start_tags, status_of, tags_of
from services.sheets.board import board_row
from services.sheets.results import values_of
from services.slack.messages import best_note, note_of, report_note, run_message
from utils.events import EpochEnded, FoldsJoined, ReportWritten, RunFinished, RunStarted

ChannelSettings = Mapping[str, Any]
Preview = Callable[[Context, ChannelSettings, QueuedEvent, Snapshot], "str | None"]


def previews(
    name: str, context: Context, settings: ChannelSettings, events: Sequence[QueuedEvent]
) -> Iterator[tuple[str, str]]:
    """Yield occasion and text of each message that the channel would send about these events."""
    if name not in PREVIEWS:
        return
    now = Snapshot()
    wanted = settings.get("events")
    for queued in events:
        now = snapshot_after(now, queued)
        shown = PREVIEWS[name](context, settings, queued, now)
        if shown and (wanted is None or occasion_of(queued.event) in wanted):
            yield occasion_of(queued.event), shown


def slack(context: Context, settings: ChannelSettings, queued: QueuedEvent, now: Snapshot) -> str | None:
    event = queued.event
    if isinstance(event, EpochEnded):
        before = now.best - 0.005 if now.best else 0.0
        return f"{_as_shown(run_message(now, context).in_full)}\n\n{best_note(now, before, context).in_full}"
    if isinstance(event, ReportWritten):
        return report_note(event, context, ()).in_full
    note = note_of(event, now, context, settings.get("owner"))
    return _as_shown(note.in_full) if note else None


def kakao(context: Context, settings: ChannelSettings, queued: QueuedEvent, now: Snapshot) -> str | None:
    if isinstance(queued.event, (EpochEnded, ReportWritten)):
        return None
    link = settings.get("link_url")
    made = template_of(context.language, context.facts, queued, link, now_s=queued.at_s)
    return str(made["text"])


def sheets(context: Context, settings: ChannelSettings, queued: QueuedEvent, now: Snapshot) -> str | None:
    if isinstance(queued.event, (EpochEnded, ReportWritten)):
        return None
    row = board_row(context, now, queued.at_s, settings.get("heartbeat_s"), _clock)
    lines = [f"{settings.get('board', 'servers')}: {_listed(row)}"]
    if isinstance(queued.event, (RunFinished, FoldsJoined)):
        person = settings.get("person") or context.facts.user
        result = values_of(context.facts, now, person, _clock(queued.at_s))
        lines.append(f"{settings.get('total', 'Total')}, {person}: {_listed(result)}")
    return "\n".join(lines)


def mlflow(context: Context, settings: ChannelSettings, queued: QueuedEvent, now: Snapshot) -> str | None:
    event = queued.event
    if isinstance(event, RunStarted):
        count = len(params_of(context.facts.config))
        return f"RUNNING, {count} parameters; tags {_listed({**tags_of(context.facts), **start_tags(event)})}"
    if isinstance(event, EpochEnded):
        return _listed(metrics_of(event, context.facts.metric))
    if isinstance(event, FoldsJoined):
        return _listed(joined_metrics(event, context.facts.metric))
    if isinstance(event, ReportWritten):
        return f"files: {event.report.name}, {', '.join(path.name for path in event.pictures.values())}"
    model = settings.get("registered_model") if isinstance(event, RunFinished) else None
    return f"{status_of(event)}; tags {_listed(end_tags(event))}{f'; a version of the model {model}' if model else ''}"


def apprise(context: Context, settings: ChannelSettings, queued: QueuedEvent, now: Snapshot) -> str | None:
    return "\n".join(message_of(queued.event, context)) if isinstance(queued.event, TOLD) else None


PREVIEWS: dict[str, Preview] = {
    "slack": slack,
    "kakao": kakao,
    "sheets": sheets,
    "mlflow": mlflow,
    "apprise": apprise,
}


def _as_shown(text: str) -> str:
    """The text of a Slack message as a reader sees it: `*Epoch*\n3` → `Epoch: 3`, and times in plain text."""
    labelled = re.sub(r"(?m)^\*(.+)\*\n", r"\1: ", text)
    return re.sub(r"<!date\^[^|]*\|([^>]*)>", r"\1", labelled).replace("```", "")


def _clock(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in values.items() if value != "")
