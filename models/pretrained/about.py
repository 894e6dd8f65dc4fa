"""What a file of tensors says of itself: its licence, whom to name, and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

FACTS = ("licence", "attribution", "source")


def facts_of(path: Path) -> dict[str, str | None]:
    """Return licence, attribution and source of a file, from its metadata or from the JSON beside it; None if unknown.

    `python -m models.fetch` writes both; files of other programs have neither, and a `.pth` has no metadata.
    """
    said = {**_beside(path), **metadata_of(path)}
    return {fact: str(said[fact]) if said.get(fact) else None for fact in FACTS}


def metadata_of(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file without its tensors; nothing for other files."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def _beside(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
