"""Tabs of a spreadsheet as Google keeps them: cells in a grid of a size, ranges in A1 notation, tables that grow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

EPOCH = datetime(1899, 12, 30)
"""Day 0 of a spreadsheet's dates."""


class BadRequest(Exception):
    """What Google answers with 400, in its words."""


Value = str | float | bool
"""What is in a cell. There are no formulas: texts that are not RAW are refused."""


@dataclass(frozen=True)
class Box:
    """Cells of a tab, from row and column to row and column, counted from 0, the ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    def within(self, grid: Grid) -> bool:
        return self.bottom <= grid.rows and self.right <= grid.columns


@dataclass
class Grid:
    """One tab."""

    title: str
    id: int
    rows: int = 1000
    columns: int = 26
    frozen: int = 0
    filtered: bool = False
    """Whether a filter hides rows; then an append is answered as usual, and adds nothing."""
    cells: dict[tuple[int, int], Value] = field(default_factory=dict)
    patterns: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Number formats by column, each from a row on."""
    rules: list[dict[str, Any]] = field(default_factory=list)
    """Conditional formats."""

    def put(self, row: int, column: int, value: Any) -> None:
        """One cell as the API takes it: null leaves it alone, "" empties it."""
        if value == "" and isinstance(value, str):
            self.cells.pop((row, column), None)
        elif value is not None:
            self.cells[row, column] = value

    def write(self, box: Box, rows: Sequence[Sequence[Any]], *, place: str) -> Box:
        """Rows from a box's corner on; the box must hold them, unless it is a single cell."""
        height, width = len(rows), max(map(len, rows), default=0)
        is_cell = (box.bottom - box.top, box.right - box.left) == (1, 1)
        if not is_cell and box.left + width > box.right:
            beyond = letters(box.right)
            raise BadRequest(f"Requested writing within range [{place}], but tried writing to column [{beyond}]")
        if not is_cell and box.top + height > box.bottom:
            raise BadRequest(f"Requested writing within range [{place}], but tried writing to row [{box.bottom + 1}]")
        taken = Box(box.top, box.left, box.top + height, box.left + width)
        self.refuse_outside(taken, place)
        for row, values in enumerate(rows):
            for column, value in enumerate(values):
                self.put(box.top + row, box.left + column, value)
        return taken

    def refuse_outside(self, box: Box, place: str) -> None:
        if not box.within(self):
            raise BadRequest(f"Range ({place}) exceeds grid limits. Max rows: {self.rows}, max columns: {self.columns}")

    def table_at(self, box: Box) -> Box | None:
        """The filled cells around a place up to the next empty row and column; None where all is empty."""
        found = Box(box.top, box.left, box.top + 1, box.left + 1)
        while True:
            near = [
                (row, column)
                for row, column in self.cells
                if found.top - 1 <= row <= found.bottom and found.left - 1 <= column <= found.right
            ]
            if not near:
                return None
            rows, columns = [row for row, _ in near], [column for _, column in near]
            grown = Box(min(rows), min(columns), max(rows) + 1, max(columns) + 1)
            if grown == found:
                return found
            found = grown

    def insert_rows(self, at: int, count: int) -> None:
        """Formats that began in the row that was there move down with it."""
        self.cells = {(row + count * (row >= at), column): value for (row, column), value in self.cells.items()}
        self.patterns = {
            column: (pattern, top + count * (top >= at)) for column, (pattern, top) in self.patterns.items()
        }
        for rule in self.rules:
            for place in rule["ranges"]:
                top = place.get("startRowIndex", 0)
                place["startRowIndex"] = top + count * (top >= at)
        self.rows += count

    def values(self, box: Box, *, shown: bool) -> list[list[Any]]:
        """Rows without the empty cells at their ends, and without the empty rows at the end."""
        rows = []
        for row in range(box.top, min(box.bottom, self.rows)):
            cells = [self.value(row, column, shown) for column in range(box.left, min(box.right, self.columns))]
            rows.append(_trimmed(cells))
        return _trimmed(rows)

    def value(self, row: int, column: int, shown: bool) -> Any:
        value = self.cells.get((row, column), "")
        if not shown or isinstance(value, (str, bool)):
            return str(value).upper() if shown and isinstance(value, bool) else value
        pattern, top = self.patterns.get(column, ("", 0))
        return as_shown(value, pattern if row >= top else "")

    def table(self) -> list[dict[str, Any]]:
        """What stands below the header, by its names, for a test to look at."""
        header = [self.cells.get((0, column), "") for column in range(self.columns)]
        last = max((row for row, _ in self.cells), default=0)
        return [
            {str(name): self.cells.get((row, column), "") for column, name in enumerate(header) if name}
            for row in range(1, last + 1)
        ]

    # What people do at the screen.

    def insert_column(self, at: int, name: str) -> None:
        """As somebody who wants a column of his own."""
        self.cells = {(row, column + (column >= at)): value for (row, column), value in self.cells.items()}
        self.patterns = {column + (column >= at): pattern for column, pattern in self.patterns.items()}
        self.columns += 1
        self.put(0, at, name)

    def swap_columns(self, one: int, other: int) -> None:
        swap = {one: other, other: one}
        self.cells = {(row, swap.get(column, column)): value for (row, column), value in self.cells.items()}

    def sort_rows(self, column: int, *, descending: bool = False) -> None:
        """As somebody who sorts the table below its header."""
        rows = sorted({row for row, _ in self.cells if row}, key=lambda row: str(self.cells.get((row, column), "")))
        place = {row: new for new, row in enumerate(reversed(rows) if descending else rows, 1)}
        self.cells = {(place.get(row, row), column): value for (row, column), value in self.cells.items()}


def rules_at(grid: Grid, row: int, now_serial: float) -> list[dict[str, Any]]:
    """The conditional formats that apply to a row (from 0), at a moment of the spreadsheet's clock in days."""
    return [rule for rule in grid.rules if _applies(grid, rule, row, now_serial)]


def box_of(text: str, grid: Grid) -> Box:
    """`A1`, `A1:B2`, `A:C`, `2:5`, `A2:C`; nothing: the whole tab. Raises `BadRequest`."""
    if not text:
        return Box(0, 0, grid.rows, grid.columns)
    match = re.fullmatch(r"([A-Za-z]*)(\d*)(?::([A-Za-z]*)(\d*))?", text)
    if not match or (":" not in text and not (match[1] and match[2])):
        raise BadRequest(f"Unable to parse range: {text}")
    left, top = column_of(match[1]) if match[1] else 0, int(match[2] or 1) - 1
    if ":" not in text:
        return Box(top, left, top + 1, left + 1)
    right = column_of(match[3]) + 1 if match[3] else grid.columns
    return Box(top, left, int(match[4]) if match[4] else grid.rows, right)


def place_of(grid: Grid, box: Box) -> str:
    """A range as Google writes it: the title quoted where it must be."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", grid.title, re.ASCII)
    title = grid.title if plain else "'" + grid.title.replace("'", "''") + "'"
    first, last = f"{letters(box.left)}{box.top + 1}", f"{letters(box.right - 1)}{box.bottom}"
    return f"{title}!{first}" if first == last else f"{title}!{first}:{last}"


def split_range(text: str) -> tuple[str | None, str]:
    """The tab's title, None where none is named, and the cells. A title of more than letters must stand in quotes."""
    quoted = re.fullmatch(r"'((?:[^']|'')*)'(?:!(.*))?", text)
    if quoted:
        return quoted[1].replace("''", "'"), quoted[2] or ""
    title, mark, cells = text.partition("!")
    if mark and not re.fullmatch(r"[^\W\d]\w*", title):
        raise BadRequest(f"Unable to parse range: {text}")
    return (title, cells) if mark else (None, text)


def letters(column: int) -> str:
    return (letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def column_of(name: str) -> int:
    number = 0
    for letter in name.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def as_shown(value: float, pattern: str) -> str:
    if "yy" in pattern:
        return (EPOCH + timedelta(seconds=round(value * 86400))).strftime("%Y-%m-%d %H:%M:%S")
    if pattern and set(pattern) <= set("0."):
        return f"{value:.{len(pattern.partition('.')[2])}f}"
    return f"{value:.10g}"


def copied(grids: list[Grid]) -> list[Grid]:
    """For a request that may turn out wrong in its middle: then none of it happens."""
    return [
        replace(grid, cells=dict(grid.cells), patterns=dict(grid.patterns), rules=deepcopy(grid.rules))
        for grid in grids
    ]


def _trimmed(items: list[Any]) -> list[Any]:
    while items and items[-1] in ("", []):
        items.pop()
    return items


def _applies(grid: Grid, rule: Any, row: int, now_serial: float) -> bool:
    """Work out `=(($C1="training")+…)*((NOW()-$M1)*86400>3*$N1)`. An empty cell counts as 0; an error, as with words in
    sums, is no."""
    place = rule["ranges"][0]
    if row < place.get("startRowIndex", 0):
        return False
    formula = rule["booleanRule"]["condition"]["values"][0]["userEnteredValue"].removeprefix("=")

    def value_of(match: re.Match[str]) -> str:
        return repr(grid.cells.get((row, column_of(match[1])), 0))

    source = re.sub(r"(?<![<>])=", "==", formula).replace("NOW()", repr(now_serial))
    source = re.sub(r"\$([A-Z]+)\d+", value_of, source)
    try:
        return bool(eval(source, {"__builtins__": {}}))
    except TypeError:
        return False
