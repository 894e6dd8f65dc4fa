"""KakaoTalk's message API, as far as a run needs it: a memo to oneself, a message to friends, and who they are.

https://developers.kakao.com/docs/latest/ko/kakaotalk-message/rest-api
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.kakao.errors import checked
from services.kakao.http import Unanswered, ask

API_URL = "https://kapi.kakao.com"
RECEIVERS = 5
"""Of one call."""
PAGE = 100
PAGES = 100

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Sent:
    """What became of a message to several: success and failure come in one answer, which may leave somebody out."""

    received: tuple[str, ...]
    failed: Mapping[str, int] = field(default_factory=dict)
    """The error code of each uuid that was left out."""


@dataclass(frozen=True)
class Friend:
    uuid: str
    nickname: str
    allows_messages: bool | None
    """None where Kakao does not say."""


class KakaoApi:
    """The calls, each one request. They raise as `services.kakao.errors.checked`, and `NotDelivered` or `Unanswered`
    where there is no answer."""

    def __init__(self, api_url: str, consent_url: str) -> None:
        self.api_url, self.consent_url = api_url.rstrip("/"), consent_url

    def probe(self, token: str) -> None:
        """Ask something that changes nothing: whether the token holds, and whether anybody answers."""
        self._get("/v1/user/access_token_info", {}, token)

    def memo(self, token: str, template: Template) -> None:
        """Write to oneself."""
        answer = self._post("/v2/api/talk/memo/default/send", {"template_object": json.dumps(template)}, token)
        if answer.get("result_code") != 0:
            raise Unanswered(f"KakaoTalk answered with result_code {answer.get('result_code')!r}")

    def send(self, token: str, uuids: Sequence[str], template: Template) -> Sent:
        """Write to up to five friends."""
        form = {"receiver_uuids": json.dumps(list(uuids)), "template_object": json.dumps(template)}
        answer = self._post("/v1/api/talk/friends/message/default/send", form, token)
        reached = answer.get("successful_receiver_uuids")
        if reached is not None and not isinstance(reached, list):
            raise Unanswered("KakaoTalk does not say who got the message")
        return Sent(
            tuple(uuid for uuid in uuids if uuid in (reached or ())), dict(_failures(answer.get("failure_info"), uuids))
        )

    def friends(self, token: str) -> Iterator[Friend]:
        """All friends that use the app and agreed to be listed, in order of their nicknames."""
        query = {"offset": "0", "limit": str(PAGE), "order": "asc", "friend_order": "nickname"}
        for _ in range(PAGES):
            answer = self._get("/v1/api/talk/friends", query, token)
            yield from _friends(answer.get("elements"))
            after = answer.get("after_url")
            if not isinstance(after, str):
                return
            # Only its query counts: the token goes to no other host than the one that is configured.
            query = dict(parse_qsl(urlsplit(after).query))

    def _get(self, path: str, query: Mapping[str, str], token: str) -> dict[str, Any]:
        return checked(ask("GET", self.api_url + path, query=query, token=token), self.consent_url)

    def _post(self, path: str, form: Mapping[str, str], token: str) -> dict[str, Any]:
        return checked(ask("POST", self.api_url + path, form=form, token=token), self.consent_url)


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
