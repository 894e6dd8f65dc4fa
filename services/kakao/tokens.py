"""The Kakao tokens of this host: they are in its `.env`, are renewed in time, and survive a kill at any moment.

Kakao issues a new refresh token in the old one's last month, and the old one is invalid from then on. So one process at
a time renews, and its answer is on disk (`.env.renewal`, 0600) before it is used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from services.channel import AnswerLost, NotDelivered, Refused
from services.env_file import WAIT_S, env_lock, write_env
from services.http import Reply
from services.kakao.renewal import (
    AUTH_URL,
    LOGIN,
    IssuedTokens,
    ask_for_tokens,
    issued_tokens,
    left_answer,
    saved_answer,
)
from services.secrets import EXPIRES_AT, Secrets
from utils.errors import UserError
from utils.redact import add_secrets
from utils.system.signals import signals_held_back

ACCESS, REFRESH = "KAKAO_ACCESS_TOKEN", "KAKAO_REFRESH_TOKEN"
KEY, CLIENT_SECRET = "KAKAO_REST_API_KEY", "KAKAO_CLIENT_SECRET"
MARGIN_S = 3 * 3600.0
"""A token lives 6 h. If it is checked every hour and renewed with less than this left, it never expires."""

WAYS_OUT = {
    KEY: "Copy the REST API key of your app from developers.kakao.com.",
    REFRESH: f"{LOGIN}; only one host needs it, the others pull their access token from the sheet.",
}


Result = TypeVar("Result")


class TokenRejected(Exception):
    """The access token is invalid or has expired. Nothing was sent."""


@dataclass(frozen=True)
class AccessToken:
    value: str
    expires_at_s: float
    """Unix time; infinite if it is not known."""
    renewed: bool = False
    """Whether this call has renewed it."""


class Tokens:
    """The tokens of one Kakao user in one `.env` file."""

    def __init__(
        self,
        secrets: Secrets,
        auth_url: str = AUTH_URL,
        *,
        now: Callable[[], float] = time.time,
        wait_s: float = WAIT_S,
    ) -> None:
        self.secrets, self.auth_url, self.now, self.wait_s = secrets, auth_url, now, wait_s
        self.env_file = secrets.env_file.resolve()
        self.answer = self.env_file.with_name(f"{self.env_file.name}.renewal")
        """The file of an answer whose tokens are not in the `.env` yet. Only for who holds the lock of that."""
        secrets.export()

    @property
    def can_renew(self) -> bool:
        """Whether this host has a refresh token and a key; other hosts get their access tokens from the sheet."""
        return bool(self.secrets.newest(REFRESH) and self.secrets.get(KEY))

    @property
    def access_token(self) -> AccessToken | None:
        """The newest access token on this host; it may have expired."""
        value, expires_at_s = self.secrets.newest(ACCESS), read_time(self.secrets.newest(EXPIRES_AT))
        return None if value is None else AccessToken(value, math.inf if expires_at_s is None else expires_at_s)

    def renew(self, margin_s: float = MARGIN_S, *, refused: str | None = None) -> AccessToken:
        """Return a token that lives longer than the margin and is not the `refused` one; renew it if needed.

        If several processes call this at once, one renews and the others take its token.
        Raises `NotDelivered`, `Refused` and `UserError`.
        """
        with env_lock(self.env_file, self.wait_s):
            self._take_over()
            found = self._stored(margin_s, refused)
            return found or self._exchange({"grant_type": "refresh_token", "refresh_token": self._needed(REFRESH)})

    def first(self, code: str, redirect_uri: str) -> AccessToken:
        """Exchange the code of a login for tokens, which replace the old ones."""
        with env_lock(self.env_file, self.wait_s):
            self._take_over()
            return self._exchange(_of_code(code, redirect_uri))

    def link(self, code: str, redirect_uri: str) -> None:
        """Finish a friend's login, without which Kakao sends them no messages, and store none of their tokens."""
        issued_tokens(ask_for_tokens(self.auth_url, self._signed(_of_code(code, redirect_uri)), lambda piece: None))

    def call(self, call: Callable[[str], Result]) -> Result:
        """Call with a token, and once more with a newer one if the first was rejected; returns what the call returns.

        Raises what the call raises, `NotDelivered` if there is no usable token, and `Refused` if only a person can get
        one. The call raises `TokenRejected` if Kakao rejects the token.
        """
        token = self.access_token
        value = token.value if token else self._newer(None)
        try:
            return call(value)
        except TokenRejected:
            value = self._newer(value)
        try:
            return call(value)
        except TokenRejected as error:
            raise NotDelivered(f"{error}, not even the newest") from error

    def _newer(self, refused: str | None) -> str:
        """Another token than the refused one: from the `.env` if it has changed, else from Kakao."""
        token = self.access_token
        if token and token.value != refused:
            return token.value
        if not self.can_renew and refused is None:
            raise Refused(f"{ACCESS} is not set, neither in the environment nor in {self.env_file}. {LOGIN}")
        if not self.can_renew:
            raise NotDelivered(f"KakaoTalk does not accept {ACCESS}, and this host has no newer one yet")
        try:
            return self.renew(refused=refused).value
        except AnswerLost as error:  # the login's answer is lost, not that of the call
            raise NotDelivered(str(error), error.retry_after_s) from error
        except UserError as error:
            raise NotDelivered(f"the token could not be renewed: {error}") from error

    def _stored(self, margin_s: float, refused: str | None) -> AccessToken | None:
        found = self.access_token
        if found is None or found.value == refused:
            return None
        if refused is None and found.expires_at_s == math.inf:
            return None  # somebody wrote this token into the file, and its expiry is not known
        return found if found.expires_at_s - self.now() >= (margin_s if refused is None else 0.0) else None

    def _exchange(self, form: Mapping[str, str]) -> AccessToken:
        """Request tokens, save the answer, and store them. Only a kill can interrupt this, and it loses no token."""
        signed = self._signed(form)
        with signals_held_back():
            asked_s = self.now()
            with saved_answer(self.answer, asked_s) as save:
                reply = ask_for_tokens(self.auth_url, signed, save)
            return self._adopt(asked_s, reply)

    def _signed(self, form: Mapping[str, str]) -> dict[str, str]:
        secret = self.secrets.get(CLIENT_SECRET)
        return {**form, "client_id": self._needed(KEY), **({"client_secret": secret} if secret else {})}

    def _take_over(self) -> None:
        """Store the tokens of the answer that a killed process left."""
        left = left_answer(self.answer)
        if left is not None:
            with suppress(NotDelivered, Refused):
                self._adopt(left[0], Reply(200, left[1]))

    def _adopt(self, asked_s: float, reply: Reply) -> AccessToken:
        """Write the tokens of an answer to the `.env`, and delete the saved answer after that.

        Raises `NotDelivered` or `Refused` if it has no access token.
        """
        try:
            found = issued_tokens(reply)
            self._store(found, asked_s)
        except (NotDelivered, Refused):
            self.answer.unlink(missing_ok=True)
            raise
        self.answer.unlink(missing_ok=True)
        if found.access_token is None:
            raise NotDelivered("Kakao's login answered without an access token")
        return AccessToken(found.access_token, asked_s + found.lives_s, renewed=True)

    def _store(self, found: IssuedTokens, asked_s: float) -> None:
        """Write issued tokens to the `.env`. Without a new refresh token the old one stays, which is still valid."""
        add_secrets(token for token in (found.access_token, found.refresh_token) if token)
        values = {REFRESH: found.refresh_token} if found.refresh_token else {}
        if found.access_token:
            values |= {ACCESS: found.access_token, EXPIRES_AT: write_time(asked_s + found.lives_s)}
        write_env(self.env_file, values)

    def _needed(self, name: str) -> str:
        value = self.secrets.newest(name) if name == REFRESH else self.secrets.get(name)
        if value is None:
            raise Refused(f"{name} is not set, neither in the environment nor in {self.env_file}. {WAYS_OUT[name]}")
        return value


def write_time(time_s: float) -> str:
    """Unix seconds as an ISO 8601 text: `2026-11-21T18:48:55+00:00`."""
    return datetime.fromtimestamp(int(time_s), UTC).isoformat()


def read_time(text: str | None) -> float | None:
    """An ISO 8601 time with its zone, such as `write_time` returns, in Unix seconds; None for any other text."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def _of_code(code: str, redirect_uri: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
