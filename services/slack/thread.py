"""A run's message in Slack and its thread. Its place is saved, so that a resumed run continues the same thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.channel import Context, NotDelivered, QueuedEvent
from services.delivery.delivery_log import DeliveryLog
from services.slack.blocks import File, Message, PostedMessage
from services.slack.errors import FileRefused

if TYPE_CHECKING:
    from services.slack.client import Bot


log = logging.getLogger(__name__)

CommentOf = Callable[[Mapping[str, str]], Message]
"""Returns the text of a message with files, given the reasons by the titles of files that Slack refuses."""
FILE_TRIES = 3
"""Tries of an upload that fails while Slack answers other requests."""


class Thread:
    """The message of one run. `connect` makes the bot at the first use.

    Methods that post take the name of the part of a delivery, and do nothing if that part has arrived already.
    """

    def __init__(self, about: Context, sent: DeliveryLog, channel: str | None, connect: Callable[[], Bot]) -> None:
        self.about, self.sent, self.channel, self.connect = about, sent, channel, connect
        self.known: Bot | None = None

    @property
    def bot(self) -> Bot:
        self.known = self.known or self.connect()
        return self.known

    @property
    def posted(self) -> PostedMessage | None:
        """The run's message; None if there is none in the channel that is configured now."""
        found = self._message()
        return PostedMessage(found["channel"], found["ts"]) if found else None

    def was_begun_by(self, queued: QueuedEvent) -> bool:
        """Whether this event began the run's message."""
        return self._message().get("event") == queued.id

    def post(self, queued: QueuedEvent, message: Message) -> None:
        """Post a message in the channel; it becomes the run's message if there is none yet."""
        made: list[PostedMessage] = []
        send = lambda: made.append(self.bot.post(message, self._metadata(queued)))  # noqa: E731
        self.sent.send_once(queued.id, "message", send, self.bot.check_connection)
        if made and self.posted is None:
            posted = {"channel": made[0].channel, "ts": made[0].ts, "asked": self.channel, "event": queued.id}
            self.sent.remember(message=posted)

    def edit(self, message: Message) -> None:
        """Edit the run's message. Raises `MessageGone`."""
        if self.posted:
            self.bot.edit(self.posted, message)

    def forget(self) -> None:
        """Forget the run's message, which does not exist any more."""
        self.sent.remember(message=None)

    def reply(self, queued: QueuedEvent, name: str, message: Message, *, broadcast: bool = False) -> None:
        """Post a message in the thread; `broadcast`: also in the channel. Raises `MessageGone`."""
        posted = self.posted
        if posted is None:
            return
        send = lambda: self.bot.post(message, self._metadata(queued), thread=posted, broadcast=broadcast)  # noqa: E731
        self.sent.send_once(queued.id, name, send, self.bot.check_connection)

    def attach(self, queued: QueuedEvent, name: str, files: Sequence[File], comment_of: CommentOf) -> None:
        """Upload files into the thread, as one message. Raises `MessageGone`.

        If Slack refuses all files, the text of `comment_of` is posted alone.
        """
        posted = self.posted
        if posted is None:
            return

        def send() -> None:
            stored, refused = self._stored(queued, name, files)
            try:
                if stored:
                    self.bot.share(posted, stored, comment_of(refused).in_full)
            except FileRefused as error:
                stored, refused = {}, refused | dict.fromkeys(stored.values(), str(error))
            if not stored:
                self.bot.post(comment_of(refused), self._metadata(queued), thread=posted)
            for title, why in refused.items():
                log.warning("slack: %s is not attached: %s", title, why)

        self.sent.send_once(queued.id, name, send, self.bot.check_connection)

    def _stored(self, queued: QueuedEvent, name: str, files: Sequence[File]) -> tuple[dict[str, str], dict[str, str]]:
        """Store files that are not shown yet. Returns their titles by id, and the reasons by the titles of the others.

        If uploads fail again and again while Slack itself answers, as behind a firewall, the files are left out.
        """
        stored, refused = dict[str, str](), dict[str, str]()
        for file in files:
            try:
                stored[self.bot.store(file)] = file.title
            except FileRefused as error:
                refused[file.title] = str(error)
            except NotDelivered as error:
                self.bot.check_connection()
                if self.sent.count(queued.id, name) < FILE_TRIES:
                    raise
                # What is stored already is not shown, and Slack discards it.
                stored, refused = {}, {each.title: str(error) for each in files}
                break
        return stored, refused

    def _message(self) -> dict[str, Any]:
        found = self.about.memory.get("message", {})
        return found if found.get("asked") == self.channel else {}

    def _metadata(self, queued: QueuedEvent) -> dict[str, Any]:
        """Metadata by which a message that arrived twice can be recognised."""
        kind = type(queued.event).__name__
        payload = {"run_id": self.about.facts.run_id, "event_id": queued.id, "event": kind}
        return {"event_type": "carpus_run", "event_payload": payload}
