"""The listener that takes a run's events to the outbox and the notifier process, within microseconds.

A start, an end or a report is on disk when the call returns. A thread writes epochs to the outbox within a second, and
sends the newest step through a pipe to `services.delivery.notifier_process`, in which each channel has a queue and a
thread of its own. So libraries with a slow import, services that hang and drawings that take a second do not compete
with training for Python's global lock, and their crashes do not end it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_as_dict, line_of
from services.delivery.delivery import ServiceSettings, usable_channels
from services.delivery.outbox import OutboxWriter
from services.secrets import Secrets
from utils.events import EpochEnded, Event, Step
from utils.log import FILE_ONLY

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 1.0
DEADLINE_S = 15.0
"""The most that the end of a run waits for deliveries."""
STARTS = 3
"""How often the notifier process is started at most."""
RETRY_S = 0.02
ROOT = Path(__file__).parents[2]


class EventPublisher:
    """Publishes the events of one run to its channels. `close` waits while the services answer promptly."""

    def __init__(self, facts: RunFacts, settings: ServiceSettings, secrets: Secrets) -> None:
        self.outbox = OutboxWriter(facts, usable_channels(settings, secrets))
        about = {"facts": asdict(facts), "settings": settings, "env": secrets.env_file}
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


class Notifier:
    """The notifier process of one run. `opening`: its first line. It is needed for speed alone: the outbox has all."""

    def __init__(self, opening: Mapping[str, Any]) -> None:
        self.opening = line_of(opening)
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.unsent = b""
        self.sending = threading.Lock()
        self.may_leave, self.has_replied = False, threading.Event()
        """Whether the process needs no more time; the flag, one for each process, is set then and when it has ended."""
        self._start()

    @property
    def name(self) -> str:
        return "none" if self.process is None else f"process {self.process.pid}"

    def revive(self) -> None:
        """Start the process again if it has ended, `STARTS` times at most; it reads the outbox from its beginning."""
        if self.process is None or self.process.poll() is None or self.starts > STARTS:
            return
        code = self.process.returncode
        with suppress(OSError):
            self._pipe.close()
        if self.starts == STARTS:
            self.starts += 1
            log.warning("the process that delivers messages ended again (exit code %s); messages are kept", code)
            return
        log.warning("the process that delivers messages ended (exit code %s), so it is started again", code)
        self._start()

    def send(self, values: Mapping[str, Any], *, must_arrive: bool = False) -> None:
        """Send a line, without waiting. While an earlier one is not through, only what `must_arrive` is added."""
        with self.sending:
            if must_arrive or not self.unsent:
                self.unsent += line_of(values)
            self._push()

    def close(self, until_s: float) -> None:
        """Say that the run is over, and wait until the process allows to leave, or until `until_s` (monotonic)."""
        self.send({"close": True}, must_arrive=True)
        while self.unsent and not self.has_replied.is_set() and time.monotonic() < until_s:
            time.sleep(RETRY_S)
            with self.sending:
                self._push()
        if self.process is not None:
            with suppress(OSError):
                self._pipe.close()
            self.has_replied.wait(max(0.0, until_s - time.monotonic()))

    def _start(self) -> None:
        self.starts += 1
        self.has_replied = threading.Event()
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.delivery.notifier_process"],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C at the terminal is for the run
            )
            os.set_blocking(self._pipe.fileno(), False)
            process = (self.process, self.has_replied)
            threading.Thread(target=self._read, args=process, name="services.replies", daemon=True).start()
        except (OSError, RuntimeError) as error:  # no process or no thread more is allowed, or no memory is left
            log.warning("no process for the services (%s); messages are kept, and sent by services.flush", error)
            self.has_replied.set()
            return
        with self.sending:
            self.unsent = self.opening
            self._push()

    def _push(self) -> None:
        """Write as much as the pipe takes. For a caller that holds the lock `sending`."""
        if self.process is None:
            self.unsent = b""
            return
        with suppress(OSError, ValueError):  # it is full, or the process has ended
            while self.unsent:
                self.unsent = self.unsent[os.write(self._pipe.fileno(), self.unsent[: 1 << 16]) :]

    def _read(self, process: subprocess.Popen[bytes], has_replied: threading.Event) -> None:
        """Handle the replies of a process until it ends. Runs in a thread."""
        assert process.stdout is not None
        with process.stdout as replies:
            for line in replies:
                with suppress(ValueError):  # a truncated last line, if the process was killed
                    self._handle(json.loads(line), has_replied)
        self.may_leave |= process.wait() == 0
        has_replied.set()

    def _handle(self, reply: Mapping[str, Any], has_replied: threading.Event) -> None:
        if "leave" in reply:
            self.may_leave = True
            has_replied.set()
        elif reply["level"] >= logging.INFO:
            log.log(reply["level"], "%s", reply["say"])
        else:
            log.info("%s", reply["say"], extra=FILE_ONLY)

    @property
    def _pipe(self) -> Any:
        assert self.process is not None
        return self.process.stdin
