"""What Google Sheets refuses, as its callers distinguish it."""

from __future__ import annotations

from services.channel import Refused


class Rejected(Refused):
    """Google answered 400: there is no such tab, a range lies outside it, or a cell is protected."""
