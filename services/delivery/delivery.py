"""The channels of one run: each event of the outbox goes to those that accept it, until it has arrived."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from services import CHANNELS
from services.channel import Channel, Context, QueuedEvent, Refused, RunFacts
from services.delivery.outbox import Entry, OutboxReader, delivery_lock, tidy
from services.delivery.run_memory import RunMemory
from services.delivery.worker import Worker
from services.secrets import MalformedSecret, Secrets
from utils.errors import UserError

log = logging.getLogger(__name__)

POLL_EVERY_S = 0.02
GIVEN_UP = 50
"""Events that a channel's memory names as given up, at most."""

ServiceSettings = Mapping[str, Any]
"""The configuration's section `services` as plain values: a block for each channel, and the shared keys. A block that
is None: the channel cannot be used, and its events wait."""


class Delivery:
    """The usable channels of a run, each in its own thread. Make it with `open_delivery`.

    `session`: the session of the run that goes on now; events of earlier ones that need not arrive are passed over.
    """

    def __init__(
        self, channels: Mapping[str, Channel], memory: RunMemory, session: int | None, switched_off: frozenset[str]
    ) -> None:
        self.channels, self.memory, self.session, self.switched_off = channels, memory, session, switched_off
        self.reader = OutboxReader(memory.folder)
        self.settled = {name: memory.block(name).get("settled", 0) for name in channels}
        """By channel, the number of the last event that had arrived before this process."""
        self.left: dict[int, set[str]] = {}
        """By an event's number, the channels at which it must still arrive."""
        self.given_up = 0
        """The number of messages that this process has given up."""
        self.seen = 0
        """The number of the newest event."""
        self.workers = {name: Worker(name, channel, partial(self._settle, name)) for name, channel in channels.items()}
        self.look()
        for worker in self.workers.values():
            worker.start()

    def look(self) -> None:
        """Read the new entries of the outbox, and queue them for their channels."""
        if self.memory.is_in_place:
            for entry in self.reader.read_new():
                self.dispatch(entry)

    def dispatch(self, entry: Entry) -> None:
        """Queue an event of the outbox for those of its channels that accept it."""
        seq, event = entry.queued.seq, entry.queued.event
        if seq <= self.seen:
            return
        self.seen = seq
        # Nothing waits for a receiver that was taken out of a channel in use.
        known = self.switched_off | set(map(kind_of, self.channels))
        unreachable = {name for name in entry.channels if kind_of(name) not in known}
        if unreachable:
            self.left[seq] = unreachable
        for name in sorted(entry.channels & self.channels.keys()):
            if seq <= self.settled[name] or not self.channels[name].accepts(event):
                continue
            must_arrive = self.channels[name].must_arrive(event)
            if must_arrive:
                self.left.setdefault(seq, set()).add(name)
            if must_arrive or entry.session == self.session:
                self.workers[name].enqueue(entry.queued, must_arrive=must_arrive)

    def show(self, queued: QueuedEvent) -> None:
        """Queue a step or a scored image, unless an event of the outbox has made it outdated."""
        if queued.seq >= self.seen:
            for name, channel in self.channels.items():
                if channel.accepts(queued.event):
                    self.workers[name].enqueue(queued, must_arrive=False)

    def close(self, deadline_s: float, run_wait_s: float = 0.0, release: Callable[[], None] = lambda: None) -> None:
        """Deliver what is left, for `deadline_s` seconds at most.

        `release` is called once, when the run need not wait any longer: as soon as only services are left that do not
        answer promptly, and after `run_wait_s` at the latest.
        """
        began_s, has_released = time.monotonic(), False
        # Every worker tries what it has left, once, then its thread ends.
        for worker in self.workers.values():
            worker.close()
        while at_work := [worker for worker in self.workers.values() if worker.thread.is_alive()]:
            took_s = time.monotonic() - began_s
            if took_s > deadline_s:
                break
            # The run is released early if waiting longer would not help.
            any_prompt = any(worker.answers_promptly for worker in at_work)
            if not has_released and (not any_prompt or took_s > run_wait_s):
                has_released = True
                self._log_what_is_left()
                release()
            time.sleep(POLL_EVERY_S)
        if not has_released:
            self._log_what_is_left()

    def tidy(self) -> None:
        """Delete from the outbox what has arrived, unless the run's folder was moved away."""
        if self.memory.is_in_place:
            tidy(self.memory.folder, self.seen, {seq: set(names) for seq, names in list(self.left.items()) if names})

    @property
    def channels_left(self) -> Counter[str]:
        """By channel, the number of events that must still arrive."""
        return Counter(name for names in list(self.left.values()) for name in list(names))

    def _settle(self, name: str, queued: QueuedEvent, given_up: str | None) -> None:
        """Record that a channel has delivered an event, or gives it up and why."""
        block = self.memory.block(name)
        values: dict[str, Any] = {"settled": queued.seq}
        if given_up is not None:
            self.given_up += 1
            entry = {"seq": queued.seq, "event": type(queued.event).__name__, "why": given_up}
            values["given_up"] = [*block.get("given_up", []), entry][-GIVEN_UP:]
        with suppress(UserError):  # a full disk: a later write saves it, too
            block.set(**values)
        self.left.get(queued.seq, set()).discard(name)

    def _log_what_is_left(self) -> None:
        path = self.reader.path
        for name, count in sorted(self.channels_left.items()):
            why = self.workers[name].why_failed if name in self.workers else ""
            log.info(
                "%s: %d %s not delivered yet%s, kept in %s; the run sends what is left when it is resumed, or: "
                "python -m services.flush %s",
                *(name, count, "message" if count == 1 else "messages", f" ({why})" if why else "", path, path.parent),
            )


@contextmanager
def open_delivery(
    facts: RunFacts, settings: ServiceSettings, secrets: Secrets, *, session: int | None = None, wait_s: float = 0.0
) -> Iterator[Delivery]:
    """Build the channels of a run by the settings of today, and begin to deliver what is in its outbox.

    Raises `utils.lock.Busy` if another process delivers for this run and does not end within `wait_s` seconds.
    """
    with delivery_lock(facts.folder, wait_s):
        memory = RunMemory(facts.folder)
        channels = build_channels(facts, settings, secrets, memory)
        delivery = Delivery(channels, memory, session, switched_off(settings))
        try:
            yield delivery
        finally:
            delivery.tidy()


def build_channels(
    facts: RunFacts, settings: ServiceSettings, secrets: Secrets, memory: RunMemory
) -> dict[str, Channel]:
    """Build the channels that can be used; for one whose builder raises, log the reason."""
    channels = {}
    shared = {key: settings[key] for key in ("language", "every_epochs") if key in settings}
    for name in usable_channels(settings, secrets):
        kind, _, part = name.partition(":")
        context = Context(facts, secrets, memory.block(name), **shared, part=part)
        try:
            channels[name] = CHANNELS[kind].build(context, **settings.get(kind, {}))
        except (Refused, UserError) as error:
            log.warning("%s: %s", name, error)
    return channels


def usable_channels(settings: ServiceSettings, secrets: Secrets) -> list[str]:
    """Names of the channels that are enabled and have their secrets; those of several parts are `name:part`."""
    usable = [name for name, why in reasons_off(settings, secrets).items() if why is None]
    return [f"{name}:{part}".rstrip(":") for name in usable for part in CHANNELS[name].parts(secrets)]


def kind_of(channel: str) -> str:
    """The name in the table of channels."""
    return channel.partition(":")[0]


def switched_off(settings: ServiceSettings) -> frozenset[str]:
    """Names of the channels that the settings switch off: nothing waits for them."""
    return frozenset(name for name in CHANNELS if not (settings.get(name) or {}).get("enabled", True))


def reasons_off(settings: ServiceSettings, secrets: Secrets) -> dict[str, str | None]:
    """By the name of each enabled channel, the reason why it cannot be used; None if it can."""
    return {name: _reason_off(name, settings, secrets) for name in CHANNELS if name not in switched_off(settings)}


def _reason_off(name: str, settings: ServiceSettings, secrets: Secrets) -> str | None:
    block = settings.get(name, {})
    if block is None:
        return "left out"
    try:
        return CHANNELS[name].missing(secrets, block)
    except MalformedSecret as error:  # it switches off its own channel, and not the others
        return str(error)
