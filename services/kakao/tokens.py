"""The Kakao tokens of this host: they lie in its `.env`, are renewed in time, and a kill at any moment loses none.

Kakao issues a new refresh token in the old one's last month, and the old one is dead from then on. So one process at a
time renews, and its answer is on disk (`.env.renewal`, 0600) before anybody looks into it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from services.channel import NotDelivered, Refused
from services.env_file import WAIT_S, env_lock, write_env
from services.kakao.errors import LOGIN
from services.kakao.http import Reply
from services.kakao.oauth import AUTH_URL, Issued, ask_for_tokens, issued
from services.kakao.renewal import Renewal, undisturbed
from services.secrets import Secrets
from utils.redact import add_secrets

ACCESS, REFRESH, EXPIRES_AT = "KAKAO_ACCESS_TOKEN", "KAKAO_REFRESH_TOKEN", "KAKAO_ACCESS_TOKEN_EXPIRES_AT"
KEY, CLIENT_SECRET = "KAKAO_REST_API_KEY", "KAKAO_CLIENT_SECRET"
MARGIN_S = 3 * 3600.0
"""A token lives 6 h: renewed with less than this left, one that is looked after every hour never runs out."""

WAYS_OUT = {
    KEY: "Copy the REST API key of your app from developers.kakao.com.",
    REFRESH: f"{LOGIN}; only one host needs it, the others pull their access token from the sheet.",
}


@dataclass(frozen=True)
class AccessToken:
    value: str
    expires_at_s: float
    """Unix time; infinite where nothing says when."""
    renewed: bool = False
    """Whether it was issued just now."""


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
        self.renewal = Renewal(self.env_file)

    @property
    def can_renew(self) -> bool:
        """Whether this host holds what it takes; others are given their access tokens through the sheet."""
        return bool(self.secrets.newest(REFRESH) and self.secrets.get(KEY))

    @property
    def access_token(self) -> AccessToken | None:
        """The newest one on this host; it may have run out."""
        value, expires_at_s = self.secrets.newest(ACCESS), read_time(self.secrets.newest(EXPIRES_AT))
        return None if value is None else AccessToken(value, math.inf if expires_at_s is None else expires_at_s)

    def renew(self, margin_s: float = MARGIN_S, *, refused: str | None = None) -> AccessToken:
        """A token with more than the margin left to live, other than the `refused` one; asks Kakao where need be.

        Of several at once one asks, and the others take its token. Raises `NotDelivered`, `Refused` and `UserError`.
        """
        with env_lock(self.env_file, self.wait_s):
            self._take_over()
            found = self._stored(margin_s, refused)
            return found or self._exchange({"grant_type": "refresh_token", "refresh_token": self._needed(REFRESH)})

    def first(self, code: str, redirect_uri: str) -> AccessToken:
        """Exchange the code of a login for tokens, which replace what was there. Raises as `renew`."""
        with env_lock(self.env_file, self.wait_s):
            self._take_over()
            return self._exchange(_of_code(code, redirect_uri))

    def link(self, code: str, redirect_uri: str) -> None:
        """Finish a friend's login, as Kakao asks before the friend can be written to, and keep none of their tokens."""
        issued(ask_for_tokens(self.auth_url, self._signed(_of_code(code, redirect_uri)), lambda piece: None))

    def _stored(self, margin_s: float, refused: str | None) -> AccessToken | None:
        found = self.access_token
        if found is None or found.value == refused:
            return None
        if refused is None and found.expires_at_s == math.inf:
            return None  # a token that was put there by hand: nobody knows how long it will do
        return found if found.expires_at_s - self.now() >= (margin_s if refused is None else 0.0) else None

    def _exchange(self, form: Mapping[str, str]) -> AccessToken:
        """Ask, keep the answer, adopt it: once it has begun, only a kill can stop it, and that loses nothing."""
        signed = self._signed(form)
        with undisturbed():
            asked_s = self.now()
            with self.renewal.prepared(asked_s) as keep:
                reply = ask_for_tokens(self.auth_url, signed, keep)
            return self._adopt(asked_s, reply)

    def _signed(self, form: Mapping[str, str]) -> dict[str, str]:
        secret = self.secrets.get(CLIENT_SECRET)
        return {**form, "client_id": self._needed(KEY), **({"client_secret": secret} if secret else {})}

    def _take_over(self) -> None:
        """Adopt the answer that a killed process left."""
        left = self.renewal.left()
        if left is not None:
            with suppress(NotDelivered, Refused):
                self._adopt(left[0], Reply(200, left[1]))

    def _adopt(self, asked_s: float, reply: Reply) -> AccessToken:
        """Put into the `.env` what an answer brings; only then is the answer forgotten.

        Raises `NotDelivered` or `Refused` where it brings no access token.
        """
        try:
            found = issued(reply)
            self._store(found, asked_s)
        except (NotDelivered, Refused):
            self.renewal.forget()
            raise
        self.renewal.forget()
        if found.access_token is None:
            raise NotDelivered("Kakao's login answered without an access token")
        return AccessToken(found.access_token, asked_s + found.lives_s, renewed=True)

    def _store(self, found: Issued, asked_s: float) -> None:
        """Write what was issued. A refresh token that did not come leaves the old one, which lives on."""
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
    """Unix seconds as people and programs read them: `2026-11-21T18:48:55+00:00`."""
    return datetime.fromtimestamp(int(time_s), UTC).isoformat()


def read_time(text: str | None) -> float | None:
    """What `write_time` wrote, or another ISO 8601 time with its zone, in Unix seconds; None for anything else."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def fingerprint(token: str) -> str:
    """Eight hexadecimal digits by which two hosts can tell that they mean the same token."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]


def _of_code(code: str, redirect_uri: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
