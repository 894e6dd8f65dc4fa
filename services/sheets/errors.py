"""The exception for a request that Google Sheets does not accept."""

from __future__ import annotations

from services.channel import Refused


class Rejected(Refused):
    """Google answered 400: there is no such tab, a range lies outside it, or a cell is protected."""


def already_exists(error: Rejected) -> bool:
    """Whether a tab could not be made because there is one with its title."""
    return "already exists" in str(error)
