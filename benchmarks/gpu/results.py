"""The rows that were found, part by part; written to a file as soon as each is known, and read again from it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.part import Part, Row
from utils.errors import UserError
from utils.files import read_json, write_text


@dataclass
class Results:
    """`about`: machine, card, software and date; `rows`: by the name of a part, in the order of measuring."""

    about: Mapping[str, Any]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    file: Path | None = None
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def tiny(self) -> bool:
        return bool(self.about["tiny"])

    @property
    def all_hold(self) -> bool:
        """Whether all that must be true is true, and no measurement stopped with an error."""
        return not any(row.holds is False or row.trace for rows in self.rows.values() for row in rows)

    def add(self, part: Part, rows: Sequence[Row]) -> None:
        """Take the rows of one measurement: write them to the file, and a line of each to stderr."""
        self.rows.setdefault(part.name, []).extend(rows)
        if self.file is not None:
            write_text(self.file, json.dumps(self.as_json(), indent=2) + "\n")
        for row in rows:
            told = ", ".join(cell for cell in cells_of(part, row) if cell)
            sys.stderr.write(f"{time.monotonic() - self.begun_s:6.1f} s  {part.name}: {row.name}: {told}\n")

    def as_json(self) -> dict[str, Any]:
        """The values that `--json` writes."""
        parts = {name: [asdict(row) for row in rows] for name, rows in self.rows.items()}
        return {**self.about, "parts": parts}


def read_results(path: Path, parts: Mapping[str, Part]) -> Results:
    """Read what `--json` wrote. Raises `UserError` for another file."""
    other = f"{path}: is not a file that python -m benchmarks gpu --json has written. Name one that is."
    values = read_json(path, unreadable=other, malformed=other)
    try:
        found = values.pop("parts")
        rows = {name: [Row(**row) for row in found[name]] for name in found}
        values["tiny"], values["card"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(other) from error
    unknown = next((name for name in rows if name not in parts), None)
    if unknown is not None:
        raise UserError(f"{path}: holds a part '{unknown}', which this version of Carpus does not have. Measure again.")
    return Results(values, rows)


def cells_of(part: Part, row: Row) -> list[str]:
    """Return what each column of a part shows of a row; if it has a fault, that in the first column."""
    if row.fault is not None:
        return [row.fault, *[""] * (len(part.columns) - 1)]
    cells = []
    for column in part.columns:
        value = row.values.get(column.key)
        cells.append(value if isinstance(value, str) else "" if value is None else column.show(value))
    return cells
