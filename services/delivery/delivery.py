"""The channels of one run: each event goes to those that accept it, and stays in the outbox until it has arrived."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services import CHANNELS
from services.channel import Channel, Context, QueuedEvent, Refused, RunFacts
from services.delivery.codec import facts_as_dict, facts_from
from services.delivery.outbox import Outbox, open_outbox
from services.delivery.run_memory import RunMemory
from services.delivery.worker import Worker
from services.secrets import Secrets
from utils.errors import UserError

log = logging.getLogger(__name__)

RUN = "run"
"""The block of a run's memory from which its channels can be built again."""
POLL_EVERY_S = 0.02

ServiceSettings = Mapping[str, Any]
"""The configuration's section `services` as plain values: a block for each channel, and the shared keys."""


class Delivery:
    """The usable channels of a run, each in its own thread. Make it with `open_delivery`."""

    def __init__(self, channels: Mapping[str, Channel], outbox: Outbox) -> None:
        self.channels, self.outbox = channels, outbox
        self.workers = {name: Worker(name, channel, self._mark_done(name)) for name, channel in channels.items()}
        for name, worker in self.workers.items():
            for queued in outbox.waiting_for(name):
                worker.enqueue(queued, must_arrive=True)
            worker.start()

    def dispatch(self, queued: QueuedEvent) -> None:
        """Queue an event for the channels that accept it; if it must arrive, it is on disk when this returns."""
        must_arrive = add_to_outbox(queued, self.channels, self.outbox)
        for name, channel in self.channels.items():
            if channel.accepts(queued.event):
                self.workers[name].enqueue(queued, must_arrive=name in must_arrive)

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

    def _mark_done(self, name: str) -> Callable[[str], None]:
        return lambda event_id: self.outbox.done(event_id, name)

    def _log_what_is_left(self) -> None:
        for name in sorted(self.outbox.channels):
            count = len(self.outbox.waiting_for(name))
            log.info(
                "%s: %d %s not delivered yet, kept in %s; the next run sends what is left, or: "
                "python -m services.flush %s",
                *(name, count, "message" if count == 1 else "messages", self.outbox.path, self.outbox.path.parent),
            )


@contextmanager
def open_delivery(
    facts: RunFacts, settings: ServiceSettings, secrets: Secrets, wait_s: float = 0.0
) -> Iterator[Delivery]:
    """Build the channels of a run, and save their settings, so that another process can deliver what remains.

    Raises `utils.lock.Busy` if another process delivers for this run and does not end within `wait_s` seconds.
    """
    with open_outbox(facts.folder, wait_s) as outbox:
        yield Delivery(build_channels(facts, settings, secrets, remember_settings(facts, settings, secrets)), outbox)


def save_for_later(facts: RunFacts, settings: ServiceSettings, secrets: Secrets, events: Iterable[QueuedEvent]) -> None:
    """Write those events into the outbox that must arrive. Raises as `open_delivery`."""
    with open_outbox(facts.folder) as outbox:
        channels = build_channels(facts, settings, secrets, remember_settings(facts, settings, secrets))
        for queued in events:
            add_to_outbox(queued, channels, outbox)


def add_to_outbox(queued: QueuedEvent, channels: Mapping[str, Channel], outbox: Outbox) -> set[str]:
    """Write an event into the outbox for the channels at which it must arrive; returns their names."""
    event = queued.event
    names = {name for name, channel in channels.items() if channel.accepts(event) and channel.must_arrive(event)}
    if names:
        outbox.add(queued, names)
    return names


@contextmanager
def reopen_delivery(folder: Path) -> Iterator[Delivery]:
    """Build the channels of a finished run again, to deliver what it has left.

    Raises as `open_delivery`, and `UserError` if the run's folder does not hold the settings of its channels.
    """
    with open_outbox(folder) as outbox:
        memory = RunMemory(folder)
        run = memory.block(RUN)
        try:
            facts = facts_from(run.get("facts"))
            settings, secrets = dict(run.get("settings")), Secrets(Path(run.get("env")))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{memory.path}: does not say for whom {outbox.path.name} is ({error}). Resume the run, or delete both."
            ) from error
        yield Delivery(build_channels(facts, settings, secrets, memory), outbox)


def remember_settings(facts: RunFacts, settings: ServiceSettings, secrets: Secrets) -> RunMemory:
    """Save in the run's memory what `reopen_delivery` needs; returns the memory."""
    memory = RunMemory(facts.folder)
    memory.change(RUN, {"facts": facts_as_dict(facts), "settings": dict(settings), "env": str(secrets.env_file)})
    return memory


def build_channels(
    facts: RunFacts, settings: ServiceSettings, secrets: Secrets, memory: RunMemory
) -> dict[str, Channel]:
    """Build the channels that can be used; for one whose builder raises, log the reason."""
    channels = {}
    for name in usable_channels(settings, secrets):
        shared = {key: settings[key] for key in ("language", "every_epochs") if key in settings}
        context = Context(facts, secrets, memory.block(name), **shared)
        try:
            channels[name] = CHANNELS[name].build(context, **settings.get(name, {}))
        except (Refused, UserError) as error:
            log.warning("%s: %s", name, error)
    return channels


def usable_channels(settings: ServiceSettings, secrets: Secrets) -> list[str]:
    """Names of the channels that are enabled and have their secrets."""
    return [name for name, why in reasons_off(settings, secrets).items() if why is None]


def reasons_off(settings: ServiceSettings, secrets: Secrets) -> dict[str, str | None]:
    """By the name of each enabled channel, the reason why it cannot be used; None if it can."""
    return {
        name: kind.missing(secrets, settings.get(name, {}))
        for name, kind in CHANNELS.items()
        if settings.get(name, {}).get("enabled", True)
    }
