"""The name of the user who runs this process."""

from __future__ import annotations

import getpass
from contextlib import suppress


def user_name() -> str:
    """Return the user's name; `somebody` if the system has no name for the user's number."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return "somebody"
