"""Kakao's login: the address that a person opens once, and the request for tokens, whose answer cannot get lost.

The answer is saved on disk as it arrives, until its tokens are in the `.env`; if a process is killed meanwhile, the
next one takes the tokens from the file. https://developers.kakao.com/docs/latest/ko/kakaologin/rest-api
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from services.channel import NotDelivered, Refused
from services.env_file import PRIVATE
from services.http import Reply, describe_answer, send_request
from utils.errors import UserError
from utils.redact import redact

AUTH_URL = "https://kauth.kakao.com"
SCOPES = "talk_message,friends"
TOO_MANY_S = 600.0
"""The pause after too many requests: Kakao issues 20 access tokens in 10 minutes at most."""
LOGIN = "Log in: python -m services.kakao login"
RESERVED = 1 << 14
"""Bytes reserved for an answer before the request, so that a full disk cannot lose the token."""

REFUSALS = {
    "KOE322": f"KAKAO_REFRESH_TOKEN is out of date (it lives two months, or until a newer one is issued). {LOGIN}",
    "KOE320": f"Kakao's code has been used before or is out of date; it serves once, for a few minutes. {LOGIN}",
    "KOE303": "The redirect URI is not the one that the code was made for. Give --redirect-uri as with the first step.",
    "KOE006": "The redirect URI is not registered. Add it on developers.kakao.com, under Kakao Login.",
    "KOE010": "KAKAO_CLIENT_SECRET is missing or wrong. Copy it from developers.kakao.com, or switch it off there.",
    "KOE101": "KAKAO_REST_API_KEY is not a key that Kakao knows. Copy the REST API key of your app.",
    "KOE009": "KAKAO_REST_API_KEY is a key of another kind. Copy the REST API key of your app.",
}


@dataclass(frozen=True)
class IssuedTokens:
    """Tokens that Kakao has issued; there is a refresh token only in the last month of the old one."""

    access_token: str | None
    lives_s: float
    refresh_token: str | None


def authorize_url(auth_url: str, redirect_uri: str, rest_api_key: str) -> str:
    """The address at which a person gives the app its permissions; the browser ends at `redirect_uri?code=…`."""
    asked = {"client_id": rest_api_key, "redirect_uri": redirect_uri, "response_type": "code", "scope": SCOPES}
    return f"{auth_url.rstrip('/')}/oauth/authorize?{urlencode(asked, safe=',<>:/')}"


def consent_url(auth_url: str) -> str:
    """The same address without the key, so that any message may show it."""
    return authorize_url(auth_url, "<redirect URI>", "<KAKAO_REST_API_KEY>").replace("+", " ")


def ask_for_tokens(auth_url: str, form: Mapping[str, str], save: Callable[[bytes], object]) -> Reply:
    """Send the request for tokens, which may invalidate the old refresh token; `issued_tokens` reads the answer."""
    return send_request("POST", f"{auth_url.rstrip('/')}/oauth/token", form=form, save=save, name="Kakao's login")


def issued_tokens(reply: Reply) -> IssuedTokens:
    """The tokens in an answer. Raises `NotDelivered` or `Refused` if there are none."""
    found = reply.json or {}
    if reply.status != 200:
        raise _failure(reply, str(found.get("error_code") or ""), str(found.get("error_description") or ""))
    lives_s = found.get("expires_in")
    access, refresh = (
        token if isinstance(token, str) and token else None
        for token in (found.get("access_token"), found.get("refresh_token"))
    )
    if not isinstance(lives_s, (int, float)) or lives_s <= 0:
        access, lives_s = None, 0.0
    if access is None and refresh is None:
        raise NotDelivered("Kakao's login answered with something that holds no token")
    return IssuedTokens(access, float(lives_s), refresh)


def _failure(reply: Reply, code: str, description: str) -> Exception:
    if code in REFUSALS:
        return Refused(REFUSALS[code])
    if code == "KOE237":
        return NotDelivered("Kakao's login was asked for too many tokens (KOE237)", TOO_MANY_S)
    if code == "KOE003" or reply.status >= 500 or reply.status == 429 or not code:
        said = f"answered {reply.status} {code}" if code else describe_answer(reply.status, reply.headers)
        return NotDelivered(f"Kakao's login {said}", reply.retry_after_s)
    return Refused(f"Kakao's login refused: {redact(description)[:200]} ({code}). {LOGIN}")


@contextmanager
def saved_answer(path: Path, asked_s: float) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes pieces of an answer to reserved space of a file, below the time of the request.

    The file is deleted if no answer arrives. Raises `UserError` if there is no space.
    """
    descriptor = _opened(path)
    try:
        os.write(descriptor, f"{asked_s}\n".encode())
        yield partial(os.write, descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def left_answer(path: Path) -> tuple[float, bytes] | None:
    """The time of a killed process's request and the answer to it; None if there is no such answer."""
    try:
        asked_s, _, body = path.read_bytes().rstrip(b"\0").partition(b"\n")
        return (float(asked_s), body) if body else None
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Mend or remove it.") from error


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}), so no token was asked for. Mend the folder."
        ) from error
    try:
        os.posix_fallocate(descriptor, 0, RESERVED)
    except OSError as error:  # a file system that cannot reserve space is no fault: the answer has a few hundred bytes
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            os.close(descriptor)
            raise UserError(f"{path}: the disk is full, so no token was asked for. Free space.") from error
    return descriptor
