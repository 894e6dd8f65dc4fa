"""The HTTP client of Google Sheets: gspread's client with time limits and a limited number of retries.

gspread's own client has no time limit, and its retrying client never stops. This module is imported at the first
connection, because it imports gspread, google-auth and requests.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from gspread.http_client import HTTPClient
from requests.auth import AuthBase
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

from services.channel import NotDelivered, Refused
from services.sheets.account import ANOTHER_KEY, BASE_URL, KEY_FILE
from services.sheets.errors import Rejected

CONNECT_S = 3.05
READ_S = 10.0
DEADLINE_S = 15.0
"""The limit of one call with all its tries."""
TRIES = 4
FIRST_PAUSE_S = 0.5
"""Doubled after each try, and multiplied by a random factor, so that servers do not retry at the same moment."""
QUOTA_S = 60.0
"""Google counts requests by the minute. https://developers.google.com/sheets/api/limits"""
AGAIN = (408, 429, 500, 502, 503, 504)
SCOPE = "https://www.googleapis.com/auth/spreadsheets"


def client_for(path: Path, info: Mapping[str, Any], *, base_url: str, readonly: bool) -> TimeLimitedClient:
    """A client that signs in with the key `info` from the file `path`. Raises `Refused` if the key is malformed."""
    scopes = [f"{SCOPE}.readonly" if readonly else SCOPE]
    try:
        credentials = Credentials.from_service_account_info(info, scopes=scopes)  # type: ignore[no-untyped-call]
    except (ValueError, GoogleAuthError) as error:
        raise Refused(f"{path} ({KEY_FILE}): its private key cannot be read. {ANOTHER_KEY}") from error
    return TimeLimitedClient(credentials, path, base_url)


class AttemptFailed(Exception):
    """One try of a request failed, and another one may succeed.

    `may_have_effect`: the request may have taken effect nevertheless. `wait_s`: seconds until the next try makes sense.
    `over_quota`: there were too many requests in this minute.
    """

    def __init__(
        self, why: str, *, may_have_effect: bool, wait_s: float | None = None, over_quota: bool = False
    ) -> None:
        super().__init__(why)
        self.may_have_effect, self.wait_s, self.over_quota = may_have_effect, wait_s, over_quota

    @property
    def retry_after_s(self) -> float | None:
        """Seconds until the next call makes sense; about a minute if a quota is used up and Google gives no time."""
        return random.uniform(0.5, 1.5) * QUOTA_S if self.over_quota and self.wait_s is None else self.wait_s


class TimeLimitedClient(HTTPClient):
    """gspread's client with calls of `DEADLINE_S` at most. Answers are JSON objects, failures `NotDelivered` or
    `Refused`."""

    def __init__(self, credentials: Credentials, path: Path, base_url: str = BASE_URL) -> None:
        super().__init__(auth=None, session=requests.Session())  # type: ignore[arg-type]  # its Client passes None too
        self.credentials, self.path = credentials, path
        self.base_url = base_url.rstrip("/")
        self.session.auth = Bearer(credentials)
        self.ask_for_token = Request(requests.Session())
        self.until_s = 0.0

    def request(  # type: ignore[override]  # gspread's helpers call it in this way alone
        self, method: str, endpoint: str, params: Any = None, data: Any = None, json: Any = None, **_: Any
    ) -> requests.Response:
        """Send one request, several times if needed. An `:append` is repeated only if it had no effect for certain."""
        url = endpoint.replace(BASE_URL, self.base_url, 1)
        repeatable = not endpoint.endswith(":append")
        self.until_s = time.monotonic() + DEADLINE_S
        tried = 0
        while True:
            tried += 1
            try:
                return self._try(partial(self.session.request, method, url, params=params, json=json))
            except AttemptFailed as error:
                pause_s = max(_pause_s(tried), error.wait_s or 0.0)
                is_last = tried == TRIES or time.monotonic() + pause_s > self.until_s
                if is_last or (error.may_have_effect and not repeatable):
                    raise NotDelivered(f"{self.host}: {error}", error.retry_after_s) from None
                time.sleep(pause_s)

    @property
    def host(self) -> str:
        """The service's name for messages; of an address its host alone."""
        return "Google Sheets" if self.base_url == BASE_URL else f"Google Sheets at {urlsplit(self.base_url).hostname}"

    def _try(self, send: Any) -> requests.Response:
        """Sign in and send once. Raises `AttemptFailed` if another try may succeed, else `Refused`."""
        self._sign_in()
        response = self._send(send)
        if response.status_code == 401:  # the token was revoked before it expired
            self.credentials.token = None
            self._sign_in()
            response = self._send(send)
        return self._checked(response)

    def _sign_in(self) -> None:
        if self.credentials.valid:
            return
        try:
            self.credentials.refresh(self._ask_in_time)  # type: ignore[no-untyped-call]
        except RefreshError as error:
            raise self._not_signed_in(error) from None
        except (TransportError, requests.RequestException) as error:
            raise AttemptFailed(f"no access token ({_cause(error)})", may_have_effect=False) from None

    def _ask_in_time(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request of google-auth, which tries a few times, within the deadline of the call."""
        return self.ask_for_token(*args, **{**kwargs, "timeout": self._timeout()})

    def _not_signed_in(self, error: RefreshError) -> AttemptFailed | Refused:
        """The exception for an answer of Google's token server: the key is wrong, or the fault may be temporary."""
        answer = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
        fault = str(answer.get("error", ""))
        if fault.startswith(("invalid_", "unauthorized_", "access_denied", "disabled_")):
            said = f"{fault}: {answer.get('error_description', '')}".strip(": ")
            return Refused(f"{self.path} ({KEY_FILE}): Google does not accept this key ({said}). {ANOTHER_KEY}")
        return AttemptFailed("the token server gave no access token", may_have_effect=False)

    def _send(self, send: Any) -> requests.Response:
        try:
            response: requests.Response = send(timeout=self._timeout())
        except (MissingSchema, InvalidSchema, InvalidURL) as error:
            raise Refused("services.sheets.base_url: no address. Write one such as http://10.0.0.5:8080.") from error
        except requests.RequestException as error:
            unheard = isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in repr(error)
            raise AttemptFailed(f"no answer ({_cause(error)})", may_have_effect=not unheard) from None
        except TransportError as error:
            raise AttemptFailed(str(error), may_have_effect=False) from None
        return response

    def _timeout(self) -> tuple[float, float]:
        """Seconds to connect and to read, limited by the call's deadline."""
        left_s = self.until_s - time.monotonic()
        if left_s <= 0:
            raise TransportError("no time left")  # type: ignore[no-untyped-call]
        return min(CONNECT_S, left_s), min(READ_S, left_s)

    def _checked(self, response: requests.Response) -> requests.Response:
        """Return a successful answer; raise `AttemptFailed` or `Refused` for any other."""
        status, body = response.status_code, _json_of(response)
        if response.ok:
            if body is None:
                raise AttemptFailed("an answer that is no JSON", may_have_effect=True)
            return response
        if status in AGAIN or status >= 500:
            quota = status == 429
            raise AttemptFailed(
                f"answered {status}", may_have_effect=not quota, wait_s=_retry_after_s(response), over_quota=quota
            )
        raise self._refusal(status, _message_of(body))

    def _refusal(self, status: int, said: str) -> Refused:
        """The exception that says what a person must do about an answer."""
        account = self.credentials.service_account_email
        if status == 400:
            return Rejected(f"Google Sheets rejected a request ({said}). Look at its tabs and protection.")
        if status == 401:
            return Refused(f"{self.path} ({KEY_FILE}): Google does not accept this key. {ANOTHER_KEY}")
        if status == 403 and ("disabled" in said or "has not been used" in said):
            return Refused(f"The Google Sheets API is off in the key's project. Switch it on there ({said[:200]}).")
        if status == 403:
            return Refused(f"The spreadsheet is not shared with {account}. Share it with that address, as an editor.")
        if status == 404:
            return Refused(f"{self.host} knows no such spreadsheet. Give its ID, or its address in the browser.")
        return Refused(f"{self.host} answered {status} ({said}).")


class Bearer(AuthBase):
    """Adds the access token to the header. It is the `auth` of a session, since a line in ~/.netrc would otherwise
    replace the token."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.credentials.token}"
        return request


def _pause_s(tried: int) -> float:
    return float(FIRST_PAUSE_S * 2 ** (tried - 1) * random.uniform(0.5, 1.5))


def _retry_after_s(response: requests.Response) -> float | None:
    header = response.headers.get("Retry-After", "")
    return float(header) if header.isdecimal() else None


def _json_of(response: requests.Response) -> dict[str, Any] | None:
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _message_of(body: Mapping[str, Any] | None) -> str:
    error = body.get("error") if body else None
    return str(error.get("message", "no reason given")) if isinstance(error, dict) else "no reason given"


def _cause(error: BaseException) -> str:
    """The class of the innermost error; its text is not used, because it contains addresses."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    return type(inner).__name__
