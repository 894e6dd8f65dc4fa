"""The channel to the team's spreadsheet: a board of all servers, and a row of results for each run that was completed.

docs/services/sheets.md says how to set it up.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.channel import Address, Channel, Context, Occasion, QueuedEvent, Refused, occasion_of
from services.delivery.snapshot import Snapshot, snapshot_after
from services.secrets import Secrets
from services.sheets.account import BASE_URL, KEY_FILE, key_file, read_key
from services.sheets.board import Board
from services.sheets.book import Book
from services.sheets.client import Sheets, open_sheet, spreadsheet_id_of
from services.sheets.results import Results, values_of
from utils.errors import UserError
from utils.events import End, EpochEnded, Event, FoldsJoined, ReportWritten, RunFinished, RunStarted, Step

JITTER = 0.2
"""Random part of the time between heartbeats, so that servers do not write at the same moment again and again."""


def _spreadsheet(value: str) -> str:
    if spreadsheet_id_of(value) is None:
        raise ValueError(
            f"expected a spreadsheet's address (https://docs.google.com/spreadsheets/d/…) or its ID, got {value[:60]!r}"
        )
    return value


SpreadsheetId = Annotated[str, AfterValidator(_spreadsheet)]
TabTitle = Annotated[str, Field(min_length=1, max_length=100)]
Interval = Annotated[float, Field(ge=60, le=3600)]


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """The reason why the spreadsheet cannot be written, in a few words; None if it can be tried."""
    if not secrets.get(KEY_FILE):
        return f"{KEY_FILE} is not set"
    if not settings.get("spreadsheet"):
        return "services.sheets.spreadsheet is not set"
    try:
        read_key(key_file(secrets))
    except Refused as error:
        return str(error)
    return None


class Spreadsheet(Channel):
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

    def __init__(
        self,
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
    ) -> None:
        person = person or context.facts.user[:100] or "results"
        if board.casefold() in (person.casefold(), total.casefold()):
            raise UserError(
                f"services.sheets.board: '{board}' is also a tab of results. Give one of them another name."
            )
        self.context, self.spreadsheet, self.events, self.base_url = context, spreadsheet, frozenset(events), base_url
        self.person, self.total, self.board, self.server = person, total, board, server or context.facts.host
        self.heartbeat_s = heartbeat_s * random.uniform(1.0, 1.0 + JITTER) if "progress" in events else None
        # The first interval is a random part of the others: servers started together write at different times.
        self.refresh_every_s = None if self.heartbeat_s is None else self.heartbeat_s * random.random()
        self.snapshot = Snapshot(
            best=context.memory.get("best"),
            best_epoch=context.memory.get("best_epoch"),
            score_per_class=context.memory.get("score_per_class") or context.memory.get("dice_per_class", {}),
        )
        self.is_live = False
        """Whether this object has seen the run going on; a message that is flushed later takes no row of the board."""
        self.shown_s = -math.inf
        """When the board was written last, by `monotonic`."""
        self.shown_id = ""
        """Id of the last event that the board shows, so that a repeated delivery does not write it again."""
        self.scored: Mapping[str, float] | None = None
        """The scores per class that are in the results already."""
        self.now: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic

    def accepts(self, event: Event) -> bool:
        if isinstance(event, Step):
            return "progress" in self.events
        if isinstance(event, EpochEnded):
            return bool(self.events & {"progress", "end"})
        if isinstance(event, RunStarted):
            return bool(self.events & {"start", "progress"})
        return occasion_of(event) in self.events

    def must_arrive(self, event: Event) -> bool:
        """Whether the event says how the run ended; the next heartbeat shows everything else."""
        return isinstance(event, End | ReportWritten | FoldsJoined)

    def deliver(self, queued: QueuedEvent) -> None:
        """Write an event to the spreadsheet. It can be repeated safely after any failure."""
        event = queued.event
        self.snapshot = snapshot_after(self.snapshot, queued)
        self.is_live |= isinstance(event, RunStarted | Step | EpochEnded)
        if isinstance(event, EpochEnded) and event.is_best:
            self._remember()
        elif isinstance(event, RunStarted) and "start" in self.events:
            self._show(queued.at_s)
        elif isinstance(event, End | FoldsJoined):
            self._show_end(queued)
            if isinstance(event, RunFinished | FoldsJoined):
                self._put_result(queued)
        elif isinstance(event, ReportWritten):
            self._add_scores()

    def refresh(self) -> None:
        self.refresh_every_s = self.heartbeat_s
        just_shown = self.heartbeat_s is not None and self.monotonic() - self.shown_s < self.heartbeat_s / 2
        if self.is_live and not self.snapshot.is_over and not just_shown:
            self._show(self.now())

    def close(self) -> None:
        if "opened" in vars(self):
            self.opened.board.close()
            self.opened.sheets.close()

    def _show(self, at_s: float) -> None:
        self.opened.board.show(self.snapshot, at_s)
        self.shown_s = self.monotonic()

    def _show_end(self, queued: QueuedEvent) -> None:
        if self.shown_id == queued.id:
            return
        if self.is_live:
            self._show(queued.at_s)
        else:
            self.opened.board.show_late(self.snapshot, queued.at_s)
        self.shown_id = queued.id

    def _put_result(self, queued: QueuedEvent) -> None:
        """Write the row of a completed run, with the scores per class of its best epoch until the report has others."""
        scores = self.snapshot.score_per_class
        finished = self.opened.book.local(queued.at_s).isoformat(timespec="seconds")
        values = values_of(self.context.facts, self.snapshot, self.person, finished)
        self.opened.results.put(values, scores)
        self.scored = scores

    def _add_scores(self) -> None:
        """Write the report's scores per class into the row of results, if there is one.

        If there is none, somebody has deleted it, or it will be written later with these scores.
        """
        self._remember()
        scores = self.snapshot.score_per_class
        if scores and scores != self.scored:
            self.opened.results.put({}, scores, new=False)
            self.scored = scores

    def _remember(self) -> None:
        """Save what the row of results needs of the best epoch, for a run that is resumed or flushed later."""
        now = self.snapshot
        self.context.memory.set(best=now.best, best_epoch=now.best_epoch, score_per_class=dict(now.score_per_class))

    @cached_property
    def opened(self) -> OpenSpreadsheet:
        found = spreadsheet_id_of(self.spreadsheet or "")
        if found is None:
            raise Refused("services.sheets.spreadsheet: names no spreadsheet. Give its address or its ID.")
        connection = open_sheet(self.context.secrets, base_url=self.base_url)
        book, facts = Book(connection, found), self.context.facts
        board = Board(book, self.board, self.server, self.heartbeat_s, self.context)
        results = Results(book, (self.person, self.total), facts.run_id, facts.metric.label)
        return OpenSpreadsheet(connection, book, board, results)


@dataclass(frozen=True)
class OpenSpreadsheet:
    """The connection, and the tables that are written; made at the first delivery."""

    sheets: Sheets
    book: Book
    board: Board
    results: Results
