"""What `spreadsheets.batchUpdate` does to a spreadsheet: tabs, columns, formats and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.services.sheets.grid import BadRequest, Grid

Body = Mapping[str, Any]


def add_sheet(book: Any, body: Body) -> dict[str, Any]:
    """Titles are the same whatever their case; an id that is taken is refused as well."""
    wanted = body["properties"]
    title, number = wanted["title"], wanted.get("sheetId", len(book.grids) + 1000)
    if any(grid.title.casefold() == title.casefold() for grid in book.grids):
        raise BadRequest(f'A sheet with the name "{title}" already exists. Please enter another name.')
    if any(grid.id == number for grid in book.grids):
        raise BadRequest(f"Sheet with id {number} already exists. Please enter another id.")
    if not title or len(title) > 100:
        raise BadRequest("Invalid sheet name")
    size = wanted.get("gridProperties", {})
    made = Grid(title, number, size.get("rowCount", 1000), size.get("columnCount", 26), size.get("frozenRowCount", 0))
    book.grids.append(made)
    return {"addSheet": {"properties": {"sheetId": number, "title": title}}}


def update_cells(book: Any, body: Body) -> None:
    start = body["start"]
    grid = grid_of(book, start["sheetId"])
    top, left = start.get("rowIndex", 0), start.get("columnIndex", 0)
    for row, cells in enumerate(body["rows"], top):
        for column, cell in enumerate(cells["values"], left):
            if row >= grid.rows or column >= grid.columns:
                raise BadRequest(f"Attempting to write column: {column}, beyond the last requested column")
            grid.put(row, column, cell["userEnteredValue"]["stringValue"])


def append_dimension(book: Any, body: Body) -> None:
    grid = grid_of(book, body["sheetId"])
    if body["dimension"] == "COLUMNS":
        grid.columns += body["length"]
    else:
        grid.rows += body["length"]


def repeat_cell(book: Any, body: Body) -> None:
    """Number formats of whole columns; no others are made."""
    place = body["range"]
    grid = grid_of(book, place["sheetId"])
    pattern = body["cell"]["userEnteredFormat"]["numberFormat"]["pattern"]
    for column in range(place["startColumnIndex"], place["endColumnIndex"]):
        if column >= grid.columns:
            raise BadRequest("the range is outside the grid")
        grid.patterns[column] = (pattern, place.get("startRowIndex", 0))


def add_rule(book: Any, body: Body) -> None:
    rule = body["rule"]
    condition = rule["booleanRule"]["condition"]
    if condition["type"] != "CUSTOM_FORMULA" or not condition["values"][0]["userEnteredValue"].startswith("="):
        raise BadRequest("Invalid ConditionalFormatRule.booleanRule: condition")
    for place in rule["ranges"]:
        grid_of(book, place["sheetId"]).rules.insert(body.get("index", 0), rule)


def update_dimension(book: Any, body: Body) -> None:
    place = body["range"]
    if not 0 <= place["startIndex"] < place["endIndex"] <= grid_of(book, place["sheetId"]).columns:
        raise BadRequest("the range is outside the grid")


def update_spreadsheet(book: Any, body: Body) -> None:
    if body["fields"] != "autoRecalc" or body["properties"]["autoRecalc"] not in ("ON_CHANGE", "MINUTE", "HOUR"):
        raise BadRequest("Invalid properties")
    book.auto_recalc = body["properties"]["autoRecalc"]


def grid_of(book: Any, number: int) -> Grid:
    for grid in book.grids:
        if grid.id == number:
            assert isinstance(grid, Grid)
            return grid
    raise BadRequest(f"No sheet with id: {number}")


STRUCTURE: dict[str, Callable[..., dict[str, Any] | None]] = {
    "addSheet": add_sheet,
    "updateCells": update_cells,
    "appendDimension": append_dimension,
    "repeatCell": repeat_cell,
    "addConditionalFormatRule": add_rule,
    "updateDimensionProperties": update_dimension,
    "updateSpreadsheetProperties": update_spreadsheet,
}
