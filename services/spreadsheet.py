"""Look at the team's spreadsheet from a terminal.

python -m services.spreadsheet board --spreadsheet ID    (prints the board, with the servers that have fallen silent)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Literal

from services.channel import NotDelivered, Refused
from services.secrets import Secrets
from services.sheets.account import BASE_URL, Rejected
from services.sheets.board import COLUMNS, is_stale
from services.sheets.book import SCORE, Book
from services.sheets.client import in_tab, open_sheet, spreadsheet_id_of
from services.texts import duration
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

SHOWN = ("server", "user", "state", "run", "epoch", SCORE, "best", "time left", "heartbeat")
LEAST_WIDTH = 130
"""Width of the table in characters, if the output is not a terminal."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.spreadsheet", description="Look at the team's spreadsheet from a terminal."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    board = commands.add_parser("board", help="print the board of servers, with those that have fallen silent")
    board.add_argument("--spreadsheet", required=True, metavar="ID", help="its ID, or its address in the browser")
    board.add_argument("--tab", default="servers", help="the tab of the servers (default: servers)")
    board.add_argument("--base-url", default=BASE_URL, help="where Google Sheets' API is")
    options = parser.parse_args()
    log_to_console()
    show_board(options.spreadsheet, options.tab, options.base_url)
    return 0


def show_board(spreadsheet: str, tab: str, base_url: str, *, now: Callable[[], float] = time.time) -> None:
    """Print each server's row and the time since it was written. Raises `UserError` if the board cannot be read."""
    found = spreadsheet_id_of(spreadsheet)
    if found is None:
        raise UserError(f"--spreadsheet {spreadsheet}: is neither an ID nor a spreadsheet's address.")
    try:
        with closing(open_sheet(Secrets(), base_url=base_url, readonly=True)) as sheets:
            now_days = Book(sheets, found).serial(now())
            (cells,) = sheets.read(found, [in_tab(tab)], unformatted=True)
    except Rejected as error:
        raise UserError(
            f"--tab {tab}: there is no such board yet. The first run with services.sheets makes it."
        ) from error
    except (NotDelivered, Refused) as error:
        raise UserError(str(error)) from error
    print_rows([display_row(row, now_days) for row in rows_of(cells) if row.get("server")])


def rows_of(cells: Sequence[Sequence[str]]) -> list[Mapping[str, str]]:
    """The rows below a header as mappings from column name to text; missing cells are empty."""
    header, *rows = cells or [[]]
    names = {name.strip().casefold(): name for name in COLUMNS}
    columns = [names.get(name.strip().casefold(), name) for name in header]
    # The score stands under the label of its metric, beside the epoch.
    for place in [place for place, name in enumerate(columns[1:], 1) if columns[place - 1] == "epoch"]:
        columns[place] = SCORE
    return [dict(zip(columns, [*row, *[""] * len(columns)], strict=False)) for row in rows]


def display_row(row: Mapping[str, str], now: float) -> dict[str, str]:
    """A row with the age of its heartbeat, and its state marked if it is stale. `now`: the spreadsheet's days."""
    age_s = (now - _number(row.get("heartbeat", ""))) * 86400
    state = row.get("state", "")
    if is_stale(state, age_s, _number(row.get("beat (s)", ""))):
        state = f"stale ({state})"
    return {**row, "state": state, "heartbeat": f"{duration('en', max(age_s, 0.0))} ago"}


def print_rows(rows: Sequence[Mapping[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=LEAST_WIDTH)
    table = Table(header_style="bold")
    for name in SHOWN:
        justify: Literal["left", "right"] = "right" if name in ("epoch", SCORE, "best") else "left"
        table.add_column(name, justify=justify, no_wrap=name != "run", overflow="fold")
    for row in rows:
        style = "dim red" if row["state"].startswith("stale") else ""
        table.add_row(*(Text(row.get(name, "")) for name in SHOWN), style=style)
    console.print(table)


def _number(text: str) -> float:
    """The number in a cell; 0 if its text is not a number."""
    with suppress(ValueError):
        return float(text)
    return 0.0


if __name__ == "__main__":
    run_program(main)
