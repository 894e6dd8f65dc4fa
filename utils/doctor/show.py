"""Print findings as lines that fit the terminal, in colour only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from utils.doctor.finding import Finding
from utils.text import pluralize

COLOURS = {"ok": "32", "warning": "33", "problem": "31"}
LEVEL_WIDTH = len("problem")
TOPIC_WIDTH = 12
WIDEST = 110


def show(findings: Sequence[Finding]) -> None:
    """Write the findings to standard output."""
    width = min(shutil.get_terminal_size((100, 24)).columns, WIDEST)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for finding in findings:
        sys.stdout.write("".join(f"{line}\n" for line in lines_of(finding, width, coloured)))
    sys.stdout.flush()


def lines_of(finding: Finding, width: int, coloured: bool = False) -> Iterator[str]:
    """Yield the lines of a finding: level, topic and text in columns wrapped to `width`, the remedy below an arrow."""
    colour = f"\033[{COLOURS[finding.level]}m" if coloured else ""
    level = f"{colour}{finding.level:<{LEVEL_WIDTH}}{colour and chr(27) + '[0m'}"
    margin = " " * (LEVEL_WIDTH + TOPIC_WIDTH + 4)
    room = max(30, width - len(margin))
    first, *rest = wrapped(finding.text, room)
    yield f"{level}  {finding.topic:<{TOPIC_WIDTH}}  {first}".rstrip()
    yield from (margin + line for line in rest)
    for number, line in enumerate(wrapped(finding.remedy, room - 2) if finding.remedy else ()):
        yield f"{margin}{'  ' if number else '→ '}{line}"


def wrapped(text: str, width: int) -> list[str]:
    """Split text into lines of at most `width` characters; commands, paths and keys are never split."""
    lines = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False) or [""]
    return lines or [""]


def summary_of(findings: Sequence[Finding]) -> str:
    """Count what is not ok: "1 problem, 2 warnings."."""
    problems, warnings = (sum(f.level == level for f in findings) for level in ("problem", "warning"))
    if not problems and not warnings:
        return "Everything is ok."
    words = [pluralize(problems, "problem")] if problems else ["No problem"]
    return ", ".join(words + ([pluralize(warnings, "warning")] if warnings else [])) + "."
