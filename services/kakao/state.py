"""Small counters that all processes of one user on one host share: `~/.local/state/carpus/<name>.json`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import replacing
from utils.lock import locked_within

WAIT_S = 5.0


@contextmanager
def locked_state(name: str) -> Iterator[dict[str, Any]]:
    """Yield the values under a name, locked against other processes, and save them if the block changes them.

    Raises `UserError` if they cannot be saved.
    """
    path = state_folder() / f"{name}.json"
    with locked_within(path.with_suffix(".lock"), WAIT_S, f"{path}: another program is changing it"):
        values = _read(path)
        before = json.dumps(values)
        yield values
        if json.dumps(values) != before:
            with replacing(path, 0o600) as file:
                file.write(json.dumps(values).encode())


def state_folder() -> Path:
    """The user's folder of states, which is made; if the home cannot be written, one among the temporary files.

    Raises `UserError` if neither can be used, for example because another user owns the folder.
    """
    above = os.environ.get("XDG_STATE_HOME") or os.path.join(os.environ.get("HOME") or "/", ".local", "state")
    temporary = Path(tempfile.gettempdir()) / f"carpus-{os.getuid()}"
    for folder in (Path(above) / "carpus", temporary):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    raise UserError(f"{temporary}: cannot be written. Set XDG_STATE_HOME to a folder of yours.")


def _read(path: Path) -> dict[str, Any]:
    """The values; empty if the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
