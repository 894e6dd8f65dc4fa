"""A tab as an HTML table that looks like a spreadsheet, with its conditional formats worked out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from tests.services.sheets.grid import EPOCH, Grid, column_of, letters

STYLE = """
body { zoom: 0.9; font: 13px Arial, "Noto Sans CJK KR", sans-serif; margin: 8px; background: #fff; color: #202124 }
h1 { font-size: 14px; font-weight: normal; margin: 18px 0 6px }
table { border-collapse: collapse; font-size: 12px }
td, th { border: 1px solid #e2e3e3; padding: 3px 5px; white-space: nowrap; text-align: left; height: 17px }
th { background: #f8f9fa; color: #5f6368; font-weight: normal; text-align: center; min-width: 22px }
td.number { text-align: right }
tr.header td { border-bottom: 3px solid #bdc1c6; background: #fff }
"""


def page(pictures: Sequence[str]) -> str:
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style>{''.join(pictures)}"


def picture(grid: Grid, now_serial: float, *, columns: int, first: int = 0, spare_rows: int = 1) -> str:
    """Columns of a tab, from `first` to before `columns`, at a moment of the spreadsheet's clock."""
    last = max((row for row, _ in grid.cells), default=0)
    names = "".join(f"<th>{letters(column)}</th>" for column in range(first, columns))
    rows = [_row(grid, row, now_serial, range(first, columns)) for row in range(last + 1 + spare_rows)]
    title = escape(grid.title) + (", further right" if first else "")
    return f"<h1>{title}</h1><table><tr><th></th>{names}</tr>{''.join(rows)}</table>"


def is_formatted(grid: Grid, row: int, now_serial: float) -> bool:
    """Whether a conditional format of the tab applies to a row (from 0)."""
    return any(_applies(grid, rule, row, now_serial) for rule in grid.rules)


def serial(at: datetime) -> float:
    """A moment of the spreadsheet's clock as it counts days."""
    return (at - EPOCH) / timedelta(days=1)


def _row(grid: Grid, row: int, now_serial: float, columns: range) -> str:
    style = ""
    for rule in grid.rules:
        if _applies(grid, rule, row, now_serial):
            style = _css(rule["booleanRule"]["format"])
    cells = "".join(_cell(grid, row, column, style) for column in columns)
    kind = " class='header'" if row < grid.frozen else ""
    return f"<tr{kind}><th>{row + 1}</th>{cells}</tr>"


def _cell(grid: Grid, row: int, column: int, style: str) -> str:
    value = grid.cells.get((row, column), "")
    kind = "" if isinstance(value, str) else " class='number'"
    return f"<td{kind} style='{style}'>{escape(str(grid.value(row, column, True)))}</td>"


def _css(look: Any) -> str:
    back, text = look["backgroundColor"], look["textFormat"]
    struck = ";text-decoration:line-through" if text.get("strikethrough") else ""
    return f"background:{_rgb(back)};color:{_rgb(text['foregroundColor'])}{struck}"


def _rgb(color: Any) -> str:
    return f"rgb({','.join(str(round(255 * color[name])) for name in ('red', 'green', 'blue'))})"


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
