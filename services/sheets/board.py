"""The server board: a tab with one row per server, which shows the run there and the time of its last heartbeat.

A process that was killed writes no more. A conditional format compares the heartbeat with the spreadsheet's clock and
turns its row grey; `python -m services.spreadsheet board` does the same in a terminal.
"""

from __future__ import annotations

import errno
import socket
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

from services.channel import Context
from services.delivery.snapshot import Snapshot, State
from services.sheets.book import SCORE, Book, TablePlan, header_of, rounded
from services.sheets.client import Cell, letters_of
from services.texts import duration, text
from services.texts.table import TEXTS

COLUMNS = (
    *("server", "user", "state", "task", "run", "epoch", SCORE, "best", "time left", "GPU"),
    *("started", "last event", "heartbeat", "beat (s)", "run id"),
)
MOMENTS = ("started", "last event", "heartbeat")
ALIVE: tuple[State, ...] = ("starting", "training", "scoring")
BEATS_MISSED = 3
"""A row is stale after more heartbeats than this are missing. One or two may fail when a quota is used up."""
RUNS_AT_ONCE = 64
"""Runs of one machine that get a row of their own."""
SECONDS_A_DAY = 86400
LOCK = "\0carpus-board-"
"""Beginning of the address of an abstract socket."""
GREY, PALE = {"red": 0.6, "green": 0.6, "blue": 0.6}, {"red": 0.95, "green": 0.95, "blue": 0.95}


class Board:
    """The row of one run on this `server`. Its methods raise as those of `Sheets`.

    `heartbeat_s`: seconds between two heartbeats; None: the row is written at the start and end alone.
    """

    def __init__(self, book: Book, tab: str, server: str, heartbeat_s: float | None, context: Context) -> None:
        self.book, self.server, self.heartbeat_s, self.context = book, server, heartbeat_s, context
        self.plan = TablePlan(tab, header_of(COLUMNS, context.facts.metric.label), "server", formatting)
        self.name: str | None = None
        """The server's name in this run's row; None until the row is taken."""
        self.locks = ExitStack()
        weakref.finalize(self, self.locks.close)
        self.was_inserted = False

    def show(self, now: Snapshot, at_s: float) -> None:
        """Write the row with the heartbeat `at_s` (Unix time), and make it if there is none. Two requests."""
        if self.name is None:
            self.name = self._take_name()
        values = {**board_row(self.context, now, at_s, self.heartbeat_s, self.book.serial), "server": self.name}
        (table,) = self.book.read_tables([self.plan])
        row = table.row_of(self.name)
        if row is None:
            # A row that was inserted and is missing now was not inserted, because somebody filters the tab.
            add = self.book.write_below if self.was_inserted else self.book.insert
            add(table, values)
            self.was_inserted = True
        else:
            self.book.write(table.block(row, values))

    def show_late(self, now: Snapshot, at_s: float) -> None:
        """Write how a run ended, if a row still belongs to it. Cells without a known value stay as they are."""
        values = {
            name: value
            for name, value in board_row(self.context, now, at_s, self.heartbeat_s, self.book.serial).items()
            if value not in ("", None)
        }
        (table,) = self.book.read_tables([self.plan])
        row = table.row_of(self.context.facts.run_id, "run id")
        if row is not None:
            self.book.write(table.block(row, values))

    def close(self) -> None:
        """Release the row for another run of this machine."""
        self.locks.close()
        self.name = None

    def _take_name(self) -> str:
        """Take the first free name of this machine: `server`, `server #2` and so on; returns it.

        It is taken for all users of the machine until the process ends. If no name can be taken, as on a system without
        abstract sockets, all runs share the first row.
        """
        for number in range(1, RUNS_AT_ONCE):
            name = self.server if number == 1 else f"{self.server} #{number}"
            taken = self.locks.enter_context(socket.socket(socket.AF_UNIX))
            try:
                taken.bind(self._lock_of(name))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                break
            return name
        return self.server

    def _lock_of(self, name: str) -> str:
        """The address of an abstract socket. Unlike a lock file, nothing of it is left when its process is gone, and it
        has no owner who could keep others from using it."""
        place = "\n".join((self.book.id, self.plan.title, name))
        return f"{LOCK}{sha256(place.encode()).hexdigest()[:16]}"


def board_row(
    context: Context, now: Snapshot, at_s: float, heartbeat_s: float | None, moment: Callable[[float], Cell]
) -> dict[str, Cell]:
    """The cells of a run by header, without the server's name. `moment` converts Unix time to a cell's value."""
    facts, language, left_s = context.facts, context.language, now.left_s
    return {
        "user": facts.user,
        "state": text(language, now.state),
        "task": facts.task,
        "run": facts.title,
        "epoch": progress_of(now),
        facts.metric.label: rounded(now.score),
        "best": rounded(now.best),
        "time left": "" if left_s is None else duration(language, left_s),
        "GPU": device_of(now),
        "started": "" if now.started_s is None else moment(now.started_s),
        "last event": "" if now.told_s is None else moment(now.told_s),
        "heartbeat": moment(at_s),
        "beat (s)": "" if heartbeat_s is None else round(heartbeat_s),
        "run id": facts.run_id,
    }


def progress_of(now: Snapshot) -> str:
    """How far a run is: `3/10`, or with its unit `step 6000/20000`; empty if it is not known."""
    unit = "" if now.rounds is None else "step "
    return f"{unit}{now.done}/{now.total}" if now.total else ""


def device_of(now: Snapshot) -> str:
    """The run's device and its peak memory."""
    peak_mib = now.figures.get("memory_peak_mib")
    return now.device if not (now.device and peak_mib) else f"{now.device}, {peak_mib / 1024:.1f} GiB"


def formatting(tab_id: int) -> list[dict[str, Any]]:
    """Requests that format the tab: dates, numbers, widths, and grey rows if they are stale.

    All formats begin in the header row: formats that begin below it would move down when the first row is inserted.
    """
    return [
        *(_number_format(tab_id, name, "DATE_TIME", "yyyy-mm-dd hh:mm:ss") for name in MOMENTS),
        *(_number_format(tab_id, name, "NUMBER", "0.0000") for name in (SCORE, "best")),
        *(_width(tab_id, name, 150) for name in ("server", "run", *MOMENTS)),
        _grey_when_stale(tab_id),
        {"updateSpreadsheetProperties": {"properties": {"autoRecalc": "MINUTE"}, "fields": "autoRecalc"}},
    ]


def stale_formula() -> str:
    """The formula that is true if the row from A1 on is stale.

    It has no comma and no point, which spreadsheets of some countries read differently. States are compared in both
    languages, since a team may change its own.
    """
    state, heartbeat, beat = (f"${letters_of(COLUMNS.index(name))}1" for name in ("state", "heartbeat", "beat (s)"))
    alive = "+".join(f'({state}="{word}")' for word in words_of(ALIVE))
    return f"=({alive})*({beat}>0)*((NOW()-{heartbeat})*{SECONDS_A_DAY}>{BEATS_MISSED}*{beat})"


def is_stale(state: str, age_s: float, heartbeat_s: float) -> bool:
    """Whether a row is stale, by the same rule as `stale_formula`."""
    return state in words_of(ALIVE) and heartbeat_s > 0 and age_s > BEATS_MISSED * heartbeat_s


def words_of(states: Sequence[State]) -> list[str]:
    """The names of states in all languages."""
    return [word for state in states for word in TEXTS[state]]


def _grey_when_stale(tab_id: int) -> dict[str, Any]:
    condition = {"type": "CUSTOM_FORMULA", "values": [{"userEnteredValue": stale_formula()}]}
    style = {"backgroundColor": PALE, "textFormat": {"foregroundColor": GREY, "strikethrough": True}}
    place = {"sheetId": tab_id, "startColumnIndex": 0, "endColumnIndex": len(COLUMNS)}
    rule = {"ranges": [place], "booleanRule": {"condition": condition, "format": style}}
    return {"addConditionalFormatRule": {"rule": rule, "index": 0}}


def _number_format(tab_id: int, name: str, kind: str, pattern: str) -> dict[str, Any]:
    return {
        "repeatCell": {
            "range": _columns(tab_id, name, "ColumnIndex"),
            "cell": {"userEnteredFormat": {"numberFormat": {"type": kind, "pattern": pattern}}},
            "fields": "userEnteredFormat.numberFormat",
        }
    }


def _width(tab_id: int, name: str, size_px: int) -> dict[str, Any]:
    place = {**_columns(tab_id, name, "Index"), "dimension": "COLUMNS"}
    return {"updateDimensionProperties": {"range": place, "properties": {"pixelSize": size_px}, "fields": "pixelSize"}}


def _columns(tab_id: int, name: str, word: str) -> dict[str, int]:
    """One column as a range; some requests name its limits `startColumnIndex`, others `startIndex`."""
    place = COLUMNS.index(name)
    return {"sheetId": tab_id, f"start{word}": place, f"end{word}": place + 1}
