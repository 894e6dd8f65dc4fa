"""Where the paths of a config lead: `~` and `$HOME` as in a shell, and relative ones from the project's folder.

A recipe means the same data and runs in whatever folder a program is started. A path that is given as an argument means
the folder in which it was typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import expand

PROJECT = Path(__file__).resolve().parents[1]
PATH_KEYS = ("run.folder", "data.root", "data.fold_files")


def in_project(value: Any) -> Any:
    """Return the path that a recipe's text means, as short as it can be written; other values unchanged."""
    if not isinstance(value, (str, Path)):
        return value
    try:
        path = Path(expand(str(value)))
    except UserError as error:
        raise ValueError(str(error)) from None
    if path.is_absolute() or Path.cwd() == PROJECT:
        return path
    return PROJECT / path


def as_typed(key: str, value: Any) -> Any:
    """Return the value of a `key=value` argument; a relative path begins at the folder in which it was typed."""
    if key not in PATH_KEYS or not isinstance(value, str) or not value:
        return value
    expanded = Path(expand(value))
    return value if Path.cwd() == PROJECT else str(expanded.absolute())
