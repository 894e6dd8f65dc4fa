"""The part of KakaoTalk's message API that a run needs: a memo to oneself, a message to friends, the list of friends.

https://developers.kakao.com/docs/latest/ko/kakaotalk-message/rest-api, error codes: …/ko/rest-api/error-code
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from services.channel import AnswerLost, EventRefused, NotDelivered, Refused
from services.http import Reply, describe_answer, send_request
from services.kakao.renewal import LOGIN
from services.kakao.tokens import TokenRejected
from utils.redact import redact

API_URL = "https://kapi.kakao.com"
RECEIVERS = 5
"""Receivers of one call at most."""
WRONG = -2
"""The code for a request that Kakao does not accept, of whose parameters it names none."""
PAGE = 100
PAGES = 100

Template = Mapping[str, Any]


@dataclass(frozen=True)
class SendResult:
    """The result of a message to several friends. An answer may mention some of them in neither field."""

    received: tuple[str, ...]
    failed: Mapping[str, int] = field(default_factory=dict)
    """The error code of each uuid that was not reached."""


@dataclass(frozen=True)
class Friend:
    uuid: str
    nickname: str
    allows_messages: bool | None
    """None if Kakao does not say."""


class KakaoApi:
    """The calls, each of which is one request.

    They raise as `checked_values`, and `NotDelivered` or `AnswerLost` if there is no answer.
    """

    def __init__(self, api_url: str, consent_url: str) -> None:
        self.api_url, self.consent_url = api_url.rstrip("/"), consent_url

    def probe(self, token: str) -> None:
        """Make a request that changes nothing, to check the token and the connection."""
        self._ask("GET", "/v1/user/access_token_info", token)

    def memo(self, token: str, template: Template) -> None:
        """Send a message to oneself."""
        form = {"template_object": json.dumps(template)}
        code = self._ask("POST", "/v2/api/talk/memo/default/send", token, form=form).get("result_code")
        if code != 0:
            raise AnswerLost(f"KakaoTalk does not say that it sent the memo (result_code {code!r})")

    def send(self, token: str, uuids: Sequence[str], template: Template) -> SendResult:
        """Send a message to up to `RECEIVERS` friends."""
        form = {"receiver_uuids": json.dumps(list(uuids)), "template_object": json.dumps(template)}
        answer = self._ask("POST", "/v1/api/talk/friends/message/default/send", token, form=form)
        reached = answer.get("successful_receiver_uuids")
        if reached is not None and not isinstance(reached, list):
            raise AnswerLost("KakaoTalk does not say who got the message")
        return SendResult(
            tuple(uuid for uuid in uuids if uuid in (reached or ())), dict(_failures(answer.get("failure_info"), uuids))
        )

    def friends(self, token: str) -> Iterator[Friend]:
        """Yield all friends that use the app and agreed to be listed, in order of their nicknames."""
        query = {"offset": "0", "limit": str(PAGE), "order": "asc", "friend_order": "nickname"}
        for _ in range(PAGES):
            answer = self._ask("GET", "/v1/api/talk/friends", token, query=query)
            yield from _friends(answer.get("elements"))
            after = answer.get("after_url")
            if not isinstance(after, str):
                return
            # Only its query is used: the token is sent to no other host than the configured one.
            query = dict(parse_qsl(urlsplit(after).query))

    def _ask(self, method: str, path: str, token: str, **content: Mapping[str, str]) -> dict[str, Any]:
        reply = send_request(method, self.api_url + path, token=token, name="KakaoTalk", **content)  # type: ignore[arg-type]
        return checked_values(reply, self.consent_url)


Action = Literal["later", "unsure", "renew", "refuse", "tomorrow", "drop", "skip"]
"""`later`: try again. `unsure`: try again, but the request may have taken effect. `renew`: try with a newer token.
`refuse`: a person must fix something. `tomorrow`: the sender's quota of today is used up. `drop`, `skip`: send no more
to this receiver in this run, or nothing about this event."""
SEOUL = timezone(timedelta(hours=9))
"""The time zone of Kakao's days; Korea has no summer time."""

PERMISSION = (
    "On developers.kakao.com, switch on the consent item 'Send message in KakaoTalk' (talk_message), for friends also "
    "'friends', and add everybody to the app's team members (docs/services/kakao.md)."
)


CODES: dict[int, tuple[Action, str]] = {
    -1: ("later", "had an internal error"),
    -2: ("drop", "does not accept the request: look at services.kakao.friends and services.kakao.link_url"),
    -3: ("refuse", f"says that the app may not send messages. {PERMISSION}"),
    -4: ("refuse", "has restricted this account. Look at the account's messages from Kakao."),
    -5: ("refuse", f"says that the app has no permission for this. {PERMISSION}"),
    -6: ("refuse", f"does not allow this. {PERMISSION}"),
    -7: ("later", "is under maintenance"),
    -9798: ("later", "is under maintenance"),
    -10: ("tomorrow", "says that the app's quota is used up"),
    -11: ("refuse", "says that the paid quota is used up. Raise it on developers.kakao.com."),
    -101: ("refuse", f"says that the account is not linked to the app. {LOGIN}"),
    -103: ("refuse", f"says that the account is dormant. Wake it in KakaoTalk. {LOGIN}"),
    -401: ("renew", "does not accept the access token"),
    -402: ("refuse", "lacks your consent for this."),
    -501: ("drop", "has no such user"),
    -502: ("drop", "says that this is no friend of the sender"),
    -530: ("drop", "says that the receiver blocks messages of this app"),
    -531: ("tomorrow", "says that the sender's monthly quota is used up"),
    -532: ("tomorrow", "says that the sender's daily quota is used up"),
    -533: ("skip", "says that the receiver's daily quota is used up"),
    -536: ("skip", "says that today's quota between sender and receiver is used up"),
    -603: ("unsure", "timed out inside"),
}
"""By error code what to do, and a predicate after "KakaoTalk" for the log and, if it is `refuse`, for a person."""


class QuotaExhausted(NotDelivered):
    """The sender has used up a quota, until midnight in Korea."""

    def __init__(self, why: str) -> None:
        now = datetime.fromtimestamp(time.time(), SEOUL)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        super().__init__(why, (midnight - now).total_seconds())


class ReceiverUnreachable(Exception):
    """A receiver cannot be reached, as `code` says. Nothing was sent to anybody."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(words_of(code, message))
        self.code = code


def action_of(code: int) -> Action:
    return CODES[code][0] if code in CODES else "later"


def words_of(code: int, message: str = "") -> str:
    """What an error code means, and what Kakao said with it: a predicate after "KakaoTalk"."""
    if code == -2 and "identical to the sender" in message:
        return "says that services.kakao.friends holds your own uuid. Remove it: services.kakao.to_me writes to you"
    words = CODES[code][1] if code in CODES else "refused the request"
    said = f"; it said: {redact(message)[:200]}" if message else ""
    return f"{words}{said} ({code})" if said or not words.endswith(".") else words


def checked_values(reply: Reply, consent_url: str) -> dict[str, Any]:
    """The values of a successful answer.

    Raises `NotDelivered`, `AnswerLost`, `Refused`, `TokenRejected`, `QuotaExhausted` or `ReceiverUnreachable` for any
    other answer.
    """
    found = reply.json
    if reply.status == 200:
        if found is None:
            raise AnswerLost(f"KakaoTalk {describe_answer(reply.status)}")
        return found
    code = found.get("code") if found else None
    if found is None or not isinstance(code, int):
        raise NotDelivered(f"KakaoTalk {describe_answer(reply.status, reply.headers)}", reply.retry_after_s)
    raise _failure(code, str(found.get("msg") or ""), reply, consent_url)


def _failure(code: int, message: str, reply: Reply, consent_url: str) -> Exception:
    """The exception for an error code."""
    if code not in CODES:
        kind = NotDelivered if reply.status >= 500 or reply.status == 429 else EventRefused
        return kind(f"KakaoTalk {words_of(code, message)}", reply.retry_after_s)
    action, words = CODES[code][0], f"KakaoTalk {CODES[code][1]}"
    if action == "renew":
        return TokenRejected(words)
    if action in ("drop", "skip"):
        return ReceiverUnreachable(code, message)
    if action == "tomorrow":
        return QuotaExhausted(f"{words} ({code})")
    if code == -402:
        return Refused(f"{words} Open {consent_url} (python -m services.kakao login prints it filled in) and agree.")
    if action == "refuse":
        return Refused(f"{words} It said: {redact(message)[:200]} ({code}).")
    return (AnswerLost if action == "unsure" else NotDelivered)(f"{words} ({code})", reply.retry_after_s)


def _failures(found: Any, uuids: Sequence[str]) -> Iterator[tuple[str, int]]:
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("code"), int):
            receivers = entry.get("receiver_uuids")
            for uuid in receivers if isinstance(receivers, list) else uuids:
                yield str(uuid), entry["code"]


def _friends(found: Any) -> Iterator[Friend]:
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("uuid"), str):
            yield Friend(entry["uuid"], str(entry.get("profile_nickname") or ""), entry.get("allowed_msg"))
