"""Tabs of one spreadsheet as tables: columns found by their header, rows by a key, wherever people have moved them.

A look is one read, of the header and of the key columns. Tabs and columns that are missing are made on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from services.channel import NotDelivered
from services.sheets.client import (
    Cell,
    Layout,
    Rejected,
    Sheets,
    already_exists,
    in_tab,
    letters_of,
    new_tab_id,
    request_for_header,
    requests_for_tab,
)

LOOKS = 6
"""Each may make what the one before found missing."""
DAY_0 = datetime(1899, 12, 30)
"""From which a spreadsheet counts its days. https://developers.google.com/sheets/api/guides/formats"""


@dataclass(frozen=True)
class Plan:
    """A tab as it should be: what its header must hold, and which of its columns are read at a look."""

    title: str
    header: tuple[str, ...]
    keys: tuple[str, ...]
    dress: Callable[[int], list[dict[str, Any]]] = lambda tab_id: []
    """Requests that format the tab, once, when it is made."""


@dataclass(frozen=True)
class Table:
    """A tab as it was found."""

    title: str
    columns: Mapping[str, int]
    """Place of each column, counted from 0, by its header in lower case; of two alike the first."""
    keys: Mapping[str, Sequence[str]]
    """Values of the key columns, the header among them."""

    def lacks(self, plan: Plan) -> list[str]:
        """Headers that are planned and not there."""
        return [name for name in plan.header if _folded(name) not in self.columns]

    def row_of(self, key: str, value: str) -> int | None:
        """The number, from 1, of the first row below the header that has this value in a key column."""
        return next((row for row, found in enumerate(self.keys[key], 1) if row > 1 and found == value), None)

    def cells(self, values: Mapping[str, Cell]) -> tuple[int, list[Cell]]:
        """A row of these values by header, and the column it begins in; between them None, which writes nothing."""
        placed = {self.columns[_folded(name)]: value for name, value in values.items()}
        first, last = min(placed), max(placed)
        return first, [placed.get(column) for column in range(first, last + 1)]

    def block(self, row: int, values: Mapping[str, Cell]) -> dict[str, list[list[Cell]]]:
        """What `Sheets.write` takes, to write these values in a row."""
        first, cells = self.cells(values)
        place = f"{letters_of(first)}{row}:{letters_of(first + len(cells) - 1)}{row}"
        return {in_tab(self.title, place): [cells]}


class Book:
    """One spreadsheet. Its methods raise as those of `Sheets`."""

    def __init__(self, sheets: Sheets, spreadsheet_id: str) -> None:
        self.sheets, self.id = sheets, spreadsheet_id
        self.titles: dict[str, str] = {}
        """How a tab is really written, by how it is planned."""
        self.places: dict[tuple[str, str], int] = {}
        """Where key columns were found the last time."""
        self.zone: tzinfo | None = None

    def look(self, plans: Sequence[Plan]) -> list[Table]:
        """The tabs as they are, all in one read; what is missing is made, and looked at again."""
        for _ in range(LOOKS):
            try:
                tables = [self._table(plan, blocks) for plan, blocks in zip(plans, self._read(plans), strict=True)]
            except Rejected as error:
                if not (self._make(plans) or self._find_keys(plans)):
                    raise error
                continue
            if lacking := [(plan, table) for plan, table in zip(plans, tables, strict=True) if table.lacks(plan)]:
                self._widen(lacking)
            elif not self._note_moved(plans, tables):
                return tables
        raise NotDelivered("the columns of the spreadsheet are being changed")

    def write(self, blocks: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
        self.sheets.write(self.id, blocks)

    def append(self, table: Table, values: Mapping[str, Cell]) -> None:
        """Insert a row below a table."""
        left = min(table.columns.values())
        first, cells = table.cells(values)
        self.sheets.append(self.id, table.title, [None] * (first - left) + cells, column=left)

    def local(self, at_s: float) -> datetime:
        """A moment (Unix time) by the clock of the spreadsheet. The first call asks for its time zone."""
        if self.zone is None:
            self._layout()
        return datetime.fromtimestamp(at_s, self.zone)

    def serial(self, at_s: float) -> float:
        """A moment as the spreadsheet counts it: days by its own clock, which its NOW() can be compared with."""
        return round((self.local(at_s).replace(tzinfo=None) - DAY_0) / timedelta(days=1), 8)

    def _read(self, plans: Sequence[Plan]) -> list[list[list[list[str]]]]:
        """For each plan its header and its key columns."""
        places = [place for plan in plans for place in self._places(plan)]
        blocks = iter(self.sheets.read(self.id, places))
        return [[next(blocks) for _ in range(1 + len(plan.keys))] for plan in plans]

    def _places(self, plan: Plan) -> list[str]:
        title = self.titles.get(plan.title, plan.title)
        letters = [letters_of(self._place(plan, key)) for key in plan.keys]
        return [in_tab(title, "1:1"), *(in_tab(title, f"{letter}:{letter}") for letter in letters)]

    def _place(self, plan: Plan, key: str) -> int:
        return self.places.get((plan.title, key), plan.header.index(key))

    def _table(self, plan: Plan, blocks: Sequence[list[list[str]]]) -> Table:
        header, *columns = blocks
        names = header[0] if header else []
        places = {_folded(name): place for place, name in reversed(list(enumerate(names))) if name.strip()}
        keys = {key: [row[0] if row else "" for row in column] for key, column in zip(plan.keys, columns, strict=True)}
        return Table(self.titles.get(plan.title, plan.title), places, keys)

    def _note_moved(self, plans: Sequence[Plan], tables: Sequence[Table]) -> bool:
        """Whether a key column is not where it was read; the next look reads the right one."""
        pairs = [
            (plan, key, table.columns[_folded(key)])
            for plan, table in zip(plans, tables, strict=True)
            for key in plan.keys
        ]
        moved = any(self._place(plan, key) != place for plan, key, place in pairs)
        self.places.update({(plan.title, key): place for plan, key, place in pairs})
        return moved

    def _make(self, plans: Sequence[Plan]) -> bool:
        """Make the tabs that are missing; whether another look may find more than the last."""
        layout = self._layout()
        found = {plan.title: tab.title for plan in plans if (tab := layout.tab(plan.title))}
        missing = [plan for plan in plans if plan.title not in found]
        for plan in missing:
            self._make_tab(plan)
        renamed = any(self.titles.get(title, title) != written for title, written in found.items())
        self.titles.update(found)
        return bool(missing) or renamed

    def _find_keys(self, plans: Sequence[Plan]) -> bool:
        """Look for the key columns by the headers alone, where a tab is narrower than planned; whether that is news.

        A column that is not there yet is read as the first, until it is made.
        """
        titles = [self.titles.get(plan.title, plan.title) for plan in plans]
        headers = self.sheets.read(self.id, [in_tab(title, "1:1") for title in titles])
        known = dict(self.places)
        for plan, header in zip(plans, headers, strict=True):
            table = self._table(plan, [header, *[[] for _ in plan.keys]])
            self.places.update({(plan.title, key): table.columns.get(_folded(key), 0) for key in plan.keys})
        return self.places != known

    def _make_tab(self, plan: Plan) -> None:
        """All at once, or not at all where another server was quicker."""
        tab_id = new_tab_id()
        try:
            self.sheets.change(self.id, [*requests_for_tab(plan.title, plan.header, tab_id), *plan.dress(tab_id)])
        except Rejected as error:
            if not already_exists(error):
                raise

    def _widen(self, lacking: Sequence[tuple[Plan, Table]]) -> None:
        """Add columns to the right of the last that has a header."""
        layout, requests = self._layout(), []
        for plan, table in lacking:
            tab = layout.tab(plan.title)
            names, first = table.lacks(plan), max(table.columns.values(), default=-1) + 1
            if tab is None:
                continue
            if (beyond := first + len(names) - tab.columns) > 0:
                requests.append({"appendDimension": {"sheetId": tab.id, "dimension": "COLUMNS", "length": beyond}})
            requests.append(request_for_header(names, tab.id, first))
        if requests:
            self.sheets.change(self.id, requests)

    def _layout(self) -> Layout:
        layout = self.sheets.layout(self.id)
        self.zone = zone_of(layout.time_zone)
        return layout


def zone_of(name: str) -> tzinfo:
    """A spreadsheet's time zone, as `Asia/Seoul` or `GMT+05:30`; UTC for one that this machine does not know."""
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
