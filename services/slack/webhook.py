"""The channel with an incoming webhook alone: single messages at the start, the end and an error.

A webhook's answer does not identify the message, so nothing can be edited, replied to or attached.
"""

from __future__ import annotations

from typing import Any

from services.channel import Context, QueuedEvent, Refused, occasion_of
from services.delivery.snapshot import Snapshot, snapshot_after
from services.slack.blocks import Message, message
from services.slack.bot import SlackSettings
from services.slack.notes import failed_note, folds_note, note_of, trace_note
from services.slack.parts import SentParts, snapshot_as_dict, snapshot_from
from services.slack.run import run_message
from utils.events import EpochEnded, Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted

POSTED_EVENTS = (RunStarted, RunFinished, RunInterrupted, RunFailed, FoldsJoined)


class SlackWebhook:
    """A run in Slack as a few messages."""

    refresh_every_s: float | None = None

    def __init__(self, about: Context, settings: SlackSettings) -> None:
        self.about, self.settings = about, settings
        self.parts = SentParts(about.memory)
        self.snapshot = snapshot_from(about.memory.get("snapshot"))

    def accepts(self, event: Event) -> bool:
        """Whether the event is posted, or is an epoch, by which a later error can say how far the run was."""
        return isinstance(event, EpochEnded) or (
            isinstance(event, POSTED_EVENTS) and occasion_of(event) in self.settings.events
        )

    def must_arrive(self, event: Event) -> bool:
        return isinstance(event, POSTED_EVENTS)

    def deliver(self, queued: QueuedEvent) -> None:
        """Post one message. If its answer is lost, it is repeated once at most, see `SentParts`."""
        if self.parts.is_delivered(queued.id):
            return
        if queued.seq >= self.snapshot.seq:
            self.snapshot = snapshot_after(self.snapshot, queued)
        shown = message_of(queued.event, self.snapshot, self.about, self.settings.owner)
        if shown is None:
            return
        hook = self._hook()
        self.parts.remember(snapshot=snapshot_as_dict(self.snapshot))
        self.parts.send_once(f"{queued.id}:message", lambda: hook.post(shown), hook.check_connection)
        self.parts.mark_delivered(queued.id)

    def refresh(self) -> None:
        """Do nothing: each call would post a new message."""

    def close(self) -> None:
        """Do nothing: there is no open connection."""

    def _hook(self) -> Any:
        from services.slack.hook import Hook

        address = self.about.secrets.get("SLACK_WEBHOOK_URL")
        if not address:
            raise Refused("SLACK_BOT_TOKEN and SLACK_WEBHOOK_URL are not set any more. Set one of them.")
        return Hook(address)


def message_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """The message about an event; None if it is not posted."""
    if isinstance(event, RunStarted):
        return run_message(now, about)
    if isinstance(event, FoldsJoined):
        return folds_note(event, about)
    if isinstance(event, RunFailed):
        return _with_trace(failed_note(event, now, about, owner), event, about)
    return note_of(event, now, about, owner)


def _with_trace(note: Message, event: RunFailed, about: Context) -> Message:
    """Append the end of the traceback to the message, because a webhook has no thread for it."""

    if not event.trace:
        return note
    return message(note.text, [*note.blocks, *trace_note(event, about, file_follows=False).blocks])
