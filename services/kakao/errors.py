"""Kakao's error codes and what to do about them. https://developers.kakao.com/docs/latest/ko/rest-api/error-code"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.channel import AnswerLost, NotDelivered, Refused
from services.kakao.http import Reply

Action = Literal["later", "unsure", "renew", "refuse", "tomorrow", "drop", "drop_today"]
"""`later`: try again. `unsure`: try again, but the request may have taken effect. `renew`: try with a newer token.
`refuse`: a person must fix something. `tomorrow`: the sender's quota of today is used up. `drop`, `drop_today`: send
no more to this receiver."""

PERMISSION = (
    "On developers.kakao.com, switch on the consent item 'Send message in KakaoTalk' (talk_message), for friends also "
    "'friends', and add everybody to the app's team members (docs/services/kakao.md)."
)
LOGIN = "Log in: python -m services.kakao login"


@dataclass(frozen=True)
class Meaning:
    action: Action
    words: str
    """A predicate after "KakaoTalk", for the log and, if the action is `refuse`, for the person who must act."""


CODES: dict[int, Meaning] = {
    -1: Meaning("later", "had an internal error"),
    -2: Meaning("refuse", "calls the request wrong. Look at services.kakao.friends and services.kakao.link_url."),
    -3: Meaning("refuse", f"says that the app may not send messages. {PERMISSION}"),
    -4: Meaning("refuse", "has restricted this account. Look at the account's messages from Kakao."),
    -5: Meaning("refuse", f"says that the app has no permission for this. {PERMISSION}"),
    -6: Meaning("refuse", f"does not allow this. {PERMISSION}"),
    -7: Meaning("later", "is under maintenance"),
    -9798: Meaning("later", "is under maintenance"),
    -10: Meaning("tomorrow", "says that the app's quota is used up"),
    -11: Meaning("refuse", "says that the paid quota is used up. Raise it on developers.kakao.com."),
    -101: Meaning("refuse", f"says that the account is not linked to the app. {LOGIN}"),
    -103: Meaning("refuse", f"says that the account is dormant. Wake it in KakaoTalk. {LOGIN}"),
    -401: Meaning("renew", "does not accept the access token"),
    -402: Meaning("refuse", "lacks your consent for this."),
    -501: Meaning("drop", "has no such user"),
    -502: Meaning("drop", "says that this is no friend of the sender"),
    -530: Meaning("drop", "says that the receiver blocks messages of this app"),
    -531: Meaning("tomorrow", "says that the sender's monthly quota is used up"),
    -532: Meaning("tomorrow", "says that the sender's daily quota is used up"),
    -533: Meaning("drop_today", "says that the receiver's daily quota is used up"),
    -536: Meaning("drop_today", "says that today's quota between sender and receiver is used up"),
    -603: Meaning("unsure", "timed out inside"),
}
UNKNOWN = Meaning("refuse", "refused the request; developers.kakao.com explains its code.")


class TokenRejected(Exception):
    """The access token is invalid or has expired. Nothing was sent."""


class QuotaExhausted(NotDelivered):
    """The sender has used up a quota; `retry_after_s` is set if the end of the day is known."""


class ReceiverUnreachable(Exception):
    """A receiver cannot be reached, today or ever, as `code` says. Nothing was sent to anybody."""

    def __init__(self, code: int) -> None:
        super().__init__(meaning_of(code).words)
        self.code = code


def meaning_of(code: int) -> Meaning:
    return CODES.get(code, UNKNOWN)


def checked_values(reply: Reply, consent_url: str) -> dict[str, object]:
    """The values of a successful answer.

    Raises `NotDelivered`, `AnswerLost`, `Refused`, `TokenRejected`, `QuotaExhausted` or `ReceiverUnreachable` for any
    other answer.
    """
    found = reply.json
    if reply.status == 200:
        if found is None:
            raise AnswerLost("KakaoTalk answered with something that is not JSON")
        return found
    code = found.get("code") if found else None
    if found is None or not isinstance(code, int):
        raise NotDelivered(f"KakaoTalk answered {reply.status}", reply.retry_after_s)
    raise _failure(code, str(found.get("msg") or ""), reply, consent_url)


def _failure(code: int, message: str, reply: Reply, consent_url: str) -> Exception:
    """The exception for an error code."""
    meaning = CODES.get(code)
    if meaning is None and (reply.status >= 500 or reply.status == 429):
        meaning = Meaning("later", f"answered {reply.status}")
    meaning = meaning or UNKNOWN
    words = f"KakaoTalk {meaning.words}"
    if meaning.action == "renew":
        return TokenRejected(words)
    if meaning.action in ("drop", "drop_today"):
        return ReceiverUnreachable(code)
    if meaning.action == "tomorrow":
        return QuotaExhausted(f"{words} ({code})")
    if meaning.action == "refuse":
        return Refused(_sentence(code, words, message, consent_url))
    return (AnswerLost if meaning.action == "unsure" else NotDelivered)(f"{words} ({code})", reply.retry_after_s)


def _sentence(code: int, words: str, message: str, consent_url: str) -> str:
    """The sentence for a person: what is wrong, and how to fix it."""
    if code == -402:
        return f"{words} Open {consent_url} (python -m services.kakao login prints it filled in) and agree to it."
    if code == -2 and "identical to the sender" in message:
        return "services.kakao.friends holds your own uuid; remove it, services.kakao.to_me already writes to you."
    return f"{words} It said: {message[:200]} ({code})."
