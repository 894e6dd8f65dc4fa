"""The channel KakaoTalk: start, end and error of a run, as a memo to oneself and a message to friends.

No progress: Kakao takes 20 messages a day from one person to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from services.channel import Channel, Context, NotDelivered, Refused, Told, occasion_of
from services.kakao.api import API_URL, RECEIVERS, KakaoApi, Sent, Template
from services.kakao.authorized import Authorized
from services.kakao.errors import LOGIN, Exhausted, NotForThisOne, meaning_of
from services.kakao.http import Unanswered
from services.kakao.ledger import TRIES, Ledger
from services.kakao.oauth import AUTH_URL, consent_url
from services.kakao.quota import Quota
from services.kakao.text import template_of
from services.kakao.tokens import ACCESS, KEY, REFRESH, Tokens
from services.secrets import Secrets
from services.settings import Address
from utils.events import Event, ReportWritten

log = logging.getLogger(__name__)

ME = "@me"
"""The sender; no uuid looks like this."""
RENEWER_S = 5.0
"""How long a message waits for another process that renews the token."""
KakaoOccasion = Literal["start", "end", "error"]
Result = TypeVar("Result")


def kakao(
    context: Context,
    *,
    enabled: bool = True,
    events: tuple[KakaoOccasion, ...] = ("start", "end", "error"),
    to_me: bool = True,
    friends: tuple[str, ...] = (),
    link_url: Address | None = None,
    auth_url: Address = AUTH_URL,
    api_url: Address = API_URL,
) -> Channel:
    """KakaoTalk: a memo to yourself and messages to friends, in 200 characters.

    enabled: whether it is used where KAKAO_ACCESS_TOKEN is set.
    events: what it tells.
    to_me: write to your own chat.
    friends: uuids of who is written to, as python -m services.kakao friends lists them.
    link_url: an address in every message, such as MLflow's; it opens where its domain is registered for the app.
    auth_url: where tokens are renewed.
    api_url: where messages are sent.
    """
    receivers = Receivers(to_me, tuple(dict.fromkeys(friends)))
    return KakaoTalk(context, receivers, frozenset(events), link_url, auth_url, api_url)


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """What keeps KakaoTalk from working here."""
    if not settings.get("to_me", True) and not settings.get("friends"):
        return "services.kakao has nobody to write to (set to_me or friends)"
    if secrets.newest(ACCESS) or (secrets.newest(REFRESH) and secrets.get(KEY)):
        return None
    return f"{ACCESS} is not set"


@dataclass(frozen=True)
class Receivers:
    """Who is written to."""

    to_me: bool
    friends: tuple[str, ...]
    """Their uuids."""

    def __iter__(self) -> Iterator[str]:
        return iter((ME, *self.friends) if self.to_me else self.friends)


class KakaoTalk:
    """Tells each receiver of each event, once.

    Where an answer is lost, nobody knows whether the message arrived, and Kakao has no way to ask. Then it is sent once
    more, after something harmless has been answered, and never a third time. What was certainly not heard is sent again
    as often as need be.
    """

    beat_s: float | None = None

    def __init__(
        self,
        context: Context,
        receivers: Receivers,
        events: frozenset[str],
        link_url: str | None,
        auth_url: str,
        api_url: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.context, self.receivers, self.events, self.link_url, self.now = context, receivers, events, link_url, now
        self.authorized = Authorized(Tokens(context.secrets, auth_url, now=now, wait_s=RENEWER_S))
        self.api = KakaoApi(api_url, consent_url(auth_url))
        self.quota = Quota(api_url, now)

    def wants(self, event: Event) -> bool:
        return occasion_of(event) in self.events and not isinstance(event, ReportWritten)

    def keeps(self, event: Event) -> bool:
        return True

    def deliver(self, told: Told) -> None:
        ledger = Ledger(self.context.memory, told.id)
        left_out = self.context.memory.get("left_out", {})
        self._give_up(ledger, [*self.receivers])
        waiting = [each for each in self.receivers if not ledger.is_done(each) and each not in left_out]
        if ME in waiting:
            waiting.remove(ME)
            self._tell_me(told, ledger)
        try:
            for start in range(0, len(waiting), RECEIVERS):
                self._tell_friends(told, ledger, waiting[start : start + RECEIVERS])
        except Exhausted as error:
            if not self.receivers.to_me:
                raise
            # To wait for tomorrow would hold back the memos, too: of the end of this run, of its error.
            log.warning("kakao: %s; only you are told until midnight in Korea", error)
            ledger.finish(uuid for uuid in waiting if not ledger.is_done(uuid))

    def beat(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _tell_me(self, told: Told, ledger: Ledger) -> None:
        message = self._template(told, is_last=False)

        def send(token: str) -> None:
            self.api.memo(token, message)

        try:
            self._once(ledger, [ME], send)
        except NotForThisOne as error:
            raise Refused(f"KakaoTalk {error}: the one who logged in. {LOGIN}") from error
        ledger.finish([ME])
        self.quota.count([], memos=1)

    def _tell_friends(self, told: Told, ledger: Ledger, uuids: Sequence[str]) -> None:
        """One call; where Kakao refuses it because of one of them, without saying which, one call each."""
        uuids = self._within_quota(ledger, uuids)
        if not uuids:
            return
        message = self._template(told, is_last=any(self.quota.left(uuid) <= 1 for uuid in uuids))
        try:
            sent = self._once(ledger, uuids, lambda token: self.api.send(token, uuids, message))
        except NotForThisOne as error:
            self._tell_one_by_one(told, ledger, uuids, error.code)
            return
        self._note(ledger, uuids, sent)

    def _tell_one_by_one(self, told: Told, ledger: Ledger, uuids: Sequence[str], code: int) -> None:
        if len(uuids) == 1:
            self._leave_out(ledger, uuids[0], code)
            return
        for uuid in uuids:
            self._tell_friends(told, ledger, [uuid])

    def _within_quota(self, ledger: Ledger, uuids: Sequence[str]) -> list[str]:
        """Without those whose day is over by our own count. Raises `Exhausted` where the sender's is."""
        if self.quota.left() < len(uuids):
            raise Exhausted("KakaoTalk's messages of today are used up", self.quota.until_tomorrow_s())
        over = [uuid for uuid in uuids if self.quota.left(uuid) <= 0]
        for uuid in over:
            self._leave_out(ledger, uuid, -536)
        return [uuid for uuid in uuids if uuid not in over]

    def _note(self, ledger: Ledger, uuids: Sequence[str], sent: Sent) -> None:
        """Write down who was reached and who never will be, then say what is still open."""
        self.quota.count(sent.received)
        ledger.finish(sent.received)
        for uuid, code in sent.failed.items():
            if meaning_of(code).action in ("drop", "drop_today", "refuse"):
                self._leave_out(ledger, uuid, code)
        over = [code for code in sent.failed.values() if meaning_of(code).action == "tomorrow"]
        if over:
            ledger.take_back(uuid for uuid, code in sent.failed.items() if code in over)
            raise self._end_of_day(f"KakaoTalk {meaning_of(over[0]).words} ({over[0]})")
        if any(not ledger.is_done(uuid) for uuid in uuids):
            raise NotDelivered(f"KakaoTalk reached {len(sent.received)} of {len(uuids)} friends so far")

    def _leave_out(self, ledger: Ledger, uuid: str, code: int) -> None:
        """Go on without this receiver, and say so once."""
        meaning = meaning_of(code)
        ledger.finish([uuid])
        if meaning.action == "drop_today":
            self.quota.exhaust(uuid)
        else:
            self.context.memory.set(left_out={**self.context.memory.get("left_out", {}), uuid: code})
        until = "until midnight in Korea" if meaning.action == "drop_today" else "for the rest of this run"
        log.warning("kakao: %s is left out %s: KakaoTalk %s (%d)", uuid, until, meaning.words.rstrip("."), code)

    def _once(self, ledger: Ledger, receivers: Sequence[str], send: Callable[[str], Result]) -> Result:
        """Send, noting the try before it is made; where the answer to an earlier one was lost, ask for a sign first."""
        if any(ledger.lost(receiver) for receiver in receivers):
            self.authorized.call(self.api.probe)
        ledger.begin(receivers)
        try:
            return self.authorized.call(send)
        except Unanswered:
            self.quota.count([receiver for receiver in receivers if receiver != ME])
            raise
        except Exhausted as error:
            ledger.take_back(receivers)
            raise self._end_of_day(str(error)) from error
        except (NotDelivered, Refused, NotForThisOne):
            ledger.take_back(receivers)
            raise

    def _give_up(self, ledger: Ledger, receivers: Sequence[str]) -> None:
        """Two tries that nobody knows the end of are enough."""
        for receiver in receivers:
            if ledger.lost(receiver) >= TRIES and not ledger.is_done(receiver):
                log.warning(
                    "kakao: two tries brought no answer to go by; whether %s got the message is not known", receiver
                )
                ledger.finish([receiver])

    def _end_of_day(self, why: str) -> Exhausted:
        self.quota.exhaust()
        return Exhausted(why, self.quota.until_tomorrow_s())

    def _template(self, told: Told, *, is_last: bool) -> Template:
        context = self.context
        found: Template = template_of(
            context.language, context.facts, told, self.link_url, is_last=is_last, now_s=self.now()
        )
        return found
