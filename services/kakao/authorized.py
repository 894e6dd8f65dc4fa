"""Make calls that need an access token: with the newest of this host, and with a newer one if Kakao rejects that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.channel import AnswerLost, NotDelivered, Refused
from services.kakao.errors import LOGIN, TokenRejected
from services.kakao.tokens import ACCESS, Tokens
from utils.errors import UserError

Result = TypeVar("Result")


class AuthorizedCaller:
    """Makes calls with an access token, which is read at the first call."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def call(self, call: Callable[[str], Result]) -> Result:
        """Call with a token, and once more with a newer one if the first was rejected; returns what the call returns.

        Raises what the call raises, `NotDelivered` if there is no usable token, and `Refused` if only a person can get
        one.
        """
        token = self.tokens.access_token
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
        token = self.tokens.access_token
        if token and token.value != refused:
            return token.value
        if not self.tokens.can_renew and refused is None:
            raise Refused(f"{ACCESS} is not set, neither in the environment nor in {self.tokens.env_file}. {LOGIN}")
        if not self.tokens.can_renew:
            raise NotDelivered(f"KakaoTalk does not accept {ACCESS}, and this host has no newer one yet")
        try:
            return self.tokens.renew(refused=refused).value
        except AnswerLost as error:  # the login's answer is lost, not that of the call
            raise NotDelivered(str(error), error.retry_after_s) from error
        except UserError as error:
            raise NotDelivered(f"the token could not be renewed: {error}") from error
