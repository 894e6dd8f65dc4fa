"""Files for a run's thread: the pictures of its report, and a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.channel import Context
from services.slack.notes import trace_of
from services.texts import text
from utils.events import RunFailed

AT_ONCE = 10
"""Files in one message, as many as a person may attach."""
TITLE_LIMIT = 200


@dataclass(frozen=True)
class File:
    """A file's name and title in Slack, and its content."""

    name: str
    title: str
    content: bytes | Path
    snippet_type: str | None = None
    """The language by which Slack highlights a text file."""


def pictures_of(pictures: Mapping[str, Path]) -> tuple[list[File], list[str]]:
    """The pictures that are on disk, and the titles of those that are missing or empty."""
    found = {title: _has_content(path) for title, path in pictures.items()}
    files = [File(path.name, title[:TITLE_LIMIT], path) for title, path in pictures.items() if found[title]]
    return files, [title for title in pictures if not found[title]]


def trace_file(event: RunFailed, about: Context) -> File:
    """The whole traceback as a file, without secrets."""
    name = f"{about.facts.title.replace('/', '-')[:100]}-traceback.txt"
    content = trace_of(event).encode("utf-8", "replace")
    return File(name, text(about.language, "slack_trace_file"), content, snippet_type="python")


def _has_content(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
