"""The notifier process, which delivers the events of one run: `python -m services.delivery.notifier_process`.

Started by `services.delivery.publisher`. It reads JSON lines: first the settings of the channels, then events. It
replies with JSON lines: messages for the log, ids of events that are on disk, and the permission to end without waiting
any longer. It continues for some seconds after the run, to deliver what is left. If the run ends without a last event,
it reports the run as lost.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_from, facts_from, line_of
from services.delivery.delivery import Delivery, open_delivery
from services.flush import flush_others
from services.secrets import Secrets
from services.texts import text
from utils.errors import UserError
from utils.events import FoldsJoined, ReportWritten, RunFailed, RunFinished, RunInterrupted
from utils.lock import Busy
from utils.redact import redact

log = logging.getLogger("services.delivery.notifier_process")  # `__name__` is that of a program

RUN_WAIT_S = 14.0
"""The longest time for which the end of a run waits for this process, which may continue alone."""
DEADLINE_S = 60.0
"""From the end of the run to the end of this process."""
PREDECESSOR_S = 70.0
"""How long the notifier process of an earlier run in the same folder may still be delivering."""
POLL_EVERY_S = 1.0
NICE = 5


def main() -> None:
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the run handles them, and emits an event about it
    os.nice(NICE)
    replies = Replies()
    logging.basicConfig(handlers=[replies], level=logging.ERROR)
    logging.getLogger("services").setLevel(logging.DEBUG)
    logging.getLogger("utils").setLevel(logging.INFO)
    try:
        serve(lines_of(sys.stdin.fileno(), parent), replies)
    except Exception as error:  # the run continues without its channels
        log.error("the services stopped working (%s: %s)", type(error).__name__, error, exc_info=error)
    os._exit(0)  # a thread that hangs in a library must not keep this process alive


def serve(lines: Iterator[Mapping[str, Any]], replies: Replies) -> None:
    """Deliver the events that arrive until the end of the run, and what is left after it."""
    opening = next(lines)
    facts, settings = facts_from(opening["facts"]), opening["settings"]
    secrets = Secrets(Path(opening["env"]))
    try:
        with open_delivery(facts, settings, secrets, wait_s=PREDECESSOR_S) as delivery:
            threading.Thread(target=flush_others, args=(facts.folder,), daemon=True).start()
            dispatch_events(lines, delivery, facts, settings.get("language", "en"), replies)
            delivery.close(DEADLINE_S, RUN_WAIT_S, replies.allow_end)
    except Busy as error:
        raise UserError(f"{error} This run is not told of.") from error


def dispatch_events(
    lines: Iterator[Mapping[str, Any]], delivery: Delivery, facts: RunFacts, language: Any, replies: Replies
) -> None:
    """Dispatch events until the run closes or disappears; then dispatch a failure with the fault `lost` if needed."""
    is_over = False
    for line in lines:
        if "close" in line:
            return
        queued = event_from(line)
        delivery.dispatch(queued)
        replies.acknowledge(queued)
        is_over = isinstance(queued.event, (RunFinished, RunFailed, RunInterrupted, ReportWritten, FoldsJoined))
    if not is_over:
        reason = text(language, "ended_without_a_word")
        event = RunFailed(facts.title, facts.folder, reason, facts.command, fault="lost")
        delivery.dispatch(QueuedEvent(uuid.uuid4().hex, time.time(), event))


def lines_of(descriptor: int, parent: int) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects that the run writes, until it closes the pipe or has ended.

    The pipe alone does not show the end: processes that the run has forked may hold it open.
    """
    rest = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], POLL_EVERY_S)
        if not ready:
            if os.getppid() != parent:  # the run has ended, and this process has a new parent
                return
            continue
        received = os.read(descriptor, 1 << 16)
        if not received:
            return
        *lines, rest = (rest + received).split(b"\n")
        yield from map(json.loads, lines)


class Replies(logging.Handler):
    """The pipe to the run, for log records and other replies; standard output is redirected away from it."""

    def __init__(self) -> None:
        super().__init__()
        # The pipe gets a descriptor of its own; what libraries print to 1 and 2 must not reach it.
        self.file = os.dup(1)
        os.set_inheritable(self.file, False)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.stdout = sys.stderr = LoggedStdout()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage() if record.exc_info is None else self.format(record)
        self._write({"say": redact(line), "level": record.levelno})

    def acknowledge(self, queued: QueuedEvent) -> None:
        """Reply that this event is on disk, if it must arrive anywhere."""
        self._write({"ack": queued.id})

    def allow_end(self) -> None:
        """Reply that the run may end without waiting any longer."""
        self._write({"leave": True})

    def _write(self, values: Mapping[str, Any]) -> None:
        with suppress(OSError):  # the run is gone
            os.write(self.file, line_of(values))


class LoggedStdout:
    """A replacement of `sys.stdout` that writes what libraries print to the log, at level DEBUG."""

    encoding = "utf-8"

    def write(self, printed: str) -> int:
        if printed.strip():
            log.debug("%s", printed.rstrip())
        return len(printed)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


if __name__ == "__main__":
    main()
