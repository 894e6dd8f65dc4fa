"""A run's message in Slack and its thread. Its place is saved, so that a resumed run continues the same thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from services.channel import Context, QueuedEvent
from services.slack.blocks import Message, PostedMessage
from services.slack.files import File
from services.slack.parts import SentParts

if TYPE_CHECKING:
    from services.slack.client import Bot


class Thread:
    """The message of one run. `connect` makes the bot at the first use.

    Methods that post take the name of the part of a delivery, and do nothing if that part has arrived already.
    """

    def __init__(self, about: Context, parts: SentParts, channel: str | None, connect: Callable[[], Bot]) -> None:
        self.about, self.parts, self.channel, self.connect = about, parts, channel, connect
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
        self.parts.send_once(f"{queued.id}:message", send, self.bot.check_connection)
        if made and self.posted is None:
            posted = {"channel": made[0].channel, "ts": made[0].ts, "asked": self.channel, "event": queued.id}
            self.parts.remember(message=posted)

    def edit(self, message: Message) -> None:
        """Edit the run's message. Raises `MessageGone`."""
        if self.posted:
            self.bot.edit(self.posted, message)

    def forget(self) -> None:
        """Forget the run's message, which does not exist any more."""
        self.parts.remember(message=None)

    def reply(self, queued: QueuedEvent, name: str, message: Message, *, broadcast: bool = False) -> None:
        """Post a message in the thread; `broadcast`: also in the channel. Raises `MessageGone`."""
        posted = self.posted
        if posted is None:
            return
        send = lambda: self.bot.post(message, self._metadata(queued), thread=posted, broadcast=broadcast)  # noqa: E731
        self.parts.send_once(f"{queued.id}:{name}", send, self.bot.check_connection)

    def attach(self, queued: QueuedEvent, name: str, files: Sequence[File], comment: str = "") -> None:
        """Upload files into the thread, as one message. Raises `MessageGone`."""
        posted = self.posted
        if posted is None:
            return
        self.parts.send_once(
            f"{queued.id}:{name}", lambda: self.bot.upload(posted, files, comment), self.bot.check_connection
        )

    def _message(self) -> dict[str, Any]:
        found = self.parts.memory.get("message") or {}
        return found if found.get("asked") == self.channel else {}

    def _metadata(self, queued: QueuedEvent) -> dict[str, Any]:
        """Metadata by which a message that arrived twice can be recognised."""
        kind = type(queued.event).__name__
        payload = {"run_id": self.about.facts.run_id, "event_id": queued.id, "event": kind}
        return {"event_type": "carpus_run", "event_payload": payload}
