"""Whose process this is."""

from __future__ import annotations

import getpass
from contextlib import suppress


def user_name() -> str:
    """The user's name; `somebody` where the system has none for the number."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return "somebody"
