"""The HTTP client of Google Sheets: gspread's client, which sends by `services.http_adapter` with a few tries.

gspread's own client has no time limit, and its retrying client never stops. This module is imported at the first
connection, because it imports gspread and google-auth.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from gspread.http_client import HTTPClient

from services.channel import AnswerLost, NotDelivered, Refused
from services.http import LOGIN_PAGE, Reply, describe_answer, repeat
from services.http_adapter import Bearer, Session
from services.sheets.account import ANOTHER_KEY, BASE_URL, KEY_FILE, Rejected
from utils.redact import redact

DEADLINE_S = 15.0
"""The limit of one call with all its tries."""
TRIES = 4
QUOTA_S = 60.0
"""Google counts requests by the minute. https://developers.google.com/sheets/api/limits"""
SCOPE = "https://www.googleapis.com/auth/spreadsheets"


class OverQuota(NotDelivered):
    """There were too many requests in this minute."""


def client_for(path: Path, info: Mapping[str, Any], *, base_url: str, readonly: bool) -> TimeLimitedClient:
    """A client that signs in with the key `info` from the file `path`. Raises `Refused` if the key is malformed."""
    scopes = [f"{SCOPE}.readonly" if readonly else SCOPE]
    try:
        credentials = Credentials.from_service_account_info(info, scopes=scopes)  # type: ignore[no-untyped-call]
    except (ValueError, GoogleAuthError) as error:
        raise Refused(f"{path} ({KEY_FILE}): its private key cannot be read. {ANOTHER_KEY}") from error
    return TimeLimitedClient(credentials, path, base_url)


class TimeLimitedClient(HTTPClient):
    """gspread's client with calls of `DEADLINE_S` at most. Answers are JSON objects, failures `NotDelivered` or
    `Refused`."""

    def __init__(self, credentials: Credentials, path: Path, base_url: str = BASE_URL) -> None:
        self.base_url = base_url.rstrip("/")
        is_elsewhere = self.base_url != BASE_URL
        self.host = f"Google Sheets at {urlsplit(self.base_url).hostname}" if is_elsewhere else "Google Sheets"
        super().__init__(auth=None, session=Session(self.host))  # type: ignore[arg-type]  # its Client passes None too
        self.credentials, self.path = credentials, path
        self.session.auth = Bearer(lambda: credentials.token)
        self.token_request = Request(Session("Google's token server"))
        self.until_s = 0.0

    def request(  # type: ignore[override]  # gspread's helpers call it in this way alone
        self, method: str, endpoint: str, params: Any = None, data: Any = None, json: Any = None, **_: Any
    ) -> requests.Response:
        """Send one request, several times if needed. An `:append` is repeated only if it had no effect for certain."""
        url = endpoint.replace(BASE_URL, self.base_url, 1)
        self.until_s = time.monotonic() + DEADLINE_S
        send = partial(self.session.request, method, url, params=params, json=json)
        try:
            is_safe = not endpoint.endswith(":append")
            return repeat(lambda: self._try(send), tries=TRIES, within_s=DEADLINE_S, is_safe=is_safe)
        except OverQuota as error:
            # Google seldom says how long to wait; about a minute later another one is counted.
            raise NotDelivered(str(error), error.retry_after_s or random.uniform(0.5, 1.5) * QUOTA_S) from None

    def _try(self, send: Callable[..., requests.Response]) -> requests.Response:
        """Sign in and send once."""
        self._sign_in()
        response = send(timeout=self._left_s)
        if response.status_code == 401:  # the token was revoked before it expired
            self.credentials.token = None
            self._sign_in()
            response = send(timeout=self._left_s)
        return self._checked(response)

    @property
    def _left_s(self) -> float:
        return max(self.until_s - time.monotonic(), 0.001)

    def _ask_for_token(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request to the token server; google-auth may send several."""
        return self.token_request(*args, **{**kwargs, "timeout": self._left_s})

    def _sign_in(self) -> None:
        if self.credentials.valid:
            return
        try:
            refresh: Any = self.credentials.refresh
            refresh(self._ask_for_token)
        except RefreshError as error:
            raise self._not_signed_in(error) from None
        except AnswerLost as error:  # nothing was sent to the spreadsheet
            raise NotDelivered(f"{self.host}: no access token; {error}") from None
        except (GoogleAuthError, ValueError, TypeError, LookupError):  # google-auth does not check what answers
            said = f"what answers sends none. Does a proxy answer, or {LOGIN_PAGE}?"
            raise NotDelivered(f"{self.host}: no access token; {said}") from None

    def _not_signed_in(self, error: RefreshError) -> Exception:
        """The exception for an answer of Google's token server: the key is wrong, or the fault may be temporary."""
        answer = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
        fault = str(answer.get("error", ""))
        if fault.startswith(("invalid_", "unauthorized_", "access_denied", "disabled_")):
            said = f"{fault}: {answer.get('error_description', '')}".strip(": ")
            return Refused(f"{self.path} ({KEY_FILE}): Google does not accept this key ({said}). {ANOTHER_KEY}")
        return NotDelivered(f"{self.host}: no access token; the token server does not say why. Does a proxy answer?")

    def _checked(self, response: requests.Response) -> requests.Response:
        """Return a successful answer; raise an exception for any other."""
        reply = Reply(response.status_code, response.content, response.headers)
        status, body, wait_s = reply.status, reply.json, reply.retry_after_s
        said = f"{self.host} {describe_answer(status, reply.headers)}"
        if status in (408, 429) or status >= 500:
            raise (OverQuota if status == 429 else AnswerLost)(said, wait_s)
        if status != 200:
            raise NotDelivered(said, wait_s) if not body or "error" not in body else self._refusal(status, body)
        if body is None:
            raise AnswerLost(said)
        return response

    def _refusal(self, status: int, body: Mapping[str, Any]) -> Refused:
        """The exception that says what Google said, and what a person can do."""
        said = _message_of(body)
        answer = f'{self.host} says: "{said}" ({status}).'
        if status == 400 and "not supported for this document" in said:
            return Refused(
                f"{answer} An Excel file must become a Google sheet first (File, Save as Google Sheets); give the "
                "address of that."
            )
        if status == 400:
            return Rejected(f"{answer} Look at the tab and its protected ranges.")
        if status == 401:
            return Refused(f"{self.path} ({KEY_FILE}): Google does not accept this key. {answer} {ANOTHER_KEY}")
        if status == 403 and ("disabled" in said or "has not been used" in said):
            return Refused(f"{answer} Switch the Google Sheets API on in the key's project.")
        if status == 403:
            account = self.credentials.service_account_email
            return Refused(f"{answer} Is the spreadsheet shared with {account}, as an editor?")
        if status == 404:
            return Refused(f"{answer} Give the spreadsheet's ID, or its address in the browser.")
        return Refused(f"{answer} services.sheets.base_url: is that Google Sheets?")


def _message_of(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    return redact(str(error.get("message", "no reason given")))[:300] if isinstance(error, dict) else "no reason given"
