"""The part of KakaoTalk's message API that a run needs: a memo to oneself, a message to friends, the list of friends.

https://developers.kakao.com/docs/latest/ko/kakaotalk-message/rest-api
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.channel import AnswerLost
from services.kakao.errors import checked_values
from services.kakao.http import send_request

API_URL = "https://kapi.kakao.com"
RECEIVERS = 5
"""Receivers of one call at most."""
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

    They raise as `services.kakao.errors.checked_values`, and `NotDelivered` or `AnswerLost` if there is no answer.
    """

    def __init__(self, api_url: str, consent_url: str) -> None:
        self.api_url, self.consent_url = api_url.rstrip("/"), consent_url

    def probe(self, token: str) -> None:
        """Make a request that changes nothing, to check the token and the connection."""
        self._get("/v1/user/access_token_info", {}, token)

    def memo(self, token: str, template: Template) -> None:
        """Send a message to oneself."""
        answer = self._post("/v2/api/talk/memo/default/send", {"template_object": json.dumps(template)}, token)
        if answer.get("result_code") != 0:
            raise AnswerLost(f"KakaoTalk answered with result_code {answer.get('result_code')!r}")

    def send(self, token: str, uuids: Sequence[str], template: Template) -> SendResult:
        """Send a message to up to `RECEIVERS` friends."""
        form = {"receiver_uuids": json.dumps(list(uuids)), "template_object": json.dumps(template)}
        answer = self._post("/v1/api/talk/friends/message/default/send", form, token)
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
            answer = self._get("/v1/api/talk/friends", query, token)
            yield from _friends(answer.get("elements"))
            after = answer.get("after_url")
            if not isinstance(after, str):
                return
            # Only its query is used: the token is sent to no other host than the configured one.
            query = dict(parse_qsl(urlsplit(after).query))

    def _get(self, path: str, query: Mapping[str, str], token: str) -> dict[str, Any]:
        return checked_values(send_request("GET", self.api_url + path, query=query, token=token), self.consent_url)

    def _post(self, path: str, form: Mapping[str, str], token: str) -> dict[str, Any]:
        return checked_values(send_request("POST", self.api_url + path, form=form, token=token), self.consent_url)


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
