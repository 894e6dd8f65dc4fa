"""The listener that passes a run's events to the notifier process; it costs the training thread microseconds.

Events go into a bounded queue; a thread writes them to the pipe of `services.delivery.notifier_process`, in which each
channel has a queue and a thread of its own. So libraries with a slow import, services that hang and drawings that take
a second do not compete with training for Python's global lock, and their crashes do not end it.
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
from pathlib import Path
from typing import IO, Any

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_as_dict, facts_as_dict, line_of
from services.delivery.delivery import ServiceSettings, save_for_later
from services.secrets import Secrets
from utils.errors import UserError
from utils.events import EpochEnded, Event, ImageScored, RunFailed, StepEnded
from utils.log import FILE_ONLY

log = logging.getLogger(__name__)

LONGEST_QUEUE = 4096
"""Events. If more wait, the notifier process hangs, and epochs are dropped; the start and end of a run never are."""
PROGRESS_EVERY_S = 1.0
DEADLINE_S = 15.0
"""The most that the end of a run waits for deliveries."""
FAILURE_WAIT_S = 2.0
"""How long the run waits until a failure is on disk: it may end right after."""
STARTS = 3
"""How often the notifier process is started at most."""
ROOT = Path(__file__).parents[2]


class EventPublisher:
    """Publishes the events of one run to its channels. `close` waits while the services answer promptly."""

    def __init__(self, facts: RunFacts, settings: ServiceSettings, secrets: Secrets) -> None:
        self.facts, self.settings, self.secrets = facts, settings, secrets
        self.progress: QueuedEvent | None = None
        self.queue: deque[QueuedEvent] = deque()
        self.unacknowledged: dict[str, QueuedEvent] = {}
        self.has_work, self.may_return = threading.Event(), threading.Event()
        self.closing = False
        self.starts = 0
        self.process = self._start()
        self.writer = threading.Thread(target=self._write, name="services", daemon=True)
        self.writer.start()

    def __call__(self, event: Event) -> None:
        queued = QueuedEvent(uuid.uuid4().hex, time.time(), event)
        if isinstance(event, (StepEnded, ImageScored)):
            self.progress = queued  # the writer sends the newest one every second
            return
        if isinstance(event, EpochEnded) and len(self.queue) >= LONGEST_QUEUE:
            return
        self.progress = None
        self.queue.append(queued)
        if not isinstance(event, EpochEnded):  # setting the flag costs more than all the rest
            self.has_work.set()
        if isinstance(event, RunFailed):
            self._wait_for(queued)

    def close(self) -> None:
        """Wait until the events that must arrive have arrived, or are on disk to be sent later."""
        self.closing = True
        self.has_work.set()
        until_s = time.monotonic() + DEADLINE_S
        self.writer.join(DEADLINE_S)
        self.may_return.wait(max(0.0, until_s - time.monotonic()))
        # A process that crashed is started again for the events that it had not on disk.
        while self.unacknowledged and self.process.poll() is not None and self._start_again():
            self._send_close()
            self.may_return.wait(max(0.0, until_s - time.monotonic()))
        if self.unacknowledged or self.queue:
            self._save_rest()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self.may_return.clear()
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", "services.delivery.notifier_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C at the terminal is for the run
        )
        threading.Thread(target=self._read, args=(process,), name="services.answers", daemon=True).start()
        return process

    def _write(self) -> None:
        """Send starts and ends at once, epochs and progress within a second. Runs in the writer thread."""
        self._send(self._opening())
        while not self.closing:
            self._send_waiting()
            self.has_work.wait(PROGRESS_EVERY_S)
            self.has_work.clear()
        self._send_waiting()
        self._send_close()

    def _send_close(self) -> None:
        self._send({"close": True})
        with suppress(OSError):
            self._pipe.close()

    def _send_waiting(self) -> None:
        if self.process.poll() is not None:
            self._start_again()
        while self.queue:
            queued = self.unacknowledged[self.queue[0].id] = self.queue[0]
            self.queue.popleft()
            self._send(event_as_dict(queued))
        progress, self.progress = self.progress, None
        if progress is not None:
            self._send(event_as_dict(progress))

    def _send(self, values: Mapping[str, Any]) -> None:
        try:
            self._pipe.write(line_of(values))
            self._pipe.flush()
        except (OSError, ValueError):  # ValueError: closed, after the last of several starts
            if self._start_again() and "close" in values:
                self._send(values)

    def _start_again(self) -> bool:
        """Start the notifier process again after it ended, and send it what the old one had not on disk.

        Returns whether there is a new process; after `STARTS` starts there is none.
        """
        with suppress(OSError):
            self._pipe.close()
        if self.starts > STARTS:
            return False
        code = self.process.wait()
        if self.starts == STARTS:
            self.starts += 1
            log.warning("the process that speaks with the services ended again (exit code %s); they hear later", code)
            return False
        log.warning("the process that speaks with the services ended (exit code %s), so it is started again", code)
        self.process = self._start()
        for values in [self._opening(), *map(event_as_dict, list(self.unacknowledged.values()))]:
            self._send(values)
        return True

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Handle the replies of a notifier process until it ends. Runs in a reader thread."""
        assert process.stdout is not None
        with process.stdout as answers:
            for line in answers:
                with suppress(ValueError):  # a truncated last line, if the process was killed
                    self._handle(json.loads(line))
        process.wait()
        if process is self.process:
            self.may_return.set()
            self.has_work.set()

    def _handle(self, answer: Mapping[str, Any]) -> None:
        if "ack" in answer:
            self.unacknowledged.pop(answer["ack"], None)
        elif "leave" in answer:
            self.may_return.set()
        elif answer["level"] >= logging.INFO:
            log.log(answer["level"], "%s", answer["say"])
        else:
            log.info("%s", answer["say"], extra=FILE_ONLY)

    def _wait_for(self, queued: QueuedEvent) -> None:
        until_s = time.monotonic() + FAILURE_WAIT_S
        while (self.queue or queued.id in self.unacknowledged) and time.monotonic() < until_s:
            time.sleep(0.01)

    def _save_rest(self) -> None:
        """Write the events that no process has taken to the outbox."""
        self.process.kill()
        try:
            save_for_later(self.facts, self.settings, self.secrets, [*self.unacknowledged.values(), *self.queue])
        except UserError as error:
            log.warning("the services were not told of all of this run (%s)", error)

    def _opening(self) -> dict[str, Any]:
        return {"facts": facts_as_dict(self.facts), "settings": self.settings, "env": self.secrets.env_file}

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin
