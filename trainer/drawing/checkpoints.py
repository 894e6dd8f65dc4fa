"""Show how well the networks of one run do, from the values of its `checkpoints.json`: console, Markdown and page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.drawing.charts import curves_of_checkpoints
from trainer.drawing.html import render_page
from utils.table import print_table
from utils.text import pluralize
from utils.viewer.figure import data_source

Found = Mapping[str, Any]
"""What `trainer.checkpoints.table.summary` returns, with `data` and the sheet."""

LIMITS = "95 % confidence interval of the mean over images"


def print_checkpoints(found: Found) -> None:
    """Print the table, and below it that of the other protocol."""
    headings, rows = table_of(found, "scores")
    lines = [f"{headings[2]}: {LIMITS}.", best(found)]
    print_table("Checkpoints", headings, rows, text_columns=headings[:1], lines=lines)
    protocol = found["protocol"]
    if protocol:
        headings, rows = table_of(found, "other")
        print_table(f"By {protocol['name']}", headings, rows, text_columns=headings[:1], lines=[protocol["said"]])


def table_of(found: Found, kind: str) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells of the table of `scores`, or of those by the `other` protocol."""
    metric, columns = found["metric"], found["columns"]
    names = [name for name in columns if name in found["checkpoints"][0][kind]]
    headings = ["checkpoint", columns[metric], "95 %", *(columns[name] for name in names if name != metric)]
    rows = []
    for row in found["checkpoints"]:
        its = row[kind]
        others = [f"{its[name]['mean']:.4f}" for name in names if name != metric]
        rows.append([label_of(row), f"{its[metric]['mean']:.4f}", limits(its[metric]), *others])
    return headings, rows


def limits(its: Mapping[str, float]) -> str:
    """Write the limits of an interval."""
    return f"{its['low']:.3f}–{its['high']:.3f}"


def label_of(row: Mapping[str, Any]) -> str:
    """Name a network, and the one before it that is the same."""
    return f"{row['name']} (= {row['same_as']})" if row["same_as"] else str(row["name"])


def best(found: Found) -> str:
    """Say which network has the best mean on these images."""
    row = next(row for row in found["checkpoints"] if row["name"] == found["best_here"])
    metric = found["metric"]
    return (
        f"{found['columns'][metric]} is best at {row['name']}: {row['scores'][metric]['mean']:.4f} over "
        f"{pluralize(found['images'], 'image')}."
    )


def markdown_of(found: Found) -> str:
    """Return the table as Markdown, with the columns of the other protocol at its right."""
    headings, rows = table_of(found, "scores")
    lines, protocol = [f"Measured on {found['data']} ({found['images']}).", best(found)], found["protocol"]
    lines.append(f"{headings[2]}: {LIMITS}.")
    if protocol:
        others, cells = table_of(found, "other")
        headings += [f"{heading}, {protocol['name']}" for heading in others[1:]]
        rows = [[*row, *other[1:]] for row, other in zip(rows, cells, strict=True)]
        lines.append(f"{protocol['name']}: {protocol['said']}")
    marks = ["---", *("---:" for _ in headings[1:])]
    table = [f"| {' | '.join(cells)} |" for cells in [headings, marks, *rows]]
    return "\n".join([*table, "", *_paragraphs(lines)])


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield line
        yield ""


def section_of(found: Found, pictures: Path) -> dict[str, Any]:
    """Return what `checkpoints_section.html.j2` shows; `pictures` is the folder of the sheet's pictures."""
    headings, rows = table_of(found, "scores")
    protocol = found["protocol"]
    others = table_of(found, "other") if protocol else ([], [])
    return {
        "headings": headings,
        "rows": rows,
        "others": {"headings": others[0], "rows": others[1], **protocol} if protocol else None,
        "best": [row["name"] == found["best_here"] for row in found["checkpoints"]],
        "lines": [f"Measured on {found['data']} ({found['images']}).", best(found), f"{headings[2]}: {LIMITS}."],
        "chart": curves_of_checkpoints(found),
        "sheet": sheet_of(found, pictures),
    }


def sheet_of(found: Found, pictures: Path) -> dict[str, Any] | None:
    """Return the contact sheet with its pictures; None if one of these has gone."""
    sheet = found["sheet"]
    names = [row[place] for row in sheet["rows"] for place in ("photo", "truth")]
    names += [cell["picture"] for row in sheet["rows"] for cell in row["cells"]]
    if not all((pictures / Path(name).name).is_file() for name in names):
        return None
    label = found["columns"][found["metric"]]
    source = {name: data_source((pictures / Path(name).name).read_bytes()) for name in names}
    rows = [
        {
            "image": row["image"],
            "photo": source[row["photo"]],
            "truth": source[row["truth"]],
            "cells": [
                {"source": source[cell["picture"]], "note": f"{label} {cell['score']:.3f}"} for cell in row["cells"]
            ],
        }
        for row in sheet["rows"]
    ]
    twins = {row["same_as"]: row["name"] for row in found["checkpoints"] if row["same_as"]}
    headings = [f"{name} (= {twins[name]})" if name in twins else name for name in sheet["columns"]]
    is_best = [name == found["best_here"] for name in sheet["columns"]]
    return {"columns": headings, "best": is_best, "truth": True, "rows": rows}


def page_of(title: str, found: Found, pictures: Path) -> str:
    """Return a page of table, chart and contact sheet."""
    columns = found["columns"]
    best_row = next(row for row in found["checkpoints"] if row["name"] == found["best_here"])
    values = {
        "name": f"{title}, checkpoints",
        "subtitle": f"{len(found['checkpoints'])} checkpoints on {found['data']}",
        "tiles": [
            {"value": f"{best_row['scores'][name]['mean']:.4f}", "label": f"{columns[name]}, {best_row['name']}"}
            for name in columns
        ],
        "networks": section_of(found, pictures),
    }
    return render_page("checkpoints.html.j2", values)
