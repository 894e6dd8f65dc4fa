"""The channel that has an incoming webhook alone: single messages at the start, the end and an error.

A webhook answers with no name of what it posted, so nothing can be edited, answered or attached.
"""

from __future__ import annotations

from typing import Any

from services.channel import Context, Refused, Told, occasion_of
from services.delivery.snapshot import Snapshot, after
from services.slack.blocks import Message, message
from services.slack.bot import Settings
from services.slack.notes import failed_note, folds_note, note_of, trace_note
from services.slack.parts import Parts, snapshot_as_dict, snapshot_from
from services.slack.run import run_message
from utils.events import EpochEnded, Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted

TOLD = (RunStarted, RunFinished, RunInterrupted, RunFailed, FoldsJoined)


class SlackWebhook:
    """A run in Slack, in a few messages."""

    beat_s: float | None = None

    def __init__(self, about: Context, settings: Settings) -> None:
        self.about, self.settings = about, settings
        self.parts = Parts(about.memory)
        self.snapshot = snapshot_from(about.memory.get("snapshot"))

    def wants(self, event: Event) -> bool:
        """What is told, and epochs, so that an error can say how far the run was."""
        return isinstance(event, EpochEnded) or (isinstance(event, TOLD) and occasion_of(event) in self.settings.events)

    def keeps(self, event: Event) -> bool:
        return isinstance(event, TOLD)

    def deliver(self, told: Told) -> None:
        """One message; where its answer was lost it is repeated once at most, see `Parts`."""
        if self.parts.is_told(told.id):
            return
        if told.at_s >= (self.snapshot.told_s or 0.0):
            self.snapshot = after(self.snapshot, told)
        shown = message_of(told.event, self.snapshot, self.about, self.settings.owner)
        if shown is None:
            return
        hook = self._hook()
        self.parts.remember(snapshot=snapshot_as_dict(self.snapshot))
        self.parts.send_once(f"{told.id}:message", lambda: hook.post(shown), hook.is_there)
        self.parts.mark_told(told.id)

    def beat(self) -> None:
        """Nothing: each message would be a new one."""

    def close(self) -> None:
        """Nothing is held."""

    def _hook(self) -> Any:
        from services.slack.hook import Hook

        address = self.about.secrets.get("SLACK_WEBHOOK_URL")
        if not address:
            raise Refused("SLACK_BOT_TOKEN and SLACK_WEBHOOK_URL are not set any more. Set one of them.")
        return Hook(address)


def message_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """What is posted for an event; None for what is not told here."""
    if isinstance(event, RunStarted):
        return run_message(now, about)
    if isinstance(event, FoldsJoined):
        return folds_note(event, about)
    if isinstance(event, RunFailed):
        return _with_trace(failed_note(event, now, about, owner), event, about)
    return note_of(event, now, about, owner)


def _with_trace(note: Message, event: RunFailed, about: Context) -> Message:
    """There is no thread for the end of the traceback, so it is in the same message."""
    if not event.trace:
        return note
    return message(note.text, [*note.blocks, *trace_note(event, about, file_follows=False).blocks])
