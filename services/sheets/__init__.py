"""The channel to the team's spreadsheet: a board of all servers, and a row of results for each run that was completed.

docs/services/sheets.md says how to set it up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.channel import Channel, Context, Occasion, Refused, Told, occasion_of
from services.delivery.snapshot import Snapshot, after
from services.secrets import Secrets
from services.settings import Address
from services.sheets.board import Board, Seat
from services.sheets.book import Book
from services.sheets.client import BASE_URL, KEY_FILE, Sheets, key_file, open_sheet, read_key, spreadsheet_id_of
from services.sheets.results import Results, values_of
from utils.errors import UserError
from utils.events import (
    EpochEnded,
    Event,
    FoldsJoined,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepEnded,
)

JITTER = 0.2
"""Of the time between heartbeats, so that no servers stay in step."""


def _spreadsheet(value: str) -> str:
    if spreadsheet_id_of(value) is None:
        raise ValueError(
            f"expected a spreadsheet's address (https://docs.google.com/spreadsheets/d/…) or its ID, got {value[:60]!r}"
        )
    return value


SpreadsheetId = Annotated[str, AfterValidator(_spreadsheet)]
TabTitle = Annotated[str, Field(min_length=1, max_length=100)]
Interval = Annotated[float, Field(ge=60, le=3600)]


def sheets(
    context: Context,
    *,
    enabled: bool = True,
    spreadsheet: SpreadsheetId | None = None,
    person: TabTitle | None = None,
    total: TabTitle = "Total",
    board: TabTitle = "servers",
    server: TabTitle | None = None,
    events: tuple[Occasion, ...] = ("start", "progress", "end", "error"),
    heartbeat_s: Interval = 120.0,
    base_url: Address = BASE_URL,
) -> Channel:
    """A Google spreadsheet: a board with a row per server, and a row of results per completed run. Secret:
    GOOGLE_APPLICATION_CREDENTIALS, the path of a service account's key file.

    enabled: false to write nothing there.
    spreadsheet: its ID, or its address in the browser.
    person: tab of the results beside the team's; null: the user's name.
    total: tab of the results of all.
    board: tab of the servers.
    server: what this machine is called on the board; null: its host name.
    events: what is written; `end` makes the row of results, `progress` keeps the board's row up to date.
    heartbeat_s: time between two writes of the board's row; it says in which rhythm silence is noticed, too.
    base_url: where Google Sheets' API is.
    """
    named = Names(person or context.facts.user[:100] or "results", total, board, server or context.facts.host)
    if board.casefold() in (named.person.casefold(), total.casefold()):
        raise UserError(f"services.sheets.board: '{board}' is also a tab of results. Give one of them another name.")
    return Spreadsheet(context, spreadsheet, named, frozenset(events), heartbeat_s, base_url)


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """What keeps the spreadsheet from being written, in a few words; None where it can be tried."""
    if not secrets.get(KEY_FILE):
        return f"{KEY_FILE} is not set"
    if not settings.get("spreadsheet"):
        return "services.sheets.spreadsheet is not set"
    try:
        read_key(key_file(secrets))
    except Refused as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Names:
    """Of tabs, and of the board's row."""

    person: str
    total: str
    board: str
    server: str


class Spreadsheet:
    """The channel. It writes the board at the start, at each beat and at the end, never for a step or an epoch."""

    def __init__(
        self,
        context: Context,
        spreadsheet: str | None,
        names: Names,
        events: frozenset[Occasion],
        heartbeat_s: float,
        base_url: str,
    ) -> None:
        self.context, self.spreadsheet, self.names = context, spreadsheet, names
        self.events, self.base_url = events, base_url
        self.every_s = heartbeat_s * random.uniform(1.0, 1.0 + JITTER) if "progress" in events else None
        self.beat_s = None if self.every_s is None else self.every_s * random.random()
        """The first comes sooner, at any time: servers that were started together should not beat together."""
        self.snapshot = Snapshot(
            best=context.memory.get("best"),
            best_epoch=context.memory.get("best_epoch"),
            dice_per_class=context.memory.get("dice_per_class", {}),
        )
        self.opened: Opened | None = None
        self.is_live = False
        """Whether the run goes on, or did when this began; what is flushed a day later takes no row of the board."""
        self.shown_s = 0.0
        self.shown_id = ""
        """Of the end that the board shows already, while the results are tried again."""
        self.scored: Mapping[str, float] | None = None
        """The scores per class that are in the results."""
        self.now: Callable[[], float] = time.time

    def wants(self, event: Event) -> bool:
        if isinstance(event, (StepEnded, ImageScored)):
            return "progress" in self.events
        if isinstance(event, EpochEnded):
            return bool(self.events & {"progress", "end"})
        if isinstance(event, RunStarted):
            return bool(self.events & {"start", "progress"})
        return occasion_of(event) in self.events

    def keeps(self, event: Event) -> bool:
        """How it ended. All else the next beat tells as well."""
        return isinstance(event, (RunFinished, RunInterrupted, RunFailed, ReportWritten, FoldsJoined))

    def deliver(self, told: Told) -> None:
        """Bring an event to the spreadsheet. To repeat it does no harm, whatever came of the last try."""
        event = told.event
        self.snapshot = after(self.snapshot, told)
        self.is_live |= isinstance(event, (RunStarted, StepEnded, ImageScored, EpochEnded))
        if isinstance(event, EpochEnded) and event.is_best:
            self._remember()
        elif isinstance(event, RunStarted) and "start" in self.events:
            self._show(told.at_s)
        elif isinstance(event, (RunInterrupted, RunFailed)):
            self._show_end(told)
        elif isinstance(event, (RunFinished, FoldsJoined)):
            self._show_end(told)
            self._put_result(told)
        elif isinstance(event, ReportWritten):
            self._add_scores()

    def beat(self) -> None:
        now_s, self.beat_s = self.now(), self.every_s
        just_shown = self.every_s is not None and now_s - self.shown_s < self.every_s / 2
        if self.is_live and not self.snapshot.is_over and not just_shown:
            self._show(now_s)

    def close(self) -> None:
        if self.opened is not None:
            self.opened.board.close()
            self.opened.sheets.close()

    def _show(self, at_s: float) -> None:
        self._open().board.show(self.snapshot, at_s)
        self.shown_s = at_s

    def _show_end(self, told: Told) -> None:
        if self.shown_id == told.id:
            return
        if self.is_live:
            self._show(told.at_s)
        else:
            self._open().board.show_late(self.snapshot, told.at_s)
        self.shown_id = told.id

    def _put_result(self, told: Told) -> None:
        """The row of a completed run, with the scores per class of its best epoch; the report may bring them anew."""
        opened, scores = self._open(), self.snapshot.dice_per_class
        finished = opened.book.local(told.at_s).isoformat(timespec="seconds")
        values = values_of(self.context.facts, self.snapshot, self.names.person, finished)
        opened.results.put(values, scores)
        self.scored = scores

    def _add_scores(self) -> None:
        """What the report says of the classes, into the row that is there. Without a row there is nothing to mend:
        either somebody took it out, or it comes later and knows."""
        self._remember()
        scores = self.snapshot.dice_per_class
        if scores and scores != self.scored:
            self._open().results.put({}, scores, new=False)
            self.scored = scores

    def _remember(self) -> None:
        """What the row of results needs of an epoch that is long gone when the run is resumed, or flushed."""
        now = self.snapshot
        self.context.memory.set(best=now.best, best_epoch=now.best_epoch, dice_per_class=dict(now.dice_per_class))

    def _open(self) -> Opened:
        if self.opened is None:
            found = spreadsheet_id_of(self.spreadsheet or "")
            if found is None:
                raise Refused("services.sheets.spreadsheet: names no spreadsheet. Give its address or its ID.")
            connection = open_sheet(self.context.secrets, base_url=self.base_url)
            book, names = Book(connection, found), self.names
            board = Board(book, names.board, Seat(names.server, self.every_s), self.context)
            results = Results(book, (names.person, names.total), self.context.facts.run_id)
            self.opened = Opened(connection, book, board, results)
        return self.opened


@dataclass(frozen=True)
class Opened:
    """What is made at the first delivery."""

    sheets: Sheets
    book: Book
    board: Board
    results: Results
