"""Keeps secrets out of everything that is written: what looks like one, and what is one by name, becomes `***`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

SECRET_NAMES = (
    "SLACK_BOT_TOKEN",
    "SLACK_WEBHOOK_URL",
    "KAKAO_REST_API_KEY",
    "KAKAO_CLIENT_SECRET",
    "KAKAO_ACCESS_TOKEN",
    "KAKAO_REFRESH_TOKEN",
    "KAKAO_SHEET_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
"""Environment variables whose whole value is secret."""

SHORTEST = 6
"""A shorter value is no secret worth the name, and would blank out common words."""

MASK = "***"

_SHAPES = re.compile(
    r"xox[a-z]-[\w-]+"  # Slack's tokens
    r"|(?<=hooks\.slack\.com/services/)[\w/-]+"
    r"|(?<=Bearer )[\w.~+/=-]{6,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # the user and password of a URL
    r"|(?<=access_token=)[\w.~%-]+|(?<=refresh_token=)[\w.~%-]+|(?<=client_secret=)[\w.~%-]+",
    re.DOTALL,
)
_learned: set[str] = set()


def redact(text: str) -> str:
    """`text` without what is secret in it."""
    text = _SHAPES.sub(MASK, text)
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def looks_secret(text: str) -> bool:
    """Whether a text has the shape of a secret, or holds one that is known."""
    return redact(text) != text


def learn(values: Iterable[str]) -> None:
    """Take these for secret from now on, wherever they were read."""
    _learned.update(value for value in values if len(value) >= SHORTEST)


def _values() -> set[str]:
    named = {os.environ.get(name, "") for name in SECRET_NAMES}
    return _learned | {value for value in named if len(value) >= SHORTEST}
