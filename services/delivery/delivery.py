"""All channels of one run at work: each event is put before those that want it, and kept until it has arrived."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services import CHANNELS
from services.channel import Channel, Context, Refused, RunFacts, Told
from services.delivery.codec import facts_as_dict, facts_from
from services.delivery.outbox import Outbox, opened
from services.delivery.run_memory import MemoryFile
from services.delivery.worker import Worker
from services.secrets import Secrets
from utils.errors import UserError

log = logging.getLogger(__name__)

RUN = "run"
"""The block of a run's memory that says how its channels are built again."""
LOOK_EVERY_S = 0.02

Settings = Mapping[str, Any]
"""What a configuration says under `services`, as plain values: a block for each channel, and what they share."""


class Delivery:
    """The channels of a run that can work, each in its thread. Make it with `delivering`."""

    def __init__(self, channels: Mapping[str, Channel], outbox: Outbox) -> None:
        self.channels, self.outbox = channels, outbox
        self.workers = {name: Worker(name, channel, self._note(name)) for name, channel in channels.items()}
        for name, worker in self.workers.items():
            for told in outbox.waiting_for(name):
                worker.offer(told, kept=True)
            worker.start()

    def tell(self, told: Told) -> None:
        """Put an event before the channels that want it; what must arrive is on disk when this returns."""
        kept = put_aside(told, self.channels, self.outbox)
        for name, channel in self.channels.items():
            if channel.wants(told.event):
                self.workers[name].offer(told, kept=name in kept)

    def close(self, deadline_s: float, patience_s: float = 0.0, leave: Callable[[], None] = lambda: None) -> None:
        """Deliver what is left, at most until the deadline.

        `leave` is called once nobody need wait for it: when only services are left that do not answer, or slowly, and
        after `patience_s` at the latest.
        """
        began_s, has_left = time.monotonic(), False
        for worker in self.workers.values():
            worker.close()
        while at_work := [worker for worker in self.workers.values() if worker.thread.is_alive()]:
            took_s = time.monotonic() - began_s
            if took_s > deadline_s:
                break
            is_worth_it = any(worker.is_worth_waiting_for for worker in at_work)
            if not has_left and (not is_worth_it or took_s > patience_s):
                has_left = True
                self._tell_what_is_left()
                leave()
            time.sleep(LOOK_EVERY_S)
        if not has_left:
            self._tell_what_is_left()

    def _note(self, name: str) -> Callable[[str], None]:
        return lambda event_id: self.outbox.done(event_id, name)

    def _tell_what_is_left(self) -> None:
        for name in sorted(self.outbox.channels):
            count = len(self.outbox.waiting_for(name))
            log.info(
                "%s: %d %s not delivered yet, kept in %s; the next run sends what is left, or: "
                "python -m services.flush %s",
                *(name, count, "message" if count == 1 else "messages", self.outbox.path, self.outbox.path.parent),
            )


@contextmanager
def delivering(facts: RunFacts, settings: Settings, secrets: Secrets, wait_s: float = 0.0) -> Iterator[Delivery]:
    """Build the channels of a run, and remember how, so that what they leave can be delivered without it.

    Raises `utils.lock.Busy` where another process delivers for this run, and is not done within `wait_s` seconds.
    """
    with opened(facts.folder, wait_s) as outbox:
        yield Delivery(built(facts, settings, secrets, remembered(facts, settings, secrets)), outbox)


def keep(facts: RunFacts, settings: Settings, secrets: Secrets, events: Iterable[Told]) -> None:
    """Put what must arrive of these events into the outbox, for another time. Raises `UserError` as `delivering`."""
    with opened(facts.folder) as outbox:
        channels = built(facts, settings, secrets, remembered(facts, settings, secrets))
        for told in events:
            put_aside(told, channels, outbox)


def put_aside(told: Told, channels: Mapping[str, Channel], outbox: Outbox) -> set[str]:
    """Write an event into the outbox for those channels at which it must arrive; their names."""
    event = told.event
    keeping = {name for name, channel in channels.items() if channel.wants(event) and channel.keeps(event)}
    if keeping:
        outbox.add(told, keeping)
    return keeping


@contextmanager
def delivering_again(folder: Path) -> Iterator[Delivery]:
    """The channels of a run that is over and has left something. Raises as `delivering`, and `UserError` where the
    folder does not say how they are built."""
    with opened(folder) as outbox:
        memory = MemoryFile(folder)
        run = memory.of(RUN)
        try:
            facts = facts_from(run.get("facts"))
            settings, secrets = dict(run.get("settings")), Secrets(Path(run.get("env")))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{memory.path}: does not say for whom {outbox.path.name} is ({error}). Resume the run, or delete both."
            ) from error
        yield Delivery(built(facts, settings, secrets, memory), outbox)


def remembered(facts: RunFacts, settings: Settings, secrets: Secrets) -> MemoryFile:
    """The memory of a run, with how its channels are built in it."""
    memory = MemoryFile(facts.folder)
    memory.change(RUN, {"facts": facts_as_dict(facts), "settings": dict(settings), "env": str(secrets.env_file)})
    return memory


def built(facts: RunFacts, settings: Settings, secrets: Secrets, memory: MemoryFile) -> dict[str, Channel]:
    """The channels that can work; why one cannot is told."""
    channels = {}
    for name in able(settings, secrets):
        shared = {key: settings[key] for key in ("language", "every_epochs") if key in settings}
        context = Context(facts, secrets, memory.of(name), **shared)
        try:
            channels[name] = CHANNELS[name].build(context, **settings.get(name, {}))
        except (Refused, UserError) as error:
            log.warning("%s: %s", name, error)
    return channels


def able(settings: Settings, secrets: Secrets) -> list[str]:
    """The channels that are wanted and have what they need."""
    return [name for name, why in reasons(settings, secrets).items() if why is None]


def reasons(settings: Settings, secrets: Secrets) -> dict[str, str | None]:
    """What keeps each wanted channel from working, None where nothing does. One that is not wanted is not there."""
    return {
        name: kind.missing(secrets, settings.get(name, {}))
        for name, kind in CHANNELS.items()
        if settings.get(name, {}).get("enabled", True)
    }
