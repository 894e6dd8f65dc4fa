"""One request to Kakao and its answer, with different exceptions for a request without effect and one that may have had
an effect."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.channel import AnswerLost, NotDelivered, Refused

if TYPE_CHECKING:
    import requests

TIMEOUT_S = (3.05, 10.0)
"""Limits to connect, and between two pieces of an answer."""
LONGEST_S = 13.0
"""Limit of the whole answer."""
LARGEST = 1 << 20
"""Bytes of an answer at most; a hundred friends take 30 KiB."""
FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    retry_after_s: float | None = None

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The answer as an object; None if it is not one (a proxy's page, half an answer)."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def send_request(
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    token: str | None = None,
    save: Callable[[bytes], object] | None = None,
) -> Reply:
    """Send a request once, over a new connection: an old one may be dead, and the loss of a message would be unclear.

    `save` is called with each piece of the answer as soon as it arrives.

    Raises `NotDelivered` if the request was not sent, `AnswerLost` if that is not known, and `Refused` if `url` is not
    an address.
    """
    import requests

    host = urlsplit(url).netloc
    headers = {**(FORM if form is not None else {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        with requests.request(
            method,
            url,
            data=None if form is None else dict(form),
            params=None if query is None else dict(query),
            headers=headers,
            timeout=TIMEOUT_S,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return Reply(
                answer.status_code, _body(answer, host, save), _retry_after_s(answer.headers.get("Retry-After"))
            )
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
        raise Refused(f"{url}: is not an address. Give services.kakao one like https://kapi.kakao.com.") from None
    except requests.RequestException as error:
        raise _error_for(error, host) from None


def _body(answer: requests.Response, host: str, save: Callable[[bytes], object] | None) -> bytes:
    until_s, body = time.monotonic() + LONGEST_S, b""
    for piece in answer.iter_content(1 << 14):
        if save:
            with suppress(OSError):  # a piece that cannot be saved is still in memory
                save(piece)
        body += piece
        if time.monotonic() > until_s or len(body) > LARGEST:
            raise AnswerLost(f"{host} did not come to the end of its answer")
    return body


def _error_for(error: requests.RequestException, host: str) -> NotDelivered:
    """The exception for one of the library; the text of the library's contains addresses and objects."""
    import requests
    from urllib3.exceptions import MaxRetryError

    if isinstance(error, requests.ConnectTimeout):
        return NotDelivered(f"{host} cannot be reached (no connection within {TIMEOUT_S[0]:.0f} s)")
    if isinstance(error, requests.ConnectionError) and error.args and isinstance(error.args[0], MaxRetryError):
        return NotDelivered(f"{host} cannot be reached ({type(error.args[0].reason).__name__})")
    if isinstance(error, requests.Timeout):
        return AnswerLost(f"{host} did not answer within {TIMEOUT_S[1]:.0f} s")
    return AnswerLost(f"{host} broke off before its answer ({type(error).__name__})")


def _retry_after_s(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None
