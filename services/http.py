"""One request to a service and its answer: one time limit for the whole call, and failures of two kinds.

`NotDelivered`: the service has not received the request. `AnswerLost`: it has received at least a part, so the request
may have taken effect. Slack, KakaoTalk, Google Sheets and MLflow all send through `services.http_adapter`, below their
libraries; this module imports it at the first request.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, TypeVar

from services.channel import AnswerLost, NotDelivered
from utils.redact import host_of

FIRST_PAUSE_S = 0.5
"""Doubled after each try, and multiplied by a random factor, so that servers do not retry at the same moment."""
LOGIN_PAGE = "is this the login page of a network"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reply:
    """An answer. Its headers are found by their names in any case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The answer as an object; None if it is not one (a proxy's page, half an answer)."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def retry_after_s(self) -> float | None:
        return retry_after_s(self.headers)


def send_request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    form: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    save: Callable[[bytes], object] | None = None,
    within_s: float | None = None,
    name: str | None = None,
) -> Reply:
    """Send one request over a new connection, and return any answer; redirects are not followed.

    `save` is called with each piece of the answer as soon as it arrives. `name`: the service in messages.
    Raises `NotDelivered`, `AnswerLost`, and `Refused` if `url` or the proxy is not an address.
    """
    from services.http_adapter import Bearer, Session

    with Session(name or host_of(url), save) as session:
        data = body if form is None else dict(form)
        auth = Bearer(lambda: token)
        answer = session.request(
            method, url, data=data, params=dict(query or {}), headers=dict(headers or {}), auth=auth, timeout=within_s
        )
        return Reply(answer.status_code, answer.content, answer.headers)


def repeat(send: Callable[[], Result], *, tries: int, within_s: float, is_safe: bool = True) -> Result:
    """Call `send` up to `tries` times, with pauses in which the service's `Retry-After` is respected.

    The last failure is raised: `NotDelivered`, also if the next try would begin later than `within_s` seconds from now.
    After `AnswerLost` another try follows only if it `is_safe` to send twice.
    """
    until_s = time.monotonic() + within_s
    for tried in itertools.count(1):
        try:
            return send()
        except NotDelivered as error:
            pause_s = max(FIRST_PAUSE_S * 2 ** (tried - 1) * random.uniform(0.5, 1.5), error.retry_after_s or 0.0)
            is_last = tried == tries or time.monotonic() + pause_s > until_s
            if is_last or (isinstance(error, AnswerLost) and not is_safe):
                raise
        time.sleep(pause_s)
    raise AssertionError("unreachable")


def describe_answer(status: int, headers: Mapping[str, Any] | None = None) -> str:
    """What an answer without words of the service's own means: a predicate after the name of the service."""
    if 300 <= status < 400:
        place = f"to {host_of(found)} " if "//" in (found := header_of(headers or {}, "location")) else ""
        return f"redirects {place}({status}), which is not followed. Has its address changed, or {LOGIN_PAGE}?"
    if status == 407:
        return "was not reached: the proxy wants a login (407). HTTPS_PROXY must hold its name and password, too"
    if status == 429:
        return "has had too many requests (429)"
    if status >= 500:
        return f"has a fault of its own ({status})"
    return f"answered {status} with a page or nothing. Does a proxy answer, or {LOGIN_PAGE}?"


def is_page(text: str) -> bool:
    """Whether an answer is a page for people, as proxies and login pages of networks send it, and not a service's."""
    return text.lstrip()[:9].lower().startswith(("<html", "<!doctype"))


def may_pass(status: int) -> bool:
    """Whether an answer comes from something between the service and us, or says that a later try may succeed."""
    return 300 <= status < 400 or status in (407, 408, 429) or status >= 500


def header_of(headers: Mapping[str, Any], wanted: str) -> str:
    """The header with this name, in lower case; empty if there is none."""
    return next((str(value) for name, value in headers.items() if name.lower() == wanted), "").strip()


def retry_after_s(headers: Mapping[str, Any]) -> float | None:
    """Seconds to wait by the header `Retry-After`, which holds seconds or a date."""
    text = header_of(headers, "retry-after")
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
