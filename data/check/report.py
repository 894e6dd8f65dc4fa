"""Report a survey as text for a person and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from data.check.finding import Finding, Kind
from data.check.survey import Survey
from utils.text import pluralize

SHOWN = 10
"""Findings of one kind that are shown; all are in the JSON."""


def report_lines(survey: Survey) -> Iterator[str]:
    """Yield the lines of the report: what was checked, each kind with its findings, notes, what to exclude."""
    yield _looked_at(survey)
    for kind in survey.counts():
        if survey.kinds[kind].severity != "note":
            yield ""
            yield from _block(survey.kinds[kind], [finding for finding in survey.findings if finding.kind == kind])
    notes = [
        f"{survey.kinds[kind].title.lower()} {n}"
        for kind, n in survey.counts().items()
        if survey.kinds[kind].severity == "note"
    ]
    if notes:
        yield ""
        yield f"Only noted: {', '.join(notes)}."
    yield from survey.remarks
    yield ""
    yield from _summary(survey)


def as_json(survey: Survey) -> dict[str, Any]:
    """Return the whole survey in plain values."""
    return {
        "root": str(survey.root),
        "splits": {split.name: {"images": len(split.images), "labels": len(split.labels)} for split in survey.splits},
        "counts": survey.counts(),
        "remarks": list(survey.remarks),
        "exclude": {"problems": survey.exclusions("problem"), "all": survey.exclusions("problem", "suspect")},
        "findings": [finding.as_dict(survey.kinds) for finding in survey.findings],
    }


def exclude_line(entries: Sequence[str]) -> str:
    """Return the setting that leaves these out, for a config's `data:` or, in quotes, for a command."""
    return f"data.exclude=[{', '.join(entries)}]"


def _looked_at(survey: Survey) -> str:
    parts = [
        f"{split.name}: {pluralize(len(split.images), 'image')}, {pluralize(len(split.labels), 'label')}"
        for split in survey.splits
    ]
    return f"{survey.root}  {';  '.join(parts)}"


def _block(words: Kind, findings: Sequence[Finding]) -> Iterator[str]:
    grave = " (suspects, for you to judge)" if words.severity == "suspect" else ""
    yield f"{words.title}: {len(findings)}{grave}"
    yield f"  Expected: {words.expected}."
    yield f"  To do: {words.remedy}"
    for finding in findings[:SHOWN]:
        yield f"    {line_of(finding)}"
    if len(findings) > SHOWN:
        yield f"    … and {len(findings) - SHOWN} more; --json FILE has all"


def line_of(finding: Finding) -> str:
    """Return a finding in one line: file, classes, what was found."""
    return ": ".join(part for part in (finding.file, classes_of(finding), finding.found) if part)


def classes_of(finding: Finding) -> str:
    """Return the classes of a finding; after four only their number."""
    more = f" and {len(finding.classes) - 4} more" if len(finding.classes) > 4 else ""
    return ", ".join(finding.classes[:4]) + more


def _summary(survey: Survey) -> Iterator[str]:
    if not survey.faulty:
        yield "Nothing wrong was found."
        return
    counted = {s: sum(survey.severity_of(finding) == s for finding in survey.findings) for s in ("problem", "suspect")}
    counts = survey.counts().items()
    kinds = ", ".join(f"{kind} {n}" for kind, n in counts if survey.kinds[kind].severity != "note")
    yield f"{pluralize(counted['problem'], 'problem')} and {pluralize(counted['suspect'], 'suspect')}: {kinds}"
    broken, every = survey.exclusions("problem"), survey.exclusions("problem", "suspect")
    if broken:
        yield f"Fix the problems, or leave them out of training: {exclude_line(broken)}"
    if every != broken:
        yield f"Look at the suspects; all of them {'too' if broken else 'left out'}: {exclude_line(every)}"
