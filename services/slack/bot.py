"""The channel that has a bot token: keeps the run's message up to date and fills its thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.channel import Context, NotDelivered, Occasion, Refused, Told, is_due, occasion_of
from services.delivery.snapshot import after
from services.slack.errors import Gone
from services.slack.files import in_batches, pictures_of, trace_file
from services.slack.notes import best_note, folds_note, note_of, report_note, resumed_note, trace_note
from services.slack.parts import Parts, snapshot_as_dict, snapshot_from
from services.slack.run import run_message
from services.slack.thread import Thread
from utils.events import EpochEnded, Event, FoldsJoined, ImageScored, ReportWritten, RunFailed, RunStarted, StepEnded

if TYPE_CHECKING:
    from services.slack.client import Bot

BEST_EVERY_S = 300.0
"""New bests come thick at the beginning; those in between are told with the next one."""
NEW_MESSAGES = 3
"""How often progress alone may begin a new message, where the old one was deleted or may not be edited."""
PROGRESS = (StepEnded, ImageScored, EpochEnded)


@dataclass(frozen=True)
class Settings:
    """What `services.slack` says."""

    channel: str | None
    owner: str | None
    events: frozenset[Occasion]
    update_every_s: float
    base_url: str


class SlackBot:
    """A run in Slack. `connect` makes the bot, at the first delivery; `clock` counts seconds."""

    beat_s: float | None = None

    def __init__(
        self,
        about: Context,
        settings: Settings,
        connect: Callable[[Context, Settings], Bot] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.about, self.settings, self.clock = about, settings, clock
        self.parts = Parts(about.memory)
        self.thread = Thread(about, self.parts, settings.channel, lambda: (connect or connected)(about, settings))
        self.snapshot = snapshot_from(about.memory.get("snapshot"))
        self.next_edit_s = self.next_best_s = 0.0
        self.begun_by_progress = 0

    def wants(self, event: Event) -> bool:
        """All that moves the run's message; single steps only where progress is shown."""
        is_step = isinstance(event, (StepEnded, ImageScored))
        return bool(self.settings.events) and (not is_step or "progress" in self.settings.events)

    def keeps(self, event: Event) -> bool:
        return not isinstance(event, PROGRESS)

    def deliver(self, told: Told) -> None:
        """Edit the run's message, and say in its thread what deserves it; each part arrives once, see `Parts`.

        An event that is older than what the message shows (it lay in the outbox) no longer changes the message.
        """
        if self.parts.is_told(told.id):
            return
        is_news = told.at_s >= (self.snapshot.told_s or 0.0)
        if is_news:
            self.snapshot = after(self.snapshot, told)
        try:
            self._bring(told, is_news=is_news)
        except Gone:
            self._bring_anew(told, is_news=is_news)
        if self.keeps(told.event):
            self.parts.mark_told(told.id)
        else:
            self.parts.forget(told.id)

    def beat(self) -> None:
        """Nothing: a message that says nothing new is not edited."""

    def close(self) -> None:
        """Nothing is held."""

    def _bring_anew(self, told: Told, *, is_news: bool) -> None:
        """Go on below a new message: somebody deleted the old one, or it must not be edited."""
        self.thread.forget()
        try:
            self._bring(told, is_news=is_news)
        except Gone as error:
            raise NotDelivered(f"the message that was just made is not there ({error})") from None

    def _bring(self, told: Told, *, is_news: bool) -> None:
        if isinstance(told.event, PROGRESS):
            self._follow(told, is_news=is_news)
            return
        self.thread.bot.begin()
        wanted = occasion_of(told.event) in self.settings.events
        if isinstance(told.event, FoldsJoined):
            if wanted:
                self.thread.post(told, folds_note(told.event, self.about))
            return
        is_turn = is_news and not isinstance(told.event, ReportWritten)
        if is_turn or self.thread.place is None:
            self._show(told, may_begin=wanted)
        if wanted:
            self._say(told, is_news=is_news)

    def _follow(self, told: Told, *, is_news: bool) -> None:
        """Edit the message now and then, and tell new bests."""
        if is_news and "progress" in self.settings.events and self.clock() >= self.next_edit_s:
            self.thread.bot.begin()
            self.begun_by_progress += self.thread.place is None
            self._show(told, may_begin=self.begun_by_progress <= NEW_MESSAGES)
        if is_news and isinstance(told.event, EpochEnded) and "best" in self.settings.events:
            self._tell_best(told, told.event)

    def _show(self, told: Told, *, may_begin: bool) -> None:
        """Bring the run's message up to date; begin it where there is none and `may_begin`."""
        shown = run_message(self.snapshot, self.about)
        if self.thread.place is not None and not self.thread.is_from(told):
            self.thread.edit(shown)
        elif may_begin:
            self.thread.post(told, shown)
        self.next_edit_s = self.clock() + self.settings.update_every_s
        self.parts.remember(snapshot=snapshot_as_dict(self.snapshot))

    def _say(self, told: Told, *, is_news: bool) -> None:
        """The words of an event in the thread; in the channel too, where its message was there before."""
        event, is_new = told.event, self.thread.is_from(told)
        if isinstance(event, RunStarted):
            if is_news and not is_new:
                self.thread.reply(told, "note", resumed_note(self.snapshot, self.about))
        elif isinstance(event, ReportWritten):
            self._attach_report(told, event)
        elif note := note_of(event, self.snapshot, self.about, self.settings.owner):
            self.thread.reply(told, "note", note, broadcast=not is_new)
        if isinstance(event, RunFailed) and event.trace:
            self.thread.reply(told, "tail", trace_note(event, self.about, file_follows=True))
            self.thread.attach(told, "trace", [trace_file(event, self.about)])

    def _attach_report(self, told: Told, event: ReportWritten) -> None:
        files, missing = pictures_of(event.pictures)
        note = report_note(event, self.about, missing)
        if not files:
            self.thread.reply(told, "note", note)
        for number, batch in enumerate(in_batches(files)):
            self.thread.attach(told, f"pictures{number}", batch, "" if number else note.in_full)

    def _tell_best(self, told: Told, event: EpochEnded) -> None:
        """Where it is time for it, the best since the last one that was told. The first score beats nothing."""
        best, before = self.snapshot.best, self.about.memory.get("best")
        if best is None or best == before or self.thread.place is None:
            return
        if before is None:
            self._told_best(best)
        elif self.clock() >= self.next_best_s and is_due(event, self.about.every_epochs):
            self.thread.bot.begin()
            self.thread.reply(told, "best", best_note(self.snapshot, before, self.about))
            self._told_best(best)

    def _told_best(self, best: float) -> None:
        self.parts.remember(best=best)
        self.next_best_s = self.clock() + BEST_EVERY_S


def connected(about: Context, settings: Settings) -> Bot:
    """The bot of the token. slack-sdk is imported here, for it is not needed before."""
    from services.slack.client import Bot

    token = about.secrets.get("SLACK_BOT_TOKEN")
    if not token or not settings.channel:
        raise Refused("SLACK_BOT_TOKEN or services.slack.channel is not set any more. Set both.")
    return Bot(token, settings.base_url, settings.channel)
