"""The listener that takes a run's events to the outbox and the notifier process, within microseconds.

A start, an end or a report is on disk when the call returns. A thread writes epochs to the outbox within a second, and
sends the newest step through a pipe to `services.delivery.notifier_process`, in which each channel has a queue and a
thread of its own. So libraries with a slow import, services that hang and drawings that take a second do not compete
with training for Python's global lock, and their crashes do not end it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_as_dict, facts_as_dict
from services.delivery.delivery import ServiceSettings, usable_channels
from services.delivery.notifier import Notifier
from services.delivery.outbox import OutboxWriter
from services.secrets import Secrets
from utils.events import EpochEnded, Event, Step

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 1.0
DEADLINE_S = 15.0
"""The most that the end of a run waits for deliveries."""


class EventPublisher:
    """Publishes the events of one run to its channels. `close` waits while the services answer promptly."""

    def __init__(self, facts: RunFacts, settings: ServiceSettings, secrets: Secrets) -> None:
        self.outbox = OutboxWriter(facts, usable_channels(settings, secrets))
        about = {"facts": facts_as_dict(facts), "settings": settings, "env": secrets.env_file}
        self.notifier = Notifier({**about, "session": self.outbox.session, "channels": sorted(self.outbox.channels)})
        self.seq = self.outbox.session
        self.progress: QueuedEvent | None = None
        self.queue: deque[QueuedEvent] = deque()
        self.numbering, self.writing = threading.Lock(), threading.Lock()
        self.has_work = threading.Event()
        self.closing = False
        self.thread: threading.Thread | None = threading.Thread(target=self._run, name="services", daemon=True)
        try:
            self.thread.start()
        except RuntimeError as error:
            log.warning("no thread for the services (%s); what must arrive is kept in %s", error, self.outbox.folder)
            self.thread = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step):
            self.progress = QueuedEvent("", time.time(), event, self.seq)  # the thread sends the newest every second
            return
        self.progress = None
        with self.numbering:
            self.seq += 1
            self.queue.append(QueuedEvent(uuid.uuid4().hex, time.time(), event, self.seq))
        if not isinstance(event, EpochEnded):  # waking the thread costs more than all the rest
            self._write_waiting(to_disk=True)
            self.has_work.set()

    def close(self) -> None:
        """Wait until all has arrived, or until waiting does not help: everything is on disk, to be sent later."""
        until_s = time.monotonic() + DEADLINE_S
        self.closing = True
        self.has_work.set()
        if self.thread is not None:
            self.thread.join(DEADLINE_S)
        self._write_waiting(to_disk=True)
        self.notifier.close(until_s)
        if not self.notifier.may_leave:
            log.warning(
                "the process that delivers messages (%s) is not done yet; what it does not send is kept, see "
                "python -m services.flush %s",
                *(self.notifier.name, self.outbox.folder),
            )

    def _run(self) -> None:
        """Write epochs and send progress, at once after a start or an end and else every second."""
        while not self.closing:
            self._write_waiting(to_disk=False)
            self.notifier.revive()
            progress, self.progress = self.progress, None
            self.notifier.send({} if progress is None else event_as_dict(progress))
            self.has_work.wait(PROGRESS_EVERY_S)
            self.has_work.clear()

    def _write_waiting(self, *, to_disk: bool) -> None:
        """Append the waiting events to the outbox, in order; if the disk refuses, the notifier process gets them."""
        with self.writing:
            entries = []
            while self.queue:
                entries.append(self.outbox.entry_of(self.queue.popleft()))
            if not self.outbox.write(entries, to_disk=to_disk):
                for entry in entries:
                    self.notifier.send(entry.as_dict(), must_arrive=True)
