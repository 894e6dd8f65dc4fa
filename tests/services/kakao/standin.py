"""Kakao as Carpus meets it, by its own rules: tokens that run out and rotate, quotas, consent, error codes."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from tests.standin import Answer, Request, StandIn

HOUR_S, DAY_S = 3600.0, 86400.0
ACCESS_S, REFRESH_S, ROTATES_S = 21599, 5183999, 30 * DAY_S
SCOPES = ("talk_message", "friends")
SEOUL = timezone(timedelta(hours=9))


class Wrong(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.answer = Answer(status, body)


@dataclass
class Buddy:
    """A friend of the sender. `code`: why Kakao does not reach them, as it says so for them alone."""

    uuid: str
    nickname: str
    code: int | None = None


@dataclass
class KakaoStandIn(StandIn):
    """One app and one sender. A test turns `now`, plants friends, withdraws consent, revokes tokens."""

    rest_api_key: str = "the-rest-api-key"
    client_secret: str | None = "the-client-secret"
    redirect_uri: str = "https://localhost"
    friends: list[Buddy] = field(default_factory=list)
    consented: set[str] = field(default_factory=lambda: set(SCOPES))
    whole_call_fails: bool = False
    """Refuse a call because of one receiver instead of naming that one in `failure_info`."""

    def __post_init__(self) -> None:
        super().__init__()
        self.access: dict[str, float] = {}
        self.refresh: dict[str, float] = {}
        self.codes: set[str] = set()
        self.messages: list[tuple[str, str]] = []
        """Who got which text, `me` for a memo."""
        self.templates: list[dict[str, Any]] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.numbers = itertools.count(1)
        self.per_sender = 100

    def log_in(self) -> tuple[str, str]:
        """A fresh access token and refresh token, as a person's login brings them."""
        return self._new_access(), self._new_refresh()

    def agree(self) -> str:
        """The code with which the browser comes back."""
        code = f"code-{next(self.numbers)}"
        self.codes.add(code)
        return code

    def texts_of(self, receiver: str) -> list[str]:
        return [words for name, words in self.messages if name == receiver]

    def reply(self, request: Request) -> Answer:
        try:
            return Answer(200, self._route(request))
        except Wrong as wrong:
            return wrong.answer

    def _route(self, request: Request) -> Any:
        route = (request.method, request.path)
        if route == ("POST", "/oauth/token"):
            return self._token(_form(request))
        if route == ("POST", "/v2/api/talk/memo/default/send"):
            self._authorize(request, "talk_message")
            return self._memo(_form(request))
        if route == ("POST", "/v1/api/talk/friends/message/default/send"):
            self._authorize(request, "talk_message")
            return self._message(_form(request))
        if route == ("GET", "/v1/api/talk/friends"):
            self._authorize(request, "friends")
            return self._page(request)
        if route == ("GET", "/v1/user/access_token_info"):
            token = self._authorize(request)
            return {"id": 1, "expires_in": int(self.access[token] - self.now()), "app_id": 1}
        raise Wrong(404, {"msg": "no such API", "code": -2})

    # Tokens

    def _token(self, form: Mapping[str, str]) -> Any:
        if form.get("client_id") != self.rest_api_key:
            raise _oauth(401, "invalid_client", "Not exist client_id", "KOE101")
        if self.client_secret is not None and form.get("client_secret") != self.client_secret:
            raise _oauth(401, "invalid_client", "Bad client credentials", "KOE010")
        if form.get("grant_type") == "authorization_code":
            return self._from_code(form)
        if form.get("grant_type") != "refresh_token":
            raise _oauth(400, "unsupported_grant_type", "unsupported_grant_type", "KOE207")
        return self._from_refresh(form.get("refresh_token", ""))

    def _from_code(self, form: Mapping[str, str]) -> Any:
        if form.get("redirect_uri") != self.redirect_uri:
            raise _oauth(400, "invalid_grant", "Redirect URI mismatch.", "KOE303")
        if form.get("code") not in self.codes:
            raise _oauth(400, "invalid_grant", "authorization code not found for code", "KOE320")
        self.codes.discard(form["code"])
        return self._answer(self._new_access()) | self._rotated()

    def _from_refresh(self, token: str) -> Any:
        left_s = self.refresh.get(token, 0.0) - self.now()
        if left_s <= 0:
            raise _oauth(400, "invalid_grant", "expired_or_invalid_refresh_token", "KOE322")
        answer = self._answer(self._new_access())
        if left_s >= ROTATES_S:
            return answer
        del self.refresh[token]
        return answer | self._rotated()

    @staticmethod
    def _answer(access: str) -> dict[str, Any]:
        return {"access_token": access, "token_type": "bearer", "expires_in": ACCESS_S, "scope": " ".join(SCOPES)}

    def _rotated(self) -> dict[str, Any]:
        return {"refresh_token": self._new_refresh(), "refresh_token_expires_in": REFRESH_S}

    def _new_access(self) -> str:
        token = f"access-{next(self.numbers)}"
        self.access[token] = self.now() + ACCESS_S
        return token

    def _new_refresh(self) -> str:
        token = f"refresh-{next(self.numbers)}"
        self.refresh[token] = self.now() + REFRESH_S
        return token

    def _authorize(self, request: Request, scope: str | None = None) -> str:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.access.get(token, 0.0) <= self.now():
            raise Wrong(401, {"msg": "this access token does not exist", "code": -401})
        if scope is not None and scope not in self.consented:
            raise Wrong(
                403,
                {"msg": "insufficient scopes.", "code": -402, "api_type": "TALK_MESSAGE_SEND"}
                | {"required_scopes": [scope], "allowed_scopes": sorted(self.consented)},
            )
        return token

    # Messages

    def _memo(self, form: Mapping[str, str]) -> Any:
        template = _template(form)
        self.messages.append(("me", template["text"]))
        self.templates.append(template)
        return {"result_code": 0}

    def _message(self, form: Mapping[str, str]) -> Any:
        template, uuids = _template(form), _receivers(form)
        reached, failed = [], []
        for uuid in uuids:
            code = self._why_not(uuid)
            if code is not None and self.whole_call_fails:
                raise Wrong(400, {"msg": "cannot reach", "code": code})
            if code is None:
                reached.append(uuid)
            else:
                failed.append({"code": code, "msg": "cannot reach", "receiver_uuids": [uuid]})
        for uuid in reached:
            self.counts[(self._day(), uuid)] += 1
            self.messages.append((uuid, template["text"]))
        self.templates.append(template)
        return {"successful_receiver_uuids": reached} | ({"failure_info": failed} if failed else {})

    def _why_not(self, uuid: str) -> int | None:
        found = next((friend for friend in self.friends if friend.uuid == uuid), None)
        if found is None:
            return -502
        if found.code is not None:
            return found.code
        if self.counts[(self._day(), uuid)] >= 20:
            return -536
        sent = sum(count for (day, _), count in self.counts.items() if day == self._day())
        return -532 if sent >= self.per_sender else None

    def _day(self) -> str:
        return datetime.fromtimestamp(self.now(), SEOUL).date().isoformat()

    def _page(self, request: Request) -> Any:
        query = {name: values[0] for name, values in request.query.items()}
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 10))
        if not 1 <= limit <= 100:
            raise Wrong(400, {"msg": "Constraints on the parameter [limit] are unsatisfied", "code": -2})
        limit = min(limit, 3)  # so that a handful of friends is several pages
        page = self.friends[offset : offset + limit]
        after = {**query, "offset": str(offset + limit), "limit": str(limit)}
        more = offset + limit < len(self.friends)
        return {
            "elements": [
                {"id": number, "uuid": each.uuid, "favorite": False, "profile_nickname": each.nickname}
                for number, each in enumerate(page)
            ],
            "total_count": len(self.friends),
            "after_url": f"https://kapi.kakao.com/v1/api/talk/friends?{urlencode(after)}" if more else None,
            "favorite_count": 0,
        }


def _form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Wrong(400, {"msg": "unsupported content type", "code": -2})
    return request.form


def _template(form: Mapping[str, str]) -> dict[str, Any]:
    """The template, which is a JSON object written as text in a form's field."""
    try:
        found = json.loads(form.get("template_object", ""))
    except ValueError:
        raise Wrong(400, {"msg": "template_object is not JSON", "code": -2}) from None
    if not isinstance(found, dict) or found.get("object_type") != "text" or not isinstance(found.get("link"), dict):
        raise Wrong(400, {"msg": "template_object lacks object_type or link", "code": -2})
    words = found.get("text")
    if not isinstance(words, str) or not words or len(words.encode("utf-16-le")) // 2 > 200:
        raise Wrong(400, {"msg": "text must have 1 to 200 characters", "code": -2})
    return found


def _receivers(form: Mapping[str, str]) -> list[str]:
    try:
        found = json.loads(form.get("receiver_uuids", ""))
    except ValueError:
        found = None
    if not isinstance(found, list) or not found:
        raise Wrong(400, {"msg": "The Parameter [receiver_uuids] cannot be null/empty.", "code": -2})
    if len(found) > 5 or not all(isinstance(uuid, str) for uuid in found):
        raise Wrong(400, {"msg": "Constraints on the parameter [receiver_uuids] are unsatisfied", "code": -2})
    if "me" in found:
        message = "Cannot contain a receiver who is identical to the sender in multicast mode."
        raise Wrong(400, {"msg": message, "code": -2})
    return found


def _oauth(status: int, error: str, description: str, code: str) -> Wrong:
    return Wrong(status, {"error": error, "error_description": description, "error_code": code})


def error(status: int, code: int, message: str = "scripted", **more: Any) -> Answer:
    """An error of the message API, to be queued as a fault."""
    return Answer(status, {"msg": message, "code": code, **more})
