"""Calls that need an access token: with the newest of this host, and with a newer one once Kakao refuses that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.channel import NotDelivered, Refused
from services.kakao.errors import LOGIN, OutOfDate
from services.kakao.http import Unanswered
from services.kakao.tokens import ACCESS, Tokens
from utils.errors import UserError

Result = TypeVar("Result")


class Authorized:
    """Hands a token to calls. Nothing is asked before the first."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def call(self, call: Callable[[str], Result]) -> Result:
        """What the call returns and raises; where it is told that its token is out of date, it is called once more.

        Raises `NotDelivered` where there is no token that will do, and `Refused` where only a person can get one.
        """
        token = self.tokens.access_token
        value = token.value if token else self._newer(None)
        try:
            return call(value)
        except OutOfDate:
            value = self._newer(value)
        try:
            return call(value)
        except OutOfDate as error:
            raise NotDelivered(f"{error}, not even the newest") from error

    def _newer(self, refused: str | None) -> str:
        """Another token: from the `.env` where somebody has put one there meanwhile, else from Kakao."""
        token = self.tokens.access_token
        if token and token.value != refused:
            return token.value
        if not self.tokens.can_renew and refused is None:
            raise Refused(f"{ACCESS} is not set, neither in the environment nor in {self.tokens.env_file}. {LOGIN}")
        if not self.tokens.can_renew:
            raise NotDelivered(f"KakaoTalk does not accept {ACCESS}, and this host has no newer one yet")
        try:
            return self.tokens.renew(refused=refused).value
        except Unanswered as error:  # the login's answer is lost, not that of the call
            raise NotDelivered(str(error), error.retry_after_s) from error
        except UserError as error:
            raise NotDelivered(f"the token could not be renewed: {error}") from error
