"""Replace secrets by `***` in everything that is written: texts of a secret's shape, and values known to be secret.

A known value is also found as `repr`, JSON, a URL or the base64 of a login write it.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from urllib.parse import quote, quote_plus, urlsplit

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
    "APPRISE_URLS",
    "WANDB_API_KEY",
    "HF_TOKEN",
)
"""Environment variables of the services whose whole value is secret."""

SHORTEST = 6
"""Characters. A shorter value is not replaced: it protects nothing and stands in many words."""

MASK = "***"

_NAMES = re.compile(
    r"(?:SECRET|TOKEN|PASSWORD|PASSWD|(?:ACCESS|API|ACCOUNT|SHEET)_KEY|CONNECTION_STRING)$", re.IGNORECASE
)
_FIELDS = (
    r"access_token|refresh_token|id_token|[Cc]lient_[Ss]ecret|api_?key|API_?KEY|apiKey|[Pp]assword|PASSWORD|passwd"
    r"|secret|sig|signature|assertion|AccountKey|SharedAccessSignature|X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature"
    r"|aws_secret_access_key|aws_session_token"
    r"|[A-Z][A-Z0-9_]*_(?:SECRET|TOKEN|PASSWORD|PASSWD|(?:ACCESS|API|ACCOUNT|SHEET)_KEY|CONNECTION_STRING)"
)
_SIGNS = r"""(?:=|%3D|["']\s?:\s?)["']?"""
_SHAPES = (
    r"xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+",  # Slack
    r"(?P<kept>hooks\.slack\.com(?:/|%2F)services(?:/|%2F))[\w%/-]+",
    r"(?P<kept>[Bb]earer(?: |%20))[\w.~+/=-]{6,}",
    r"(?P<kept>[Bb]asic(?: |%20))[\w+/-]{8,}={0,2}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[\w-]{35,}|ya29\.[\w.-]{10,}|GOCSPX-[\w-]{10,}",  # Amazon, Google
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}|dapi[0-9a-f]{32}\b",  # GitHub, Hugging Face, Databricks
    # The user and password of a URL, up to its last @; `host:8080/@name` is none. They end before another URL at the
    # latest, so a long list of URLs takes linear time.
    r"(?P<kept>://)[^\s/@:\"'<>]*:(?!\d+[/?#])(?:[^\s\"'<>:]|:(?!//))*(?=@)",
    r"(?P<kept>://)[\w.~%+-]{20,}(?=@)",  # A token in the place of a user.
    r"(?P<kept>[?&](?:token|key|code|auth)=)[^\s&\"'<>]{8,}",
    rf"(?P<kept>(?<![\w-])(?:{_FIELDS}){_SIGNS})[^\s&\"',;}}]{{4,}}",
)
"""Patterns of secrets. What the group `kept` has found stays. One after another they take half the time of one."""
_PATTERNS = tuple(re.compile(shape if "<kept>" in shape else f"(?P<kept>)(?:{shape})", re.DOTALL) for shape in _SHAPES)
_added: set[str] = set()


def redact(text: str) -> str:
    """Return `text` with every secret in it replaced by `***`."""
    pieces, done = [], 0
    for start, end in sorted(_places(text)):
        # Places that overlap become one: a shape may cover a part of a known value, and the other way round.
        if start >= done:
            pieces += [text[done:start], MASK]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def looks_secret(text: str) -> bool:
    """Return whether a text holds a known secret or something of a secret's shape."""
    return redact(text) != text


def is_secret_name(name: str) -> bool:
    """Return whether the value of an environment variable is secret, by its name: `AWS_SECRET_ACCESS_KEY`."""
    return name in SECRET_NAMES or _NAMES.search(name) is not None


def add_secrets(values: Iterable[str]) -> None:
    """Treat these values as secret from now on, for as long as the process lives."""
    _added.update(value for value in values if len(value) >= SHORTEST)


def _values() -> set[str]:
    named = (value for name, value in os.environ.items() if is_secret_name(name))
    return _added | {value for value in named if len(value) >= SHORTEST}


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each secret in a text."""
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            yield found.end("kept"), found.end()
    for written in {each for value in _values() for each in _written(value)}:
        start = text.find(written)
        while start >= 0:
            yield start, start + len(written)
            start = text.find(written, start + len(written))


@lru_cache(maxsize=1024)
def _written(value: str) -> frozenset[str]:
    """The ways in which programs write a value."""
    return frozenset({value, *_escaped(value), *_encoded(value)})


def _escaped(value: str) -> Iterator[str]:
    for written in (repr(value), ascii(value), repr(repr(value)[1:-1]), repr(value.encode("utf-8", "replace"))[1:]):
        yield written[1:-1]
    # The quote that `repr` chooses depends on the text around.
    yield value.replace("\\", "\\\\").replace("'", "\\'")
    for as_ascii in (True, False):
        inner = json.dumps(value, ensure_ascii=as_ascii)[1:-1]
        yield from (inner, json.dumps(inner)[1:-1], inner.replace("/", "\\/"))
    yield from (html.escape(value), html.escape(value, quote=False), shlex.quote(value).strip("'"))


def _encoded(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "replace")
    for written in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield from (written, re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), written))
    # Base64 of the value after 0, 1 or 2 other bytes, as after `user:`; the first and last characters depend on others.
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = encoded[-(-before * 8 // 6) : -1]
        if len(inner) >= SHORTEST * 4 // 3:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))


def host_of(url: str) -> str:
    """Return host and port of an address, for messages: the rest may contain secrets."""
    with suppress(ValueError):
        return urlsplit(url).netloc.rpartition("@")[2] or "the address"
    return "the address"
