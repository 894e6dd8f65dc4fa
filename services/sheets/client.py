"""An adapter of Google Sheets: few requests, each with a time limit, and two kinds of failure.

`Sheets` handles ranges and rows, and does not depend on runs. Values are written as RAW: Google takes them as they are,
so that no text becomes a formula.
"""

from __future__ import annotations

import math
import re
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.channel import NotDelivered
from services.secrets import Secrets
from services.sheets.account import BASE_URL, Rejected, key_file, read_key

if TYPE_CHECKING:
    from services.sheets.http import TimeLimitedClient

SPARE_COLUMNS = 6
"""Further columns of a new tab, which people may use for themselves."""
LONGEST_CELL = 50_000
"""Characters. https://support.google.com/drive/answer/37603"""

Cell = str | int | float | None
"""A value to be written into a cell; None leaves the cell as it is."""
Row = Sequence[Cell]
Formatting = Callable[[int], list[dict[str, Any]]]
"""Returns requests that format the tab with this id."""


@dataclass(frozen=True)
class Tab:
    title: str
    id: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Layout:
    """Tabs and settings of a spreadsheet."""

    tabs: tuple[Tab, ...]
    time_zone: str
    """The time zone of its NOW(), such as `Asia/Seoul`."""

    def tab(self, title: str) -> Tab | None:
        """The tab with this title, or None. Google does not distinguish `total` and `Total`."""
        return next((tab for tab in self.tabs if tab.title.casefold() == title.casefold()), None)


class Sheets:
    """One connection of one service account. Every method is one request and raises `NotDelivered` or `Refused`."""

    def __init__(self, client: TimeLimitedClient) -> None:
        self.client = client

    def read(self, spreadsheet_id: str, ranges: Sequence[str], *, unformatted: bool = False) -> list[list[list[str]]]:
        """Read the rows of each range. Google omits empty cells at a row's end and empty rows at a range's end.

        Cells are texts as people see them, or, if `unformatted`, full numbers, and dates as days since 1899-12-30.
        Raises `Rejected` if a tab is missing.
        """
        how = "UNFORMATTED_VALUE" if unformatted else "FORMATTED_VALUE"
        found = self.client.values_batch_get(spreadsheet_id, list(ranges), params={"valueRenderOption": how})
        with _not_google():
            blocks = found["valueRanges"]
            rows = [[[str(cell) for cell in row] for row in block.get("values", ())] for block in blocks]
            return [rows[number] for number in range(len(ranges))]

    def write(self, spreadsheet_id: str, blocks: Mapping[str, Sequence[Row]]) -> None:
        """Write rows at ranges, all of them or none. It can be repeated safely."""
        data = [{"range": place, "values": _plain(rows)} for place, rows in blocks.items()]
        self.client.values_batch_update(spreadsheet_id, {"valueInputOption": "RAW", "data": data})

    def append(self, spreadsheet_id: str, tab: str, row: Row, *, column: int = 0) -> str:
        """Insert a row below the table that begins in row 1 of `column`; returns its range, such as `Total!A7:D7`.

        It is not sent twice if the first request may have had an effect. The caller must check whether the row exists:
        after a lost answer, and also after a good one, since Google may add nothing if the tab is filtered.
        """
        params: Any = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
        place = in_tab(tab, f"{letters_of(column)}1")
        found = self.client.values_append(spreadsheet_id, place, params, {"values": _plain([row])})
        return str(found.get("updates", {}).get("updatedRange", ""))

    def layout(self, spreadsheet_id: str) -> Layout:
        """Read the tabs and settings of a spreadsheet."""
        fields = "properties(timeZone),sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))"
        found = self.client.fetch_sheet_metadata(spreadsheet_id, params={"fields": fields})
        with _not_google():
            tabs = tuple(_tab(sheet["properties"]) for sheet in found.get("sheets", ()))
            return Layout(tabs, found["properties"].get("timeZone", "Etc/GMT"))

    def add_tab(
        self, spreadsheet_id: str, title: str, header: Sequence[str], formatting: Formatting = lambda tab_id: []
    ) -> None:
        """Make a tab with a frozen header row and formats, in one request; if it exists already, leave it as it is."""
        tab_id = randomness.randbelow(2**31 - 2) + 1
        try:
            self.change(spreadsheet_id, [*requests_for_tab(title, header, tab_id), *formatting(tab_id)])
        except Rejected as error:
            if "already exists" not in str(error):  # another server has just made it
                raise

    def change(self, spreadsheet_id: str, requests: Sequence[Mapping[str, Any]]) -> None:
        """Change structure or format (`spreadsheets.batchUpdate`), by all of these requests or none."""
        self.client.batch_update(spreadsheet_id, {"requests": list(requests)})

    def close(self) -> None:
        self.client.session.close()


def open_sheet(secrets: Secrets, *, base_url: str = BASE_URL, readonly: bool = False) -> Sheets:
    """Make a client with the service account's key, without a request yet. Raises `Refused` for an unusable key file.

    `services.sheets.http` is imported here because it imports gspread, google-auth and requests.
    """
    secrets.export()
    path = key_file(secrets)
    info = read_key(path)
    from services.sheets.http import client_for

    return Sheets(client_for(path, info, base_url=base_url, readonly=readonly))


def spreadsheet_id_of(text: str) -> str | None:
    """The ID in a spreadsheet's address, or the ID itself; None if the text is neither."""
    in_address = re.search(r"/spreadsheets/d/([\w-]{10,})", text)
    if in_address:
        return in_address[1]
    return text if re.fullmatch(r"[\w-]{10,}", text) else None


def in_tab(tab: str, cells: str = "") -> str:
    """A range in A1 notation with the tab's title quoted, such as `'Total'!A1`; without cells the whole tab."""
    title = "'" + tab.replace("'", "''") + "'"
    return f"{title}!{cells}" if cells else title


def letters_of(column: int) -> str:
    """The name of a column counted from 0: A, B, … Z, AA, AB …"""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def requests_for_tab(title: str, header: Sequence[str], tab_id: int) -> list[dict[str, Any]]:
    """Requests that make a tab and its header in one step."""
    size = {"rowCount": 200, "columnCount": len(header) + SPARE_COLUMNS, "frozenRowCount": 1}
    properties = {"sheetId": tab_id, "title": title, "gridProperties": size}
    return [{"addSheet": {"properties": properties}}, request_for_header(header, tab_id)]


def request_for_header(names: Sequence[str], tab_id: int, first_column: int = 0) -> dict[str, Any]:
    """A request that writes names in the first row from a column (from 0) on.

    They are not bold, because a row that is inserted below would inherit it.
    """
    cells = [{"userEnteredValue": {"stringValue": name}} for name in names]
    start = {"sheetId": tab_id, "rowIndex": 0, "columnIndex": first_column}
    return {"updateCells": {"start": start, "rows": [{"values": cells}], "fields": "userEnteredValue"}}


@contextmanager
def _not_google() -> Iterator[None]:
    """Raise `NotDelivered` if an answer has not the form of Google's, such as that of a proxy."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise NotDelivered(f"Google Sheets: an answer that is not Google's ({type(error).__name__})") from None


def _tab(properties: Mapping[str, Any]) -> Tab:
    grid = properties.get("gridProperties", {})
    return Tab(properties["title"], properties["sheetId"], grid.get("rowCount", 0), grid.get("columnCount", 0))


def _plain(rows: Sequence[Row]) -> list[list[Cell]]:
    """Rows that JSON and cells can hold: NaN and infinity as text, long texts truncated."""
    return [[_plain_cell(cell) for cell in row] for row in rows]


def _plain_cell(cell: Cell) -> Cell:
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return cell[:LONGEST_CELL] if isinstance(cell, str) else cell
