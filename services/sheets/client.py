"""Google Sheets behind one small adapter: few requests, each with a time limit, and two kinds of failure.

`Sheets` knows ranges and rows, nothing of runs. Whatever is written is RAW: Google takes it as it is, so that no text
becomes a formula. The account is a service account, whose key file `GOOGLE_APPLICATION_CREDENTIALS` names.
"""

from __future__ import annotations

import json
import math
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.channel import Refused
from services.secrets import Secrets, refuse_shared
from utils.errors import UserError

if TYPE_CHECKING:
    from services.sheets.http import PatientClient

KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
BASE_URL = "https://sheets.googleapis.com"
SPARE_COLUMNS = 6
"""Columns of a new tab beside those that have a header, for people's own."""
LONGEST_CELL = 50_000
"""Characters. https://support.google.com/drive/answer/37603"""

Cell = str | int | float | None
"""What a cell is given; None leaves it as it is."""
Row = Sequence[Cell]


class Rejected(Refused):
    """Google calls the request wrong (400): no such tab, a range outside it, a protected cell."""


@dataclass(frozen=True)
class Tab:
    title: str
    id: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Layout:
    """What a spreadsheet says of itself."""

    tabs: tuple[Tab, ...]
    time_zone: str
    """Such as `Asia/Seoul`: in which its NOW() counts."""
    recalculates: str
    """When NOW() moves on: `ON_CHANGE`, `MINUTE` or `HOUR`."""

    def tab(self, title: str) -> Tab | None:
        """By its title; to Google `total` and `Total` are the same."""
        return next((tab for tab in self.tabs if tab.title.casefold() == title.casefold()), None)


class Sheets:
    """One connection of one service account. Every method is one request and raises `NotDelivered` or `Refused`."""

    def __init__(self, client: PatientClient, account: str) -> None:
        self.client, self.account = client, account

    def read(self, spreadsheet_id: str, ranges: Sequence[str], *, unformatted: bool = False) -> list[list[list[str]]]:
        """The rows of each range. Google leaves out empty cells at a row's end and empty rows at a range's end.

        As people see them, or `unformatted`: numbers in full, dates as days since 1899-12-30.
        Raises `Rejected` where a tab is missing.
        """
        how = "UNFORMATTED_VALUE" if unformatted else "FORMATTED_VALUE"
        found = self.client.values_batch_get(spreadsheet_id, list(ranges), params={"valueRenderOption": how})
        return [
            [[str(cell) for cell in row] for row in block.get("values", ())] for block in found.get("valueRanges", ())
        ]

    def write(self, spreadsheet_id: str, blocks: Mapping[str, Sequence[Row]]) -> None:
        """Write rows at ranges, all of them or none. To repeat it does no harm."""
        data = [{"range": place, "values": _plain(rows)} for place, rows in blocks.items()]
        self.client.values_batch_update(spreadsheet_id, {"valueInputOption": "RAW", "data": data})

    def append(self, spreadsheet_id: str, tab: str, row: Row, *, column: int = 0) -> str:
        """Insert a row below the table that begins at A1, or further right; returns its range, such as `Total!A7:D7`.

        Never sent twice where the first may have been heard: after a lost answer it raises `NotDelivered`, and whoever
        tries again looks first whether the row is there.
        """
        params: Any = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
        place = in_tab(tab, f"{letters_of(column)}1")
        found = self.client.values_append(spreadsheet_id, place, params, {"values": _plain([row])})
        return str(found.get("updates", {}).get("updatedRange", ""))

    def layout(self, spreadsheet_id: str) -> Layout:
        """Its tabs and settings."""
        fields = "properties(timeZone,autoRecalc),sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))"
        found = self.client.fetch_sheet_metadata(spreadsheet_id, params={"fields": fields})
        own = found.get("properties", {})
        tabs = tuple(_tab(sheet["properties"]) for sheet in found.get("sheets", ()))
        return Layout(tabs, own.get("timeZone", "Etc/GMT"), own.get("autoRecalc", "ON_CHANGE"))

    def tabs(self, spreadsheet_id: str) -> tuple[Tab, ...]:
        return self.layout(spreadsheet_id).tabs

    def add_tab(self, spreadsheet_id: str, title: str, header: Sequence[str]) -> None:
        """Make a tab with a frozen header row; one that somebody else has just made is left as it is."""
        try:
            self.change(spreadsheet_id, requests_for_tab(title, header, new_tab_id()))
        except Rejected as error:
            if not already_exists(error):
                raise

    def change(self, spreadsheet_id: str, requests: Sequence[Mapping[str, Any]]) -> None:
        """Change structure or format (`spreadsheets.batchUpdate`), by all of these requests or none."""
        self.client.batch_update(spreadsheet_id, {"requests": list(requests)})

    def close(self) -> None:
        self.client.session.close()


def open_sheet(secrets: Secrets, *, base_url: str = BASE_URL, readonly: bool = False) -> Sheets:
    """Connect with the service account's key; nothing is sent yet. Raises `Refused` for a key file that will not do."""
    path = key_file(secrets)
    info = read_key(path)
    from services.sheets.http import client_for

    return Sheets(client_for(path, info, base_url=base_url, readonly=readonly), str(info["client_email"]))


def key_file(secrets: Secrets) -> Path:
    """Where the service account's key lies. Raises `Refused` where nothing says so."""
    named = secrets.get(KEY_FILE)
    if named is None:
        raise Refused(f"{KEY_FILE} is not set. Set it to the path of the service account's key file (JSON).")
    return Path(named).expanduser()


def read_key(path: Path) -> dict[str, Any]:
    """The key's parts. Raises `Refused` for a file that is missing, may be read by others, or is no such key."""
    try:
        refuse_shared(path, path.stat().st_mode)
        info = json.loads(path.read_text(encoding="utf-8"))
    except UserError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{path} ({KEY_FILE}): cannot be read ({error.strerror}). Name the key file's path.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} ({KEY_FILE}): is not JSON. {ANOTHER_KEY}") from error
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise Refused(f"{path} ({KEY_FILE}): is no service account's key. {ANOTHER_KEY}")
    if lacking := [part for part in ("client_email", "private_key", "token_uri") if not info.get(part)]:
        raise Refused(f"{path} ({KEY_FILE}): lacks {' and '.join(lacking)}. {ANOTHER_KEY}")
    return info


ANOTHER_KEY = "Download a key of type JSON for the service account anew (docs/services/sheets.md)."


def spreadsheet_id_of(text: str) -> str | None:
    """The ID in a spreadsheet's address, or an ID as it is; None for what is neither."""
    in_address = re.search(r"/spreadsheets/d/([\w-]{10,})", text)
    if in_address:
        return in_address[1]
    return text if re.fullmatch(r"[\w-]{10,}", text) else None


def in_tab(tab: str, cells: str = "") -> str:
    """`'Total'!A1`: a range in A1 notation, the tab's title quoted; without cells the whole tab."""
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


def new_tab_id() -> int:
    """An id for a tab that is to be made and filled in one request."""
    return randomness.randbelow(2**31 - 2) + 1


def requests_for_tab(title: str, header: Sequence[str], tab_id: int) -> list[dict[str, Any]]:
    """Make a tab and its header at once, so that nobody ever sees it without."""
    size = {"rowCount": 200, "columnCount": len(header) + SPARE_COLUMNS, "frozenRowCount": 1}
    properties = {"sheetId": tab_id, "title": title, "gridProperties": size}
    return [{"addSheet": {"properties": properties}}, request_for_header(header, tab_id)]


def request_for_header(names: Sequence[str], tab_id: int, first_column: int = 0) -> dict[str, Any]:
    """Write names in the first row from a column (counted from 0) on. Not in bold: the row inserted below would be."""
    cells = [{"userEnteredValue": {"stringValue": name}} for name in names]
    start = {"sheetId": tab_id, "rowIndex": 0, "columnIndex": first_column}
    return {"updateCells": {"start": start, "rows": [{"values": cells}], "fields": "userEnteredValue"}}


def already_exists(error: Rejected) -> bool:
    """Whether a tab could not be made because there is one of its name."""
    return "already exists" in str(error)


def _tab(properties: Mapping[str, Any]) -> Tab:
    grid = properties.get("gridProperties", {})
    return Tab(properties["title"], properties["sheetId"], grid.get("rowCount", 0), grid.get("columnCount", 0))


def _plain(rows: Sequence[Row]) -> list[list[Cell]]:
    """As JSON can carry them and a cell can hold them: NaN and infinity as words, long texts cut."""
    return [[_plain_cell(cell) for cell in row] for row in rows]


def _plain_cell(cell: Cell) -> Cell:
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return cell[:LONGEST_CELL] if isinstance(cell, str) else cell
