"""Tables on a terminal, and in a section of a Markdown page that holds the figures of one card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.gpu.part import LEFT_OUT, Part, Row
from benchmarks.gpu.results import Results, cells_of
from utils.errors import UserError
from utils.files import write_text

CHAPTER = "## On a GPU"
"""The heading below which each card has a section."""
NO_MEASUREMENT = "--tiny: every road was taken with small sizes. These numbers are no measurement."
HOLDS = {True: "yes", False: "NO", None: ""}


def show(results: Results, parts: Mapping[str, Part], console: Console) -> None:
    """Print a table of each part."""
    if results.tiny:
        console.print(NO_MEASUREMENT, highlight=False)
    for name, rows in results.rows.items():
        part = parts[name]
        table = Table(title=f"{name}: {part.does}", title_justify="left")
        table.add_column("", overflow="fold")
        for heading in headings_of(part, rows):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(row.name, *row_cells(part, row, rows), style="red" if row.holds is False else "")
        console.print(table)


def headings_of(part: Part, rows: Sequence[Row]) -> list[str]:
    """Return the headings of the columns that some row fills, and of one that says what holds."""
    cells = [[column.heading, *column_of(part, rows, index)] for index, column in enumerate(part.columns)]
    filled = [heading for heading, *column in cells if any(column)]
    return [*filled, *(["as it must be"] if any(row.holds is not None for row in rows) else [])]


def column_of(part: Part, rows: Sequence[Row], index: int) -> list[str]:
    return [cells_of(part, row)[index] for row in rows]


def row_cells(part: Part, row: Row, rows: Sequence[Row]) -> list[str]:
    """Return the cells of a row below `headings_of`."""
    own = cells_of(part, row)
    filled = [cell for index, cell in enumerate(own) if any(column_of(part, rows, index))]
    return [*filled, *([HOLDS[row.holds]] if any(each.holds is not None for each in rows) else [])]


def publish(results: Results, parts: Mapping[str, Part], page: Path) -> None:
    """Write the tables into the card's section of a page; parts that were not begun now stay as they are.

    Raises `UserError` if the page has no chapter for cards.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if f"\n{CHAPTER}\n" not in text:
        raise UserError(f"{page}: has no heading '{CHAPTER}', below which cards have sections. Name another page.")
    before, after = text.split(f"\n{CHAPTER}\n", 1)
    chapter, end = divided(after, r"^## ")
    write_text(page, f"{before}\n{CHAPTER}\n{with_card(chapter, results, parts)}{end}")


def with_card(chapter: str, results: Results, parts: Mapping[str, Part]) -> str:
    """Return a chapter in which the card's section holds the results."""
    heading = f"### {results.about['card']}"
    found = [name for name, rows in results.rows.items() if any(row.fault != LEFT_OUT for row in rows)]
    start = re.search(rf"^{re.escape(heading)}$", chapter, re.MULTILINE)
    if start is None:
        return f"{chapter.rstrip()}\n\n{heading}\n\n" + "".join(block_of(results, parts[name]) for name in found)
    section, others = divided(chapter[start.end() :], r"^### ")
    head, blocks = blocks_in(section)
    for name in found:
        blocks[parts[name].does] = block_of(results, parts[name])
    in_order = [part.does for part in parts.values() if part.does in blocks]
    return chapter[: start.end()] + head + "".join(blocks[does] for does in in_order) + others


def divided(text: str, heading: str) -> tuple[str, str]:
    """Divide a text before the first line that matches `heading`."""
    found = re.search(heading, text, re.MULTILINE)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def blocks_in(section: str) -> tuple[str, dict[str, str]]:
    """Divide a card's section: what comes before its tables, and each table with its heading."""
    head, rest = divided(section, r"^#### ")
    found = re.split(r"^(?=#### )", rest, flags=re.MULTILINE)
    return head, {block.splitlines()[0].removeprefix("#### "): block for block in found if block}


def block_of(results: Results, part: Part) -> str:
    """Return the table of a part with its heading and with what it was measured on."""
    rows, about = results.rows[part.name], results.about
    headings = ["", *headings_of(part, rows)]
    lines = [headings, ["---"] * len(headings), *([row.name, *row_cells(part, row, rows)] for row in rows)]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '¦') for cell in line)} |" for line in lines)
    return f"#### {part.does}\n\n{about['date']}: {about['software']}; {about['machine']}.\n\n{table}\n\n"
