"""The notifier process, which delivers the events of one run: `python -m services.delivery.notifier_process`.

Started by `services.delivery.notifier`. It reads JSON lines from a pipe: first the settings of the channels, then
steps of the run, each of which is also a reason to look into the run's outbox, in which all other events are. It
replies with JSON lines: messages for the log, and the permission to end without waiting any longer. It continues for
some seconds after the run, to deliver what is left. If the run ends without a last event, it reports the run as lost.
"""

from __future__ import annotations

import io
import json
import logging
import os
import select
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_from, facts_from, line_of
from services.delivery.delivery import Delivery, open_delivery
from services.delivery.outbox import Entry, OutboxReader, append_lines, entry_from
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from services.texts import text
from utils.errors import UserError
from utils.events import End, EpochEnded, FoldsJoined, ReportWritten, RunFailed
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
    code = 0
    try:
        serve(lines_of(sys.stdin.fileno(), parent), replies, lambda: os.getppid() == parent)
    except Exception as error:  # the run continues without its channels
        own_fault = None if isinstance(error, (OSError, RuntimeError, UserError)) else error  # or: no thread
        log.error("the services stopped working (%s: %s)", type(error).__name__, error, exc_info=own_fault)
        code = 1
    os._exit(code)  # a thread that hangs in a library must not keep this process alive


def serve(lines: Iterator[Mapping[str, Any]], replies: Replies, run_goes_on: Callable[[], bool]) -> None:
    """Deliver what the run writes into its outbox until it ends, and what is left after that."""
    opening = next((line for line in lines if line), None)
    if opening is None:
        return
    facts = facts_from(opening["facts"])
    with ExitStack() as stack:
        memory = RunMemory(facts.folder)
        delivery = wait_for_delivery(stack, facts, opening, run_goes_on)
        is_closed = delivery is not None and follow(lines, delivery)
        # A run that was killed may have been replaced meanwhile, by another one in a folder of the same name.
        lost = record_loss(facts, opening) if not is_closed and memory.is_in_place else None
        if delivery is not None:
            if lost is not None:
                delivery.look()
                delivery.dispatch(lost)
            delivery.close(DEADLINE_S, RUN_WAIT_S, replies.allow_end)


def wait_for_delivery(
    stack: ExitStack, facts: RunFacts, opening: Mapping[str, Any], run_goes_on: Callable[[], bool]
) -> Delivery | None:
    """Wait until no other process delivers for this run, as long as the run goes on; None if it ended before."""
    secrets, session = Secrets(Path(opening["env"])), int(opening["session"])
    said = False
    while True:
        opened = open_delivery(facts, opening["settings"], secrets, session=session, wait_s=PREDECESSOR_S)
        try:
            return stack.enter_context(opened)
        except Busy as error:
            level, said = (logging.DEBUG if said else logging.WARNING), True
            log.log(level, "%s Until then the messages of this run wait in its folder.", error)
            if not run_goes_on():
                return None


def follow(lines: Iterator[Mapping[str, Any]], delivery: Delivery) -> bool:
    """Dispatch events until the run closes; returns False if it disappears instead."""
    for line in lines:
        delivery.look()
        if "close" in line:
            return True
        if "channels" in line:  # the disk did not take it
            delivery.dispatch(entry_from(line))
        elif line:
            delivery.show(event_from(line))
    delivery.look()
    return False


def record_loss(facts: RunFacts, opening: Mapping[str, Any]) -> Entry | None:
    """Write a failure with the fault `lost` into the outbox, unless the run has ended or begun again; returns it."""
    session, entries = int(opening["session"]), OutboxReader(facts.folder).read_new()
    mine = [entry for entry in entries if entry.session == session and not isinstance(entry.queued.event, EpochEnded)]
    if any(entry.session > session for entry in entries) or (
        mine and isinstance(mine[-1].queued.event, End | ReportWritten | FoldsJoined)
    ):
        return None
    reason = text(opening["settings"].get("language", "en"), "ended_without_a_word")
    event = RunFailed(facts.title, facts.folder, reason, facts.command, fault="lost")
    seq = max([session, *(entry.queued.seq for entry in entries)]) + 1
    lost = Entry(QueuedEvent(uuid.uuid4().hex, time.time(), event, seq), frozenset(opening["channels"]), session)
    try:
        append_lines(facts.folder, [line_of(lost.as_dict())])
    except OSError as error:
        log.warning("%s: could not be written (%s)", facts.folder, error.strerror)
    return lost


def lines_of(descriptor: int, parent: int) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects that the run writes, and an empty one if it writes nothing for a while, until it closes
    the pipe or has ended.

    The pipe alone does not show the end: processes that the run has forked may hold it open.
    """
    rest = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], POLL_EVERY_S)
        if not ready:
            if os.getppid() != parent:  # the run has ended, and this process has a new parent
                return
            yield {}
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

    def allow_end(self) -> None:
        """Reply that the run may end without waiting any longer."""
        self._write({"leave": True})

    def _write(self, values: Mapping[str, Any]) -> None:
        with suppress(OSError):  # the run is gone
            os.write(self.file, line_of(values))


class LoggedStdout(io.TextIOBase):
    """A replacement of `sys.stdout` that writes what libraries print to the log, at level DEBUG."""

    encoding = "utf-8"

    def write(self, printed: str) -> int:
        if printed.strip():
            log.debug("%s", printed.rstrip())
        return len(printed)


if __name__ == "__main__":
    main()
