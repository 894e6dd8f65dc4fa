"""The server board: a tab with one row per server, which says what runs there and when it last gave a sign of life.

A process that was killed cannot say so. Its row turns grey by itself: a conditional format compares the heartbeat with
the spreadsheet's clock, and `python -m services.spreadsheet board` does the same in a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from services.channel import Context
from services.delivery.snapshot import Snapshot, State
from services.sheets.book import Book, Plan
from services.sheets.client import Cell, letters_of
from services.texts import TEXTS, duration, text
from utils.errors import UserError
from utils.lock import locked

HEADER = (
    *("server", "user", "state", "task", "run", "epoch", "Dice", "best", "time left", "GPU"),
    *("started", "last event", "heartbeat", "beat (s)", "run id"),
)
MOMENTS = ("started", "last event", "heartbeat")
ALIVE: tuple[State, ...] = ("starting", "training", "scoring")
BEATS_MISSED = 3
"""From then on a row is stale. One or two may meet a minute whose quota is used up."""
RUNS_AT_ONCE = 64
SECONDS_A_DAY = 86400
GREY, PALE = {"red": 0.6, "green": 0.6, "blue": 0.6}, {"red": 0.95, "green": 0.95, "blue": 0.95}


@dataclass(frozen=True)
class Seat:
    """Whose row it is, and how often it is written; None: at the start and the end alone, so it never gets stale."""

    server: str
    beat_s: float | None


class Board:
    """The row of one run's server. Its methods raise as those of `Sheets`."""

    def __init__(self, book: Book, tab: str, seat: Seat, context: Context) -> None:
        self.book, self.seat, self.context = book, seat, context
        self.plan = Plan(tab, HEADER, keys=("server", "run id"), dress=dress)
        self.name: str | None = None
        """What the row is called, once it is ours."""
        self.locks = ExitStack()

    def show(self, now: Snapshot, at_s: float) -> None:
        """Write the row, at the time `at_s`, and make it where there is none. Two requests."""
        if self.name is None:
            self.name = self._take_name()
        values = {**board_row(self.context, now, at_s, self.seat.beat_s, self.book.serial), "server": self.name}
        (table,) = self.book.look([self.plan])
        row = table.row_of("server", self.name)
        if row is None:
            self.book.append(table, values)
        else:
            self.book.write(table.block(row, values))

    def show_late(self, now: Snapshot, at_s: float) -> None:
        """Write how a run ended, where a row still speaks of this run. What is not known stays as it is."""
        values = {
            name: value
            for name, value in board_row(self.context, now, at_s, self.seat.beat_s, self.book.serial).items()
            if value not in ("", None)
        }
        (table,) = self.book.look([self.plan])
        row = table.row_of("run id", self.context.facts.run_id)
        if row is not None:
            self.book.write(table.block(row, values))

    def close(self) -> None:
        """Let another run of this machine have the row."""
        self.locks.close()
        self.name = None

    def _take_name(self) -> str:
        """The server's name; for a run beside another on the same machine `server #2`, and so on.

        Locks tell them apart, which end with their process. Where none can be made, all runs share the row.
        """
        for number in range(1, RUNS_AT_ONCE):
            name = self.seat.server if number == 1 else f"{self.seat.server} #{number}"
            try:
                self.locks.enter_context(locked(self._lock_file(name), f"{name}: taken"))
            except UserError:  # by another run, or by another user's, whose file we may not open
                continue
            return name
        return self.seat.server

    def _lock_file(self, name: str) -> Path:
        place = "\n".join((self.book.id, self.plan.title, name))
        return Path(gettempdir()) / f"carpus-board-{sha256(place.encode()).hexdigest()[:16]}.lock"


def board_row(
    context: Context, now: Snapshot, at_s: float, beat_s: float | None, moment: Callable[[float], Cell]
) -> dict[str, Cell]:
    """What a server's row says of a run, by header, but for the server's name. `moment`: how a cell says a time."""
    facts, language, left_s = context.facts, context.language, now.left_s
    return {
        "user": facts.user,
        "state": text(language, now.state),
        "task": facts.task,
        "run": facts.title,
        "epoch": f"{now.epoch}/{now.epochs}" if now.epochs else "",
        "Dice": _rounded(now.dice),
        "best": _rounded(now.best),
        "time left": "" if left_s is None else duration(language, left_s),
        "GPU": device_of(now),
        "started": "" if now.started_s is None else moment(now.started_s),
        "last event": "" if now.told_s is None else moment(now.told_s),
        "heartbeat": moment(at_s),
        "beat (s)": "" if beat_s is None else round(beat_s),
        "run id": facts.run_id,
    }


def device_of(now: Snapshot) -> str:
    """What it trains on, and the most memory that took."""
    peak_mib = now.figures.get("memory_peak_mib")
    return now.device if not (now.device and peak_mib) else f"{now.device}, {peak_mib / 1024:.1f} GiB"


def dress(tab_id: int) -> list[dict[str, Any]]:
    """What makes the tab a board: dates that read as such, and rows that turn grey when nobody writes them.

    All of it begins in the header row: formats that begin below it would move down when the first row is inserted.
    """
    return [
        *(_number_format(tab_id, name, "DATE_TIME", "yyyy-mm-dd hh:mm:ss") for name in MOMENTS),
        *(_number_format(tab_id, name, "NUMBER", "0.0000") for name in ("Dice", "best")),
        *(_width(tab_id, name, 150) for name in ("server", "run", *MOMENTS)),
        _grey_when_stale(tab_id),
        {"updateSpreadsheetProperties": {"properties": {"autoRecalc": "MINUTE"}, "fields": "autoRecalc"}},
    ]


def stale_formula() -> str:
    """Whether the row from A1 on is stale. Without a comma or a point: spreadsheets of some countries read those
    otherwise. States are those of both languages, since a team may change its own."""
    state, heartbeat, beat = (f"${letters_of(HEADER.index(name))}1" for name in ("state", "heartbeat", "beat (s)"))
    alive = "+".join(f'({state}="{word}")' for word in words_of(ALIVE))
    return f"=({alive})*({beat}>0)*((NOW()-{heartbeat})*{SECONDS_A_DAY}>{BEATS_MISSED}*{beat})"


def is_stale(state: str, age_s: float, beat_s: float) -> bool:
    """As the formula has it."""
    return state in words_of(ALIVE) and beat_s > 0 and age_s > BEATS_MISSED * beat_s


def words_of(states: Sequence[State]) -> list[str]:
    """What states are called, in every language."""
    return [word for state in states for word in TEXTS[state].values()]


def _grey_when_stale(tab_id: int) -> dict[str, Any]:
    condition = {"type": "CUSTOM_FORMULA", "values": [{"userEnteredValue": stale_formula()}]}
    look = {"backgroundColor": PALE, "textFormat": {"foregroundColor": GREY, "strikethrough": True}}
    place = {"sheetId": tab_id, "startColumnIndex": 0, "endColumnIndex": len(HEADER)}
    rule = {"ranges": [place], "booleanRule": {"condition": condition, "format": look}}
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
    """One column as a range; some requests say `startColumnIndex`, others `startIndex`."""
    place = HEADER.index(name)
    return {"sheetId": tab_id, f"start{word}": place, f"end{word}": place + 1}


def _rounded(dice: float | None) -> Cell:
    return "" if dice is None else round(dice, 4)
