"""The channel with a bot token: it edits the run's message and replies in its thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.channel import Channel, Context, NotDelivered, Occasion, QueuedEvent, Refused, is_due, occasion_of
from services.delivery.delivery_log import DeliveryLog
from services.delivery.snapshot import snapshot_after, snapshot_as_dict, snapshot_from
from services.slack.blocks import Message
from services.slack.errors import MessageGone
from services.slack.messages import (
    AT_ONCE,
    best_note,
    fell_note,
    note_of,
    pictures_of,
    refused_note,
    report_note,
    resumed_note,
    run_message,
    trace_file,
    trace_note,
)
from services.slack.thread import CommentOf, Thread
from utils.events import EpochEnded, Event, FoldsJoined, ReportWritten, RunFailed, RunStarted, StartScored, Step

if TYPE_CHECKING:
    from services.slack.client import Bot

BEST_EVERY_S = 300.0
"""Least time between two messages about new bests, which are frequent at the beginning."""
NEW_MESSAGES = 3
"""How often progress alone may begin a new message after the old one was deleted or cannot be edited."""
PROGRESS = StartScored | Step | EpochEnded


@dataclass(frozen=True)
class SlackSettings:
    """The settings `services.slack`."""

    channel: str | None
    owner: str | None
    events: frozenset[Occasion]
    update_every_s: float
    base_url: str


class SlackBot(Channel):
    """A run in Slack."""

    def __init__(self, about: Context, settings: SlackSettings) -> None:
        self.about, self.settings = about, settings
        self.clock: Callable[[], float] = time.monotonic
        self.sent = DeliveryLog(about.memory, "slack")
        self.thread = Thread(about, self.sent, settings.channel, lambda: connect_bot(about, settings))
        self.snapshot = snapshot_from(about.memory.get("snapshot"))
        self.next_edit_s = self.next_best_s = 0.0
        self.begun_by_progress = 0

    def accepts(self, event: Event) -> bool:
        """Whether the event changes the run's message; single steps do only if progress is shown."""
        return bool(self.settings.events) and (not isinstance(event, Step) or "progress" in self.settings.events)

    def must_arrive(self, event: Event) -> bool:
        return not isinstance(event, PROGRESS)

    def deliver(self, queued: QueuedEvent) -> None:
        """Edit the run's message, and reply in its thread if the event asks for it.

        An event that is older than the message's content (it was in the outbox) does not change the message any more.
        """
        if self.sent.is_delivered(queued.id):
            return
        is_news = queued.seq >= self.snapshot.seq
        if is_news:
            self.snapshot = snapshot_after(self.snapshot, queued)
        try:
            self._deliver_parts(queued, is_news=is_news)
        except MessageGone:  # it was deleted or can no longer be edited, so a new one begins
            self.thread.forget()
            try:
                self._deliver_parts(queued, is_news=is_news)
            except MessageGone as error:
                raise NotDelivered(f"the message that was just made is not there ({error})") from None
        if self.must_arrive(queued.event):
            self.sent.mark_delivered(queued.id)
        else:
            self.sent.forget(queued.id)

    def _deliver_parts(self, queued: QueuedEvent, *, is_news: bool) -> None:
        if isinstance(queued.event, PROGRESS):
            self._deliver_progress(queued, is_news=is_news)
            return
        self.thread.bot.start_delivery()
        wanted = occasion_of(queued.event) in self.settings.events
        if isinstance(queued.event, FoldsJoined):
            if wanted and (note := note_of(queued.event, self.snapshot, self.about, None)):
                self.thread.post(queued, note)
            return
        is_turn = is_news and not isinstance(queued.event, ReportWritten)
        if is_turn or self.thread.posted is None:
            self._update_message(queued, may_begin=wanted)
        if wanted:
            self._reply(queued, is_news=is_news)

    def _deliver_progress(self, queued: QueuedEvent, *, is_news: bool) -> None:
        """Edit the message at most every `update_every_s` seconds, and post new bests."""
        if is_news and "progress" in self.settings.events and self.clock() >= self.next_edit_s:
            self.thread.bot.start_delivery()
            self.begun_by_progress += self.thread.posted is None
            self._update_message(queued, may_begin=self.begun_by_progress <= NEW_MESSAGES)
        if is_news and isinstance(queued.event, EpochEnded) and "best" in self.settings.events:
            self._post_best(queued, queued.event)
        if isinstance(queued.event, EpochEnded) and "error" in self.settings.events:
            self._post_fall(queued, queued.event)

    def _update_message(self, queued: QueuedEvent, *, may_begin: bool) -> None:
        """Edit the run's message; if there is none and `may_begin`, post it."""
        shown = run_message(self.snapshot, self.about)
        if self.thread.posted is not None and not self.thread.was_begun_by(queued):
            self.thread.edit(shown)
        elif may_begin:
            self.thread.post(queued, shown)
        self.next_edit_s = self.clock() + self.settings.update_every_s
        self.sent.remember(snapshot=snapshot_as_dict(self.snapshot))

    def _reply(self, queued: QueuedEvent, *, is_news: bool) -> None:
        """Post the note of an event in the thread; also in the channel, unless this event began the message."""
        event, is_new = queued.event, self.thread.was_begun_by(queued)
        if isinstance(event, RunStarted):
            if is_news and not is_new:
                self.thread.reply(queued, "note", resumed_note(event, self.about))
        elif isinstance(event, ReportWritten):
            self._attach_report(queued, event)
        elif note := note_of(event, self.snapshot, self.about, self.settings.owner):
            self.thread.reply(queued, "note", note, broadcast=not is_new)
        if isinstance(event, RunFailed) and event.trace:
            self.thread.reply(queued, "tail", trace_note(event, self.about, file_follows=True))
            self.thread.attach(queued, "trace", [trace_file(event, self.about)], self._refused_note)

    def _attach_report(self, queued: QueuedEvent, event: ReportWritten) -> None:
        files, missing = pictures_of(event.pictures)
        if not files:
            self.thread.reply(queued, "note", report_note(event, self.about, missing))
        comment_of: CommentOf = lambda refused: report_note(event, self.about, missing, refused)  # noqa: E731
        for number, first in enumerate(range(0, len(files), AT_ONCE)):
            self.thread.attach(queued, f"pictures{number}", files[first : first + AT_ONCE], comment_of)
            comment_of = self._refused_note

    def _refused_note(self, refused: Mapping[str, str]) -> Message:
        return refused_note(refused, self.about)

    def _post_fall(self, queued: QueuedEvent, event: EpochEnded) -> None:
        """Post that the score fell below that of the pretrained weights."""
        if event.fell_from is not None and self.thread.posted is not None:
            self.thread.bot.start_delivery()
            note = fell_note(event, event.fell_from, self.about, self.settings.owner)
            self.thread.reply(queued, "fell", note, broadcast=True)

    def _post_best(self, queued: QueuedEvent, event: EpochEnded) -> None:
        """Post the new best score since the last posted one, if it is time. The first score is not posted."""
        best, before = self.snapshot.best, self.about.memory.get("best")
        if best is None or best == before or self.thread.posted is None:
            return
        if before is None:
            self._remember_best(best)
        elif self.clock() >= self.next_best_s and is_due(event, self.about.every_epochs):
            self.thread.bot.start_delivery()
            self.thread.reply(queued, "best", best_note(self.snapshot, before, self.about))
            self._remember_best(best)

    def _remember_best(self, best: float) -> None:
        self.sent.remember(best=best)
        self.next_best_s = self.clock() + BEST_EVERY_S


def connect_bot(about: Context, settings: SlackSettings) -> Bot:
    """Make the bot of the token. slack-sdk is imported here, because it is not needed before."""
    from services.slack.client import Bot

    about.secrets.export()
    token = about.secrets.get("SLACK_BOT_TOKEN")
    if not token or not settings.channel:
        raise Refused("SLACK_BOT_TOKEN or services.slack.channel is not set any more. Set both.")
    return Bot(token, settings.base_url, settings.channel)
