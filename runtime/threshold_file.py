"""Thresholds per class in a JSON file, `{"thresholds": {"finger-1": 0.45, …}}`; what stands beside is for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.config.messages import shown
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.files import read_json, write_text

KEY = "thresholds"


def load_thresholds(path: Path, classes: Sequence[str]) -> tuple[float, ...]:
    """The threshold of each class, a probability above 0 and below 1, in the order of `classes`.

    Raises `UserError` for a file that cannot be read, names another class, lacks one, or holds another value.
    """
    found = _read(path)
    for name in found:
        if name not in classes:
            raise UserError(f"{path}: '{name}' is not a class of this task. {did_you_mean(name, classes)}")
    missing = [name for name in classes if name not in found]
    if missing:
        raise UserError(
            f"{path}: lacks a threshold for {', '.join(missing)}. Add one for each, such as 0.5, or write the file "
            "anew with python -m trainer.thresholds."
        )
    return tuple(_checked(path, name, found[name]) for name in classes)


def save_thresholds(path: Path, threshold_of: Mapping[str, float], about: Mapping[str, Any]) -> None:
    """Write the threshold of each class, and `about` beside them."""
    write_text(path, json.dumps({KEY: dict(threshold_of), **about}, indent=2) + "\n")


def _read(path: Path) -> dict[str, Any]:
    way_out = "Name a file that python -m trainer.thresholds wrote."
    content = read_json(path, unreadable=way_out, malformed=way_out)
    found = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise UserError(f'{path}: expected {{"{KEY}": {{"<class>": 0.5, …}}}}. Name a file of trainer.thresholds.')
    return found


def _checked(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise UserError(f"{path}: {KEY}.{name}: expected a number above 0 and below 1, got {shown(value)}.")
    return float(value)
