"""Programs that run one turn (for cron) or a loop (for systemd). Temporary failures are counted and not errors yet."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.channel import NotDelivered, Refused
from services.secrets import ENV_FILE
from utils.errors import UserError
from utils.files import write_text
from utils.lock import Busy

log = logging.getLogger(__name__)

JITTER_S = 5.0
"""Random delay in a loop, so that twenty servers do not send requests in the same second."""


@dataclass(frozen=True)
class TurnResult:
    """What a turn has changed, and a line for the log about it."""

    changed: bool
    words: str


def parser_of(name: str, description: str, *, interval_s: float) -> argparse.ArgumentParser:
    """A parser with the options that all these programs share."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}", description=description)
    parser.add_argument("--env-file", type=Path, default=ENV_FILE, metavar="FILE", help="default: .env")
    parser.add_argument("--loop", action="store_true", help="go on for ever; without it, one turn (for cron)")
    parser.add_argument(
        "--interval", type=_seconds, default=interval_s, metavar="SECONDS", help="of a loop (default: %(default)g)"
    )
    parser.add_argument(
        "--jitter",
        type=_seconds,
        metavar="SECONDS",
        help=f"wait up to this long before each turn (default: {JITTER_S:g} in a loop, else 0)",
    )
    parser.add_argument(
        "--max-failures",
        type=_count,
        default=20,
        metavar="N",
        help="failures in a row that may pass before one is an error (default: %(default)s)",
    )
    return parser


def run_turns(name: str, arguments: argparse.Namespace, turn: Callable[[], TurnResult]) -> None:
    """Run one turn, or turns until somebody stops the loop.

    A failed turn is a line in the log; after every `--max-failures` failures in a row it is an error: a single turn
    then raises `UserError`, a loop continues. A fault that only a person can fix raises `UserError` at once.
    """
    jitter_s = arguments.jitter if arguments.jitter is not None else JITTER_S * arguments.loop
    failures, is_first = FailureCounter(name, arguments.env_file), True
    while is_first or arguments.loop:
        started_s = time.monotonic()
        time.sleep(random.uniform(0, jitter_s))
        try:
            result = turn()
        except Refused as error:
            raise UserError(str(error)) from error
        except (NotDelivered, Busy) as error:
            _fail(str(error), failures.add(), arguments)
        else:
            failures.clear()
            # cron mails the output, so nothing is written without news.
            if result.changed or (is_first and (arguments.loop or sys.stderr.isatty())):
                log.info(result.words)
        is_first = False
        if arguments.loop:
            time.sleep(max(0.0, arguments.interval - (time.monotonic() - started_s)))


def _fail(why: str, count: int, arguments: argparse.Namespace) -> None:
    if count % arguments.max_failures:
        log.info("%s; failure %d in a row, tried again next time", why, count)
        return
    sentence = f"{why}; failed {count} times in a row. Look at the network and at the service, then run it by hand."
    if not arguments.loop:
        raise UserError(sentence)
    log.error(sentence)


class FailureCounter:
    """The number of failures in a row of a program for one `.env`, counted over all its turns in a file beside it."""

    def __init__(self, name: str, env_file: Path) -> None:
        self.path = env_file.absolute().with_name(f"{env_file.name}.{name}.failures")
        self.count = 0

    def add(self) -> int:
        with suppress(OSError, ValueError):
            self.count = max(self.count, int(self.path.read_text()))
        self.count += 1
        with suppress(UserError):  # if it cannot be saved, this process alone counts
            write_text(self.path, str(self.count))
        return self.count

    def clear(self) -> None:
        self.count = 0
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError("expected seconds from 0 to 86400")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected a whole number of 1 or more")
    return value
