"""Tabs of one spreadsheet as tables: columns are found by their header and rows by a key, even after people moved them.

A tab is read whole, in one request with all others that are needed. Tabs and columns that are missing are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from services.channel import NotDelivered
from services.sheets.account import Rejected
from services.sheets.client import Cell, Formatting, Layout, Sheets, in_tab, letters_of, request_for_header

SCORE = "score"
"""The column whose header is the label of the task's metric, such as Dice."""
READS = 6
"""Reads at most; each may follow the making of what the one before found missing."""
DAY_0 = datetime(1899, 12, 30)
"""Day 0 of a spreadsheet's dates. https://developers.google.com/sheets/api/guides/formats"""


@dataclass(frozen=True)
class TablePlan:
    """A tab as it should be, with the columns that its header must hold."""

    title: str
    header: tuple[str, ...]
    key: str
    """The column whose value identifies a row."""
    formatting: Formatting = lambda tab_id: []
    """Used once, when the tab is made."""


@dataclass(frozen=True)
class Table:
    """A tab as it was read: its rows, the header first. `title` is its real one, which may differ in case."""

    plan: TablePlan
    title: str
    rows: Sequence[Sequence[str]]

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """Index of each column, from 0, by its header in lower case; the first one if two are alike."""
        names = self.rows[0] if self.rows else ()
        return {_folded(name): place for place, name in reversed(list(enumerate(names))) if name.strip()}

    @property
    def lacking(self) -> list[str]:
        """Headers of the plan that the tab lacks."""
        return [name for name in self.plan.header if _folded(name) not in self.columns]

    def row_of(self, value: Cell, key: str | None = None) -> int | None:
        """The number, from 1, of the first row below the header that has this value in a column, the plan's key."""
        column = self.columns[_folded(key or self.plan.key)]
        return next((row for row, cells in enumerate(self.rows[1:], 2) if value in cells[column : column + 1]), None)

    def cells(self, values: Mapping[str, Cell]) -> tuple[int, list[Cell]]:
        """The index of the first column, and the cells from there on; None, which writes nothing, between values."""
        placed = {self.columns[_folded(name)]: value for name, value in values.items()}
        first, last = min(placed), max(placed)
        return first, [placed.get(column) for column in range(first, last + 1)]

    def block(self, row: int, values: Mapping[str, Cell]) -> dict[str, list[list[Cell]]]:
        """The argument of `Sheets.write` that writes these values in a row."""
        first, cells = self.cells(values)
        place = f"{letters_of(first)}{row}:{letters_of(first + len(cells) - 1)}{row}"
        return {in_tab(self.title, place): [cells]}


class Book:
    """One spreadsheet. Its methods raise as those of `Sheets`."""

    def __init__(self, sheets: Sheets, spreadsheet_id: str) -> None:
        self.sheets, self.id = sheets, spreadsheet_id
        self.titles: dict[str, str] = {}
        """The real title of a tab by its planned one; they may differ in case."""
        self.zone: tzinfo | None = None

    def read_tables(self, plans: Sequence[TablePlan]) -> list[Table]:
        """Read all tabs whole in one request; make what is missing, and read again.

        Raises `NotDelivered` if people keep changing the columns meanwhile, else as `Sheets`.
        """
        for number in range(READS):
            titles = [self.titles.get(plan.title, plan.title) for plan in plans]
            try:
                found = self.sheets.read(self.id, [in_tab(title) for title in titles])
            except Rejected:  # a tab is missing, or was missing until another server has made it
                if number == READS - 1:
                    raise
                self._make(plans)
                continue
            tables = list(map(Table, plans, titles, found))
            narrow = [table for table in tables if table.lacking]
            if not narrow:
                return tables
            self._widen(narrow)
        raise NotDelivered("the columns of the spreadsheet are being changed")

    def write(self, blocks: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
        self.sheets.write(self.id, blocks)

    def insert(self, table: Table, values: Mapping[str, Cell]) -> None:
        """Insert a row below a table. If the tab is filtered, Google may answer that it has done so, and do nothing:
        https://github.com/theoephraim/node-google-spreadsheet/issues/591."""
        left = min(table.columns.values())
        first, cells = table.cells(values)
        self.sheets.append(self.id, table.title, [None] * (first - left) + cells, column=left)

    def append(self, tables: Sequence[Table], values: Mapping[str, Cell]) -> None:
        """Insert a row into each table, and check that it is there; if it is not, it is written below the last row.

        Raises `NotDelivered` if one is missing even then.
        """
        for table in tables:
            self.insert(table, values)
        missing = self._without(tables, values)
        for table in missing:
            self.write_below(table, values)
        if self._without(missing, values):
            raise NotDelivered(f"Google Sheets has not kept a row in {missing[0].title}")

    def _without(self, tables: Sequence[Table], values: Mapping[str, Cell]) -> list[Table]:
        """Those tables, as they are now, in which the row is missing."""
        found = self.read_tables([table.plan for table in tables]) if tables else []
        return [table for table in found if table.row_of(values[table.plan.key]) is None]

    def write_below(self, table: Table, values: Mapping[str, Cell]) -> None:
        """Write a row below the last one that is not empty, hidden ones included; the tab grows if it is full."""
        number = 1 + len(table.rows)
        tab = self._layout().tab(table.title)
        if tab is not None and number > tab.rows:
            grow = {"sheetId": tab.id, "dimension": "ROWS", "length": number - tab.rows}
            self.sheets.change(self.id, [{"appendDimension": grow}])
        self.write(table.block(number, values))

    def local(self, at_s: float) -> datetime:
        """Unix time as a date in the spreadsheet's time zone, which the first call requests."""
        if self.zone is None:
            self._layout()
        return datetime.fromtimestamp(at_s, self.zone)

    def serial(self, at_s: float) -> float:
        """Unix time in the spreadsheet's days, to compare with its NOW()."""
        return round((self.local(at_s).replace(tzinfo=None) - DAY_0) / timedelta(days=1), 8)

    def _make(self, plans: Sequence[TablePlan]) -> None:
        """Make the tabs that are missing, and remember the titles of the others."""
        layout = self._layout()
        for plan in plans:
            if tab := layout.tab(plan.title):
                self.titles[plan.title] = tab.title
            else:
                self.sheets.add_tab(self.id, plan.title, plan.header, plan.formatting)

    def _widen(self, narrow: Sequence[Table]) -> None:
        """Add missing columns to the right of the last column that has a header."""
        layout, requests = self._layout(), []
        for table in narrow:
            tab = layout.tab(table.plan.title)
            names, first = table.lacking, max(table.columns.values(), default=-1) + 1
            if tab is None:
                continue
            # The tab grows first if the new headers lie outside it.
            if (beyond := first + len(names) - tab.columns) > 0:
                requests.append({"appendDimension": {"sheetId": tab.id, "dimension": "COLUMNS", "length": beyond}})
            requests.append(request_for_header(names, tab.id, first))
        if requests:
            self.sheets.change(self.id, requests)

    def _layout(self) -> Layout:
        layout = self.sheets.layout(self.id)
        self.zone = zone_of(layout.time_zone)
        return layout


def header_of(columns: Sequence[str], score_label: str) -> tuple[str, ...]:
    """The headers of a tab's columns for a metric's label."""
    return tuple(score_label if name == SCORE else name for name in columns)


def rounded(number: float | None, digits: int = 4) -> Cell:
    """A rounded number; empty if there is none, as for a class that is in no image."""
    return "" if number is None or not math.isfinite(number) else round(number, digits)


def zone_of(name: str) -> tzinfo:
    """The time zone of a name such as `Asia/Seoul` or `GMT+05:30`; UTC if this machine does not know it."""
    sign, hours, minutes = name[3:4], name[4:6], name[7:9]
    if name.startswith("GMT") and sign in ("+", "-") and hours.isdecimal():
        span = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(span if sign == "+" else -span)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _folded(name: str) -> str:
    return name.strip().casefold()
