"""Replace secrets by `***` in everything that is written: texts of a secret's shape, and values known to be secret."""

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
"""Characters. A shorter value is not replaced: it protects nothing and stands in many words."""

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
_added: set[str] = set()


def redact(text: str) -> str:
    """Return `text` with every secret in it replaced by `***`."""
    text = _SHAPES.sub(MASK, text)
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def looks_secret(text: str) -> bool:
    """Return whether a text holds a known secret or something of a secret's shape."""
    return redact(text) != text


def add_secrets(values: Iterable[str]) -> None:
    """Treat these values as secret from now on, for as long as the process lives."""
    _added.update(value for value in values if len(value) >= SHORTEST)


def _values() -> set[str]:
    named = {os.environ.get(name, "") for name in SECRET_NAMES}
    return _added | {value for value in named if len(value) >= SHORTEST}
