"""The thread of one channel: a queue and repeated tries, so that a slow service delays no other channel.

Three failures in a row open the circuit breaker: the channel is not tried for minutes, then tried with one event.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from services.channel import Channel, EventRefused, NotDelivered, QueuedEvent, Refused
from utils.errors import UserError
from utils.events import EpochEnded, Event, Step

log = logging.getLogger(__name__)

FAILURES = 3
"""Failures in a row that open the breaker; also tries of an event that the service does not accept."""
PAUSES_S = (1.0, 4.0)
"""Pauses before the second and the third try."""
OPEN_S = 300.0
"""How long the breaker stays open."""
PROMPT_S = 2.0
"""The end of a run does not wait for a call that takes longer."""


@dataclass(eq=False)
class QueueItem:
    queued: QueuedEvent
    must_arrive: bool


class Worker:
    """Delivers a channel's events in order.

    `on_settled` is called with each event that had to arrive and needs no further try, and with the reason if it is
    given up.
    """

    def __init__(self, name: str, channel: Channel, on_settled: Callable[[QueuedEvent, str | None], None]) -> None:
        self.name, self.channel, self.on_settled = name, channel, on_settled
        self.queue: deque[QueueItem] = deque()
        self.changed = threading.Condition()
        self.closing = self.is_stopped = False
        self.failures = 0
        self.paused_until_s = 0.0
        self.calling_since_s: float | None = None
        self.why_failed = ""
        """The last failure, for people."""
        self.refusals: Counter[str] = Counter()
        """By the id of an event, how often the service did not accept it, or an unexpected exception was raised. After
        `FAILURES` times the event is given up, so that those behind it are delivered."""
        self.next_refresh_s = self._refresh_after(time.monotonic())
        self.thread = threading.Thread(target=self._run, name=f"services.{name}", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def enqueue(self, queued: QueuedEvent, *, must_arrive: bool) -> None:
        """Queue an event, and remove progress before it that it makes outdated."""
        with self.changed:
            if self.is_stopped:
                return
            # The queue may hold all epochs of a run, so only its end is looked at.
            while (
                self.queue and not (last := self.queue[-1]).must_arrive and supersedes(queued.event, last.queued.event)
            ):
                self.queue.pop()
            self.queue.append(QueueItem(queued, must_arrive))
            self.changed.notify()

    def close(self) -> None:
        """Make the thread try each remaining event once, until the first failure; returns at once."""
        with self.changed:
            self.closing = True
            self.changed.notify()

    @property
    def answers_promptly(self) -> bool:
        """Whether the last call succeeded, and the current one has not taken long yet."""
        since_s = self.calling_since_s
        slow = since_s is not None and time.monotonic() - since_s > PROMPT_S
        return not self.failures and not slow

    def _run(self) -> None:
        while (item := self._next()) is not None or not self.closing:
            if item is not None:
                self._deliver(item)
            elif not self.closing:
                self._refresh()
            if self.closing and (self.failures or self.is_stopped):
                break
        try:
            self.channel.close()
        except Exception as error:  # the end of the process releases everything anyway
            log.debug("%s: %s", self.name, error, exc_info=error)

    def _next(self) -> QueueItem | None:
        """Wait until the channel may be tried, and return the oldest event; None if it is time to refresh or to end."""
        with self.changed:
            while True:
                now_s = time.monotonic()
                # At the end no pause is waited for.
                if self.closing:
                    return self.queue[0] if self.queue else None
                # An event comes before a refresh.
                next_s = self.paused_until_s if self.queue else math.inf
                if next_s <= now_s:
                    return self.queue[0]
                refresh_at_s = math.inf if self.is_stopped else max(self.next_refresh_s, self.paused_until_s)
                if refresh_at_s <= now_s:
                    return None
                wake_s = min(next_s, refresh_at_s)
                self.changed.wait(None if wake_s == math.inf else wake_s - now_s)

    def _deliver(self, item: QueueItem) -> None:
        why_not = self._try(lambda: self.channel.deliver(item.queued))
        given_up = None
        if isinstance(why_not, EventRefused) and item.must_arrive:
            given_up = self._give_up(item.queued, str(why_not))
        if why_not is None or given_up is not None or not item.must_arrive:
            with self.changed:  # newer progress may have removed it meanwhile
                if self.queue and self.queue[0] is item:
                    self.queue.popleft()
            if item.must_arrive:
                self.on_settled(item.queued, given_up)

    def _give_up(self, queued: QueuedEvent, why: str) -> str | None:
        """Count a refusal of this event; after `FAILURES` of them return the reason, because no try will succeed."""
        self.refusals[queued.id] += 1
        if self.refusals[queued.id] < FAILURES:
            self.paused_until_s = time.monotonic() + PAUSES_S[self.refusals[queued.id] - 1]
            return None
        kind = type(queued.event).__name__
        log.warning("%s: the message about %s is given up after %d tries: %s", self.name, kind, FAILURES, why)
        return why

    def _refresh(self) -> None:
        self._try(self.channel.refresh)
        self.next_refresh_s = self._refresh_after(time.monotonic())

    def _refresh_after(self, now_s: float) -> float:
        return math.inf if self.channel.refresh_every_s is None else now_s + self.channel.refresh_every_s

    def _try(self, call: Callable[[], None]) -> Exception | None:
        """Call the channel, count a failure, and return its exception; None after a success.

        `EventRefused` is about one event, so it is no failure of the service. An unexpected exception is one, too.
        """
        self.calling_since_s = time.monotonic()
        try:
            call()
        except EventRefused as error:
            log.debug("%s: %s", self.name, error)
            return error
        except Refused as error:
            self._stop(str(error))
            return error
        except (NotDelivered, UserError) as error:  # UserError: such as a full disk
            self._fail(str(error), getattr(error, "retry_after_s", None))
            return error
        except Exception as error:  # a bug here or in a library must not stop the other channels
            log.debug("%s: %s", self.name, error, exc_info=error)
            return EventRefused(f"{type(error).__name__}: {error}")
        finally:
            self.calling_since_s = None
        if self.failures >= FAILURES:
            log.info("%s: messages get through again", self.name)
        self.failures = 0
        return None

    def _fail(self, why: str, retry_after_s: float | None) -> None:
        self.failures += 1
        self.why_failed = why
        log.debug("%s: %s (failure %d in a row)", self.name, why, self.failures)
        if self.failures == FAILURES:
            log.warning(
                "%s: %s. Tried %d times; next in %.0f min. Training goes on, and what must arrive is kept",
                *(self.name, why, FAILURES, OPEN_S / 60),
            )
        pause_s = OPEN_S if self.failures >= FAILURES else PAUSES_S[self.failures - 1]
        # A service that asks for hours, by an error of its own, is tried earlier.
        self.paused_until_s = time.monotonic() + max(pause_s, min(retry_after_s or 0.0, OPEN_S))

    def _stop(self, why: str) -> None:
        log.warning("%s: %s Until then nothing of this run is sent there.", self.name, why)
        with self.changed:
            self.is_stopped = True
            self.queue.clear()


def supersedes(new: Event, old: Event) -> bool:
    """Whether `old`, which need not arrive, adds nothing to `new`."""
    if isinstance(old, Step):
        return True
    if not isinstance(old, EpochEnded) or not isinstance(new, EpochEnded) or old.fell_from is not None:
        return False
    return new.is_best or not old.is_best
