"""Print tables on the terminal, in one style."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text_columns: Collection[str] = (),
    total: Sequence[str] = (),
    lines: Iterable[str] = (),
) -> None:
    """Print rows of cells under their headings, then `lines`; lines without text are left out.

    Numbers are aligned to the right. Cells of `text_columns` are aligned to the left, and broken if the terminal is too
    narrow. `total` is a row below a line. Texts are printed as they are: a `[name]` is not a style.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for heading in headings:
        is_text = heading in text_columns
        table.add_column(Text(heading), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if total:
        table.add_section()
        table.add_row(*map(Text, total))
    console = Console()
    console.print(table)
    for line in filter(None, lines):
        console.print(Text(line), soft_wrap=True)
