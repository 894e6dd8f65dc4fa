"""A channel's own thread: a bounded queue, patience with a service that is down, and none that is felt by others.

Three failures in a row open the circuit breaker: the channel is left alone for minutes, then tried with one event.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.channel import Channel, NotDelivered, Refused, Told
from utils.events import EpochEnded, Event, ImageScored, StepEnded

log = logging.getLogger(__name__)

LONGEST_QUEUE = 1000
"""Events in memory. What must arrive beyond them lies in the outbox alone, and is sent by the next run."""
FAILURES = 3
PAUSES_S = (1.0, 4.0)
"""Before the second and the third try."""
OPEN_S = 300.0
"""How long the breaker stays open."""
PROMPT_S = 2.0
"""A call that takes longer is not waited for at the end of a run."""


@dataclass(frozen=True)
class Item:
    told: Told
    kept: bool


class Worker:
    """Delivers a channel's events in order. `delivered` hears the id of each kept event that needs no further trial."""

    def __init__(self, name: str, channel: Channel, delivered: Callable[[str], None]) -> None:
        self.name, self.channel, self.delivered = name, channel, delivered
        self.queue: deque[Item] = deque()
        self.changed = threading.Condition()
        self.closing = self.silent = False
        self.failures = 0
        self.resting_until_s = 0.0
        self.calling_since_s: float | None = None
        self.breaks: Counter[str] = Counter()
        """How often a fault of ours met an event; it makes way for the others and stays in the outbox."""
        self.next_beat_s = self._beat_after(time.monotonic())
        self.thread = threading.Thread(target=self._run, name=f"services.{name}", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def offer(self, told: Told, *, kept: bool) -> None:
        """Queue an event. Progress that it makes out of date leaves the queue."""
        with self.changed:
            if self.silent:
                return
            self.queue = deque(item for item in self.queue if item.kept or not supersedes(told.event, item.told.event))
            if len(self.queue) < LONGEST_QUEUE:
                self.queue.append(Item(told, kept))
                self.changed.notify()

    def close(self) -> None:
        """Try what is left, each once, until the first failure; returns at once."""
        with self.changed:
            self.closing = True
            self.changed.notify()

    @property
    def is_worth_waiting_for(self) -> bool:
        """Whether its service answers, and promptly."""
        since_s = self.calling_since_s
        slow = since_s is not None and time.monotonic() - since_s > PROMPT_S
        return not self.failures and not slow

    def _run(self) -> None:
        while (item := self._next()) is not None or not self.closing:
            if item is not None:
                self._deliver(item)
            elif not self.closing:
                self._beat()
            if self.closing and (self.failures or self.silent):
                break
        self._leave()

    def _next(self) -> Item | None:
        """The oldest event, when the channel may be tried; None when it is time for a beat or to end."""
        with self.changed:
            while True:
                now_s = time.monotonic()
                if self.closing:
                    return self.queue[0] if self.queue else None
                next_s = self.resting_until_s if self.queue else math.inf
                if next_s <= now_s:
                    return self.queue[0]
                beat_s = math.inf if self.silent else max(self.next_beat_s, self.resting_until_s)
                if beat_s <= now_s:
                    return None
                wake_s = min(next_s, beat_s)
                self.changed.wait(None if wake_s == math.inf else wake_s - now_s)

    def _deliver(self, item: Item) -> None:
        outcome = self._try(lambda: self.channel.deliver(item.told))
        if outcome == "broken":
            self.breaks[item.told.id] += 1
        if outcome == "delivered" or not item.kept or self.breaks[item.told.id] == FAILURES:
            self._take_off(item)
        if outcome == "delivered" and item.kept:
            self.delivered(item.told.id)

    def _beat(self) -> None:
        self._try(self.channel.beat)
        self.next_beat_s = self._beat_after(time.monotonic())

    def _beat_after(self, now_s: float) -> float:
        return math.inf if self.channel.beat_s is None else now_s + self.channel.beat_s

    def _try(self, call: Callable[[], None]) -> Literal["delivered", "later", "broken"]:
        """Whether the call got through; where not, that is noted. `broken`: by a fault that time will not mend."""
        self.calling_since_s = time.monotonic()
        try:
            call()
        except Refused as error:
            self._fall_silent(str(error))
        except NotDelivered as error:
            self._fail(str(error), error.retry_after_s)
        except Exception as error:  # a fault of ours, or of a library, must not end the other channels either
            log.debug("%s: %s", self.name, error, exc_info=error)
            self._fail(f"{type(error).__name__}: {error}", None)
            return "broken"
        else:
            self._recover()
            return "delivered"
        finally:
            self.calling_since_s = None
        return "later"

    def _recover(self) -> None:
        if self.failures >= FAILURES:
            log.info("%s: messages get through again", self.name)
        self.failures = 0

    def _fail(self, why: str, retry_after_s: float | None) -> None:
        self.failures += 1
        log.debug("%s: %s (failure %d in a row)", self.name, why, self.failures)
        if self.failures == FAILURES:
            log.warning(
                "%s: %s. Tried %d times; next in %.0f min. Training goes on, and what must arrive is kept",
                *(self.name, why, FAILURES, OPEN_S / 60),
            )
        pause_s = OPEN_S if self.failures >= FAILURES else PAUSES_S[self.failures - 1]
        self.resting_until_s = time.monotonic() + max(pause_s, retry_after_s or 0.0)

    def _fall_silent(self, why: str) -> None:
        log.warning("%s: %s Until then this run is not told of there.", self.name, why)
        with self.changed:
            self.silent = True
            self.queue.clear()

    def _take_off(self, item: Item) -> None:
        """Remove a delivered item; meanwhile newer progress may have removed it."""
        with self.changed:
            if item in self.queue:
                self.queue.remove(item)

    def _leave(self) -> None:
        try:
            self.channel.close()
        except Exception as error:  # nothing that it holds outlives this process
            log.debug("%s: %s", self.name, error, exc_info=error)


def supersedes(new: Event, old: Event) -> bool:
    """Whether `old`, which need not arrive, tells nothing any more beside `new`."""
    if isinstance(old, (StepEnded, ImageScored)):
        return True
    return isinstance(old, EpochEnded) and isinstance(new, EpochEnded) and (new.is_best or not old.is_best)
