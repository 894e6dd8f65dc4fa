"""The result of a check: a line that is ok, a warning or a problem, with a remedy.

All of `utils.doctor` needs only the standard library, so that it runs before anything is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report: `topic` was checked, `text` was found; `remedy` says what to do unless it is ok."""

    level: Level
    topic: str
    text: str
    remedy: str = ""


def ok(topic: str, text: str) -> Finding:
    """Return a finding that nothing needs to be done about."""
    return Finding("ok", topic, text)


def warning(topic: str, text: str, remedy: str) -> Finding:
    """Return a finding that lets training work, but slower, or not for every config."""
    return Finding("warning", topic, text, remedy)


def problem(topic: str, text: str, remedy: str) -> Finding:
    """Return a finding that keeps training from working."""
    return Finding("problem", topic, text, remedy)


def as_plain(finding: Finding) -> dict[str, str]:
    """Return the finding as a dict, for JSON."""
    return asdict(finding)


def from_plain(values: Mapping[str, Any]) -> Finding:
    """Return the finding of a dict of `as_plain`."""
    return Finding(**values)


def size_text(mib: float) -> str:
    """Return a size as text: `640 MiB`, `31.7 GiB`."""
    if mib < 1000:
        return f"{mib:.0f} MiB" if mib >= 1 else f"{mib * 1024:.0f} KiB"
    return f"{mib / 1024:.1f} GiB" if mib < 1000 * 1024 else f"{mib / 1024**2:.1f} TiB"


def time_text(seconds: float) -> str:
    """Return a duration as text of about two digits: `35 ms`, `2.4 s`, `43 s`, `12 min`, `5 h 12 min`, `3 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
