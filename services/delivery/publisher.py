"""A run's events on their way to the world: a listener that costs the training thread microseconds and never fails.

Events go into a bounded queue; a thread passes them to the process beside the run
(`services.delivery.notifier_process`), where each channel has a queue and a thread of its own. So libraries that are
slow to import, services that hang and drawings that take a second neither share Python's lock with training nor can
take it down.
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

from services.channel import RunFacts, Told
from services.delivery.codec import facts_as_dict, line_of, told_as_dict
from services.delivery.delivery import Settings, keep
from services.secrets import Secrets
from utils.errors import UserError
from utils.events import EpochEnded, Event, ImageScored, RunFailed, StepEnded
from utils.log import FILE_ONLY

log = logging.getLogger(__name__)

LONGEST_QUEUE = 4096
"""Beyond it epochs are dropped: whoever reads is frozen. The start and the end of a run never are."""
PROGRESS_EVERY_S = 1.0
DEADLINE_S = 15.0
"""The most that the end of a run waits for deliveries."""
FAREWELL_S = 2.0
"""How long a failure waits to be on disk: what follows it may end the process at once."""
STARTS = 3
ROOT = Path(__file__).parents[2]


class FanOut:
    """Tells the channels of one run of its events. Close it at the end: it waits while services answer promptly."""

    def __init__(self, facts: RunFacts, settings: Settings, secrets: Secrets) -> None:
        self.facts, self.settings, self.secrets = facts, settings, secrets
        self.progress: Told | None = None
        self.queue: deque[Told] = deque()
        self.unacknowledged: dict[str, Told] = {}
        self.wake, self.may_leave = threading.Event(), threading.Event()
        self.closing = False
        self.starts = 0
        self.process = self._start()
        self.writer = threading.Thread(target=self._write, name="services", daemon=True)
        self.writer.start()

    def __call__(self, event: Event) -> None:
        told = Told(uuid.uuid4().hex, time.time(), event)
        if isinstance(event, (StepEnded, ImageScored)):
            self.progress = told  # the writer looks every second; the latest wins
            return
        if isinstance(event, EpochEnded) and len(self.queue) >= LONGEST_QUEUE:
            return
        self.progress = None
        self.queue.append(told)
        if not isinstance(event, EpochEnded):  # to wake a thread costs more than all the rest
            self.wake.set()
        if isinstance(event, RunFailed):
            self._wait_for(told)

    def close(self) -> None:
        """Wait until what must arrive has arrived, or is on disk to be sent later."""
        self.closing = True
        self.wake.set()
        until_s = time.monotonic() + DEADLINE_S
        self.writer.join(DEADLINE_S)
        self.may_leave.wait(max(0.0, until_s - time.monotonic()))
        while self.unacknowledged and self.process.poll() is not None and self._start_again():
            self._say_goodbye()
            self.may_leave.wait(max(0.0, until_s - time.monotonic()))
        if self.unacknowledged or self.queue:
            self._keep()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self.may_leave.clear()
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
        """The writer: pass on starts and ends at once, epochs and progress within a second."""
        self._send(self._opening())
        while not self.closing:
            self._pass_on()
            self.wake.wait(PROGRESS_EVERY_S)
            self.wake.clear()
        self._pass_on()
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._send({"close": True})
        with suppress(OSError):
            self._pipe.close()

    def _pass_on(self) -> None:
        if self.process.poll() is not None:
            self._start_again()
        while self.queue:
            told = self.unacknowledged[self.queue[0].id] = self.queue[0]
            self.queue.popleft()
            self._send(told_as_dict(told))
        progress, self.progress = self.progress, None
        if progress is not None:
            self._send(told_as_dict(progress))

    def _send(self, values: Mapping[str, Any]) -> None:
        try:
            self._pipe.write(line_of(values))
            self._pipe.flush()
        except (OSError, ValueError):  # ValueError: closed, after the last of several starts
            if self._start_again() and "close" in values:
                self._send(values)

    def _start_again(self) -> bool:
        """The process beside the run is gone. A new one, if any, hears what the old one had not on disk."""
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
        for values in [self._opening(), *map(told_as_dict, list(self.unacknowledged.values()))]:
            self._send(values)
        return True

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """The reader: log what a sidecar says until it ends."""
        assert process.stdout is not None
        with process.stdout as answers:
            for line in answers:
                with suppress(ValueError):  # the last line of one that was killed
                    self._hear(json.loads(line))
        process.wait()
        if process is self.process:
            self.may_leave.set()
            self.wake.set()

    def _hear(self, answer: Mapping[str, Any]) -> None:
        if "ack" in answer:
            self.unacknowledged.pop(answer["ack"], None)
        elif "leave" in answer:
            self.may_leave.set()
        elif answer["level"] >= logging.INFO:
            log.log(answer["level"], "%s", answer["say"])
        else:
            log.info("%s", answer["say"], extra=FILE_ONLY)

    def _wait_for(self, told: Told) -> None:
        until_s = time.monotonic() + FAREWELL_S
        while (self.queue or told.id in self.unacknowledged) and time.monotonic() < until_s:
            time.sleep(0.01)

    def _keep(self) -> None:
        """Nobody has taken these: write them to the outbox in the stead of the process that should have."""
        self.process.kill()
        try:
            keep(self.facts, self.settings, self.secrets, [*self.unacknowledged.values(), *self.queue])
        except UserError as error:
            log.warning("the services were not told of all of this run (%s)", error)

    def _opening(self) -> dict[str, Any]:
        return {"facts": facts_as_dict(self.facts), "settings": self.settings, "env": self.secrets.env_file}

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin
