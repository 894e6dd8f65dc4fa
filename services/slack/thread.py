"""A run's message in Slack and what hangs below it: made once, found again by whoever goes on with the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from services.channel import Context, Told
from services.slack.blocks import Message, Place
from services.slack.files import File
from services.slack.parts import Parts

if TYPE_CHECKING:
    from services.slack.client import Bot


class Thread:
    """The message of one run. `connect` makes the bot, at the first use.

    All that posts takes the name of its part of a delivery, and does nothing where that part has arrived already.
    """

    def __init__(self, about: Context, parts: Parts, channel: str | None, connect: Callable[[], Bot]) -> None:
        self.about, self.parts, self.channel, self.connect = about, parts, channel, connect
        self.known: Bot | None = None

    @property
    def bot(self) -> Bot:
        self.known = self.known or self.connect()
        return self.known

    @property
    def place(self) -> Place | None:
        """The run's message; None where there is none in the channel that is configured now."""
        found = self._message()
        return Place(found["channel"], found["ts"]) if found else None

    def is_from(self, told: Told) -> bool:
        """Whether this very event began the run's message."""
        return self._message().get("event") == told.id

    def post(self, told: Told, message: Message) -> None:
        """A message in the channel; the run's own where it has none yet."""
        made: list[Place] = []
        send = lambda: made.append(self.bot.post(message, self._metadata(told)))  # noqa: E731
        self.parts.send_once(f"{told.id}:message", send, self.bot.is_there)
        if made and self.place is None:
            place = {"channel": made[0].channel, "ts": made[0].ts, "asked": self.channel, "event": told.id}
            self.parts.remember(message=place)

    def edit(self, message: Message) -> None:
        """Change the run's message. Raises `Gone`."""
        if self.place:
            self.bot.edit(self.place, message)

    def forget(self) -> None:
        """The run's message is there no more."""
        self.parts.remember(message=None)

    def reply(self, told: Told, name: str, message: Message, *, broadcast: bool = False) -> None:
        """A message in the thread; `broadcast`: seen in the channel as well. Raises `Gone`."""
        place = self.place
        if place is None:
            return
        send = lambda: self.bot.post(message, self._metadata(told), thread=place, broadcast=broadcast)  # noqa: E731
        self.parts.send_once(f"{told.id}:{name}", send, self.bot.is_there)

    def attach(self, told: Told, name: str, files: Sequence[File], comment: str = "") -> None:
        """Files in the thread, as one message. Raises `Gone`."""
        place = self.place
        if place is None:
            return
        self.parts.send_once(f"{told.id}:{name}", lambda: self.bot.upload(place, files, comment), self.bot.is_there)

    def _message(self) -> dict[str, Any]:
        found = self.parts.memory.get("message") or {}
        return found if found.get("asked") == self.channel else {}

    def _metadata(self, told: Told) -> dict[str, Any]:
        """What makes a message that arrived twice recognisable."""
        kind = type(told.event).__name__
        payload = {"run_id": self.about.facts.run_id, "event_id": told.id, "event": kind}
        return {"event_type": "carpus_run", "event_payload": payload}
