"""The process beside a run that delivers its events: `python -m services.delivery.notifier_process`.

Started by `services.delivery.publisher`.

It reads JSON lines: first how the channels are built, then events. It answers with lines of its own: what to log, which
events it has on disk, and when nobody need wait for it any longer. It outlives the run by seconds, to deliver what is
left; where the run ends without a word, it says so in the run's place.
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

from services.channel import RunFacts, Told
from services.delivery.codec import facts_from, line_of, told_from
from services.delivery.delivery import Delivery, delivering
from services.flush import flush_others
from services.secrets import Secrets
from services.texts import text
from utils.errors import UserError
from utils.events import FoldsJoined, ReportWritten, RunFailed, RunFinished, RunInterrupted
from utils.lock import Busy
from utils.redact import redact

log = logging.getLogger("services.delivery.notifier_process")  # `__name__` is that of a program

PATIENCE_S = 14.0
"""How long the end of a run waits for this process, which may go on alone."""
DEADLINE_S = 60.0
"""From the end of the run to the end of this process."""
PREDECESSOR_S = 70.0
"""How long that of an earlier run in the same folder may still be delivering."""
LOOK_EVERY_S = 1.0
NICE = 5


def main() -> None:
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # they are for the run, which tells what it does about them
    os.nice(NICE)
    answers = Answers()
    logging.basicConfig(handlers=[answers], level=logging.ERROR)
    logging.getLogger("services").setLevel(logging.DEBUG)
    logging.getLogger("utils").setLevel(logging.INFO)
    try:
        serve(lines_of(sys.stdin.fileno(), parent), answers)
    except Exception as error:  # the run goes on without its channels, and says so
        log.error("the services stopped working (%s: %s)", type(error).__name__, error, exc_info=error)
    os._exit(0)  # a thread that hangs in a library must not hold this process


def serve(lines: Iterator[Mapping[str, Any]], answers: Answers) -> None:
    """Deliver what is told until the end of the run, and for a while after it."""
    opening = next(lines)
    facts, settings = facts_from(opening["facts"]), opening["settings"]
    secrets = Secrets(Path(opening["env"]))
    try:
        with delivering(facts, settings, secrets, wait_s=PREDECESSOR_S) as delivery:
            threading.Thread(target=flush_others, args=(facts.folder,), daemon=True).start()
            listen(lines, delivery, facts, settings.get("language", "en"), answers)
            delivery.close(DEADLINE_S, PATIENCE_S, answers.leave)
    except Busy as error:
        raise UserError(f"{error} This run is not told of.") from error


def listen(
    lines: Iterator[Mapping[str, Any]], delivery: Delivery, facts: RunFacts, language: Any, answers: Answers
) -> None:
    """Hand on events until the run says goodbye, or ends without."""
    is_over = False
    for line in lines:
        if "close" in line:
            return
        told = told_from(line)
        delivery.tell(told)
        answers.acknowledge(told)
        is_over = isinstance(told.event, (RunFinished, RunFailed, RunInterrupted, ReportWritten, FoldsJoined))
    if not is_over:
        reason = text(language, "ended_without_a_word")
        event = RunFailed(facts.title, facts.folder, reason, facts.command, fault="lost")
        delivery.tell(Told(uuid.uuid4().hex, time.time(), event))


def lines_of(descriptor: int, parent: int) -> Iterator[Mapping[str, Any]]:
    """What the run writes, until it closes the pipe or is gone: processes that it has forked may hold the pipe open."""
    rest = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], LOOK_EVERY_S)
        if not ready:
            if os.getppid() != parent:
                return
            continue
        received = os.read(descriptor, 1 << 16)
        if not received:
            return
        *whole, rest = (rest + received).split(b"\n")
        yield from map(json.loads, whole)


class Answers(logging.Handler):
    """What this process has to say to the run: its log, and more. Nothing else may write where it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.file = os.dup(1)
        os.set_inheritable(self.file, False)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.stdout = sys.stderr = LoggedStdout()

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage() if record.exc_info is None else self.format(record)
        self._write({"say": redact(said), "level": record.levelno})

    def acknowledge(self, told: Told) -> None:
        """What must arrive of this event is on disk."""
        self._write({"ack": told.id})

    def leave(self) -> None:
        """The run may end without waiting any longer."""
        self._write({"leave": True})

    def _write(self, values: Mapping[str, Any]) -> None:
        with suppress(OSError):  # the run is gone
            os.write(self.file, line_of(values))


class LoggedStdout:
    """What libraries print goes to the log, for those who look."""

    encoding = "utf-8"

    def write(self, said: str) -> int:
        if said.strip():
            log.debug("%s", said.rstrip())
        return len(said)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


if __name__ == "__main__":
    main()
