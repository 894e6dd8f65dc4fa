"""Tabs of one spreadsheet as tables: columns are found by their header and rows by a key, even after people moved them.

A tab is read whole, in one request with all others that are needed. Tabs and columns that are missing are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from services.channel import NotDelivered
from services.sheets.client import Cell, Formatting, Layout, Rejected, Sheets, in_tab, letters_of, request_for_header

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
    formatting: Formatting = lambda tab_id: []
    """Used once, when the tab is made."""


@dataclass(frozen=True)
class Table:
    """A tab as it was read: its rows, the header first."""

    title: str
    rows: Sequence[Sequence[str]]

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """Index of each column, from 0, by its header in lower case; the first one if two are alike."""
        names = self.rows[0] if self.rows else ()
        return {_folded(name): place for place, name in reversed(list(enumerate(names))) if name.strip()}

    def lacks(self, plan: TablePlan) -> list[str]:
        """Headers of the plan that the tab lacks."""
        return [name for name in plan.header if _folded(name) not in self.columns]

    def row_of(self, key: str, value: str) -> int | None:
        """The number, from 1, of the first row below the header that has this value in a column."""
        column = self.columns[_folded(key)]
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


@dataclass(frozen=True)
class NewRow:
    """A row to be inserted; its value in the column `key` identifies it."""

    plan: TablePlan
    table: Table
    key: str
    values: Mapping[str, Cell]


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
            tables = [Table(title, rows) for title, rows in zip(titles, found, strict=True)]
            lacking = [(plan, table) for plan, table in zip(plans, tables, strict=True) if table.lacks(plan)]
            if not lacking:
                return tables
            self._widen(lacking)
        raise NotDelivered("the columns of the spreadsheet are being changed")

    def write(self, blocks: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
        self.sheets.write(self.id, blocks)

    def insert(self, row: NewRow) -> None:
        """Insert a row below its table. If the tab is filtered, Google may answer that it has done so, and do nothing:
        https://github.com/theoephraim/node-google-spreadsheet/issues/591."""
        left = min(row.table.columns.values())
        first, cells = row.table.cells(row.values)
        self.sheets.append(self.id, row.table.title, [None] * (first - left) + cells, column=left)

    def append(self, rows: Sequence[NewRow]) -> None:
        """Insert rows, and check that they are there; one that is not is written below the last row.

        Raises `NotDelivered` if one is missing even then.
        """
        for row in rows:
            self.insert(row)
        missing = self._missing(rows)
        for row in missing:
            self.write_below(row)
        if self._missing(missing):
            raise NotDelivered(f"Google Sheets has not kept a row in {missing[0].table.title}")

    def _missing(self, rows: Sequence[NewRow]) -> list[NewRow]:
        """The rows that are not in the spreadsheet, with their tables as they are now."""
        tables = self.read_tables([row.plan for row in rows]) if rows else []
        return [
            replace(row, table=table)
            for row, table in zip(rows, tables, strict=True)
            if table.row_of(row.key, str(row.values[row.key])) is None
        ]

    def write_below(self, row: NewRow) -> None:
        """Write a row below the last one that is not empty, hidden ones included; the tab grows if it is full."""
        number = 1 + len(row.table.rows)
        tab = self._layout().tab(row.table.title)
        if tab is not None and number > tab.rows:
            grow = {"sheetId": tab.id, "dimension": "ROWS", "length": number - tab.rows}
            self.sheets.change(self.id, [{"appendDimension": grow}])
        self.write(row.table.block(number, row.values))

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

    def _widen(self, lacking: Sequence[tuple[TablePlan, Table]]) -> None:
        """Add missing columns to the right of the last column that has a header."""
        layout, requests = self._layout(), []
        for plan, table in lacking:
            tab = layout.tab(plan.title)
            names, first = table.lacks(plan), max(table.columns.values(), default=-1) + 1
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
