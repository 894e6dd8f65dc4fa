"""The channel KakaoTalk: start, end and error of a run, as a memo to oneself and a message to friends.

It sends no progress, because Kakao accepts only 20 messages a day from one person to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from services.channel import AnswerLost, Channel, Context, NotDelivered, QueuedEvent, Refused, occasion_of
from services.kakao.api import API_URL, RECEIVERS, KakaoApi, SendResult, Template
from services.kakao.authorized import AuthorizedCaller
from services.kakao.errors import LOGIN, QuotaExhausted, ReceiverUnreachable, meaning_of
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
"""The sender as a receiver; no uuid has this form."""
RENEWAL_WAIT_S = 5.0
"""How long a message waits for another process that is renewing the token."""
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
    """The reason why KakaoTalk cannot be used, in a few words; None if it can be tried."""
    if not settings.get("to_me", True) and not settings.get("friends"):
        return "services.kakao has nobody to write to (set to_me or friends)"
    if secrets.newest(ACCESS) or (secrets.newest(REFRESH) and secrets.get(KEY)):
        return None
    return f"{ACCESS} is not set"


@dataclass(frozen=True)
class Receivers:
    """The receivers of messages: the sender, named `ME`, and friends."""

    to_me: bool
    friends: tuple[str, ...]
    """Their uuids."""

    def __iter__(self) -> Iterator[str]:
        return iter((ME, *self.friends) if self.to_me else self.friends)


class KakaoTalk:
    """Sends one message about each event to each receiver.

    If an answer is lost, it is not known whether the message arrived, and Kakao has no way to ask. Then it is sent once
    more, after a harmless request was answered, and never a third time. A message that had no effect for certain is
    sent again as often as needed.
    """

    refresh_every_s: float | None = None

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
        self.authorized = AuthorizedCaller(Tokens(context.secrets, auth_url, now=now, wait_s=RENEWAL_WAIT_S))
        self.api = KakaoApi(api_url, consent_url(auth_url))
        self.quota = Quota(api_url, now)

    def accepts(self, event: Event) -> bool:
        return occasion_of(event) in self.events and not isinstance(event, ReportWritten)

    def must_arrive(self, event: Event) -> bool:
        return True

    def deliver(self, queued: QueuedEvent) -> None:
        """Send to those receivers that the message has not reached. Raises `NotDelivered` and `Refused`."""
        ledger = Ledger(self.context.memory, queued.id)
        left_out = self.context.memory.get("left_out", {})
        self._give_up(ledger, [*self.receivers])
        waiting = [each for each in self.receivers if not ledger.is_done(each) and each not in left_out]
        if ME in waiting:
            waiting.remove(ME)
            self._send_memo(queued, ledger)
        try:
            for start in range(0, len(waiting), RECEIVERS):
                self._send_to_friends(queued, ledger, waiting[start : start + RECEIVERS])
        except QuotaExhausted as error:
            if not self.receivers.to_me:
                raise
            # If this waited until tomorrow, later memos (the end of this run, its error) would wait, too.
            log.warning("kakao: %s; only you are told until midnight in Korea", error)
            ledger.finish(uuid for uuid in waiting if not ledger.is_done(uuid))

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _send_memo(self, queued: QueuedEvent, ledger: Ledger) -> None:
        message = self._template(queued, is_last=False)

        def send(token: str) -> None:
            self.api.memo(token, message)

        try:
            self._send_once(ledger, [ME], send)
        except ReceiverUnreachable as error:
            raise Refused(f"KakaoTalk {error}: the one who logged in. {LOGIN}") from error
        ledger.finish([ME])
        self.quota.count([], memos=1)

    def _send_to_friends(self, queued: QueuedEvent, ledger: Ledger, uuids: Sequence[str]) -> None:
        """Send one message in one call; if Kakao refuses it because of one of the receivers, in one call each."""
        uuids = self._within_quota(ledger, uuids)
        if not uuids:
            return
        message = self._template(queued, is_last=any(self.quota.left(uuid) <= 1 for uuid in uuids))
        try:
            sent = self._send_once(ledger, uuids, lambda token: self.api.send(token, uuids, message))
        except ReceiverUnreachable as error:
            self._send_one_by_one(queued, ledger, uuids, error.code)
            return
        self._note(ledger, uuids, sent)

    def _send_one_by_one(self, queued: QueuedEvent, ledger: Ledger, uuids: Sequence[str], code: int) -> None:
        if len(uuids) == 1:
            self._leave_out(ledger, uuids[0], code)
            return
        for uuid in uuids:
            self._send_to_friends(queued, ledger, [uuid])

    def _within_quota(self, ledger: Ledger, uuids: Sequence[str]) -> list[str]:
        """The uuids with messages left today by the local count. Raises `QuotaExhausted` if the sender has none."""
        if self.quota.left() < len(uuids):
            raise QuotaExhausted("KakaoTalk's messages of today are used up", self.quota.until_tomorrow_s())
        over = [uuid for uuid in uuids if self.quota.left(uuid) <= 0]
        for uuid in over:
            self._leave_out(ledger, uuid, -536)
        return [uuid for uuid in uuids if uuid not in over]

    def _note(self, ledger: Ledger, uuids: Sequence[str], sent: SendResult) -> None:
        """Record who was reached and who cannot be; raise `NotDelivered` if others are left."""
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
        """Send no more to this receiver, for today or for the rest of the run, and log it."""
        meaning = meaning_of(code)
        ledger.finish([uuid])
        if meaning.action == "drop_today":
            self.quota.exhaust(uuid)
        else:
            self.context.memory.set(left_out={**self.context.memory.get("left_out", {}), uuid: code})
        until = "until midnight in Korea" if meaning.action == "drop_today" else "for the rest of this run"
        log.warning("kakao: %s is left out %s: KakaoTalk %s (%d)", uuid, until, meaning.words.rstrip("."), code)

    def _send_once(self, ledger: Ledger, receivers: Sequence[str], send: Callable[[str], Result]) -> Result:
        """Send, with the try recorded before. If the answer to an earlier try was lost, check the connection first."""
        if any(ledger.lost(receiver) for receiver in receivers):
            self.authorized.call(self.api.probe)
        ledger.begin(receivers)
        try:
            return self.authorized.call(send)
        except AnswerLost:
            self.quota.count([receiver for receiver in receivers if receiver != ME])
            raise
        except QuotaExhausted as error:
            ledger.take_back(receivers)
            raise self._end_of_day(str(error)) from error
        except (NotDelivered, Refused, ReceiverUnreachable):
            ledger.take_back(receivers)
            raise

    def _give_up(self, ledger: Ledger, receivers: Sequence[str]) -> None:
        """Mark receivers as done for whom `TRIES` tries ended without an answer."""
        for receiver in receivers:
            if ledger.lost(receiver) >= TRIES and not ledger.is_done(receiver):
                log.warning(
                    "kakao: two tries brought no answer to go by; whether %s got the message is not known", receiver
                )
                ledger.finish([receiver])

    def _end_of_day(self, why: str) -> QuotaExhausted:
        self.quota.exhaust()
        return QuotaExhausted(why, self.quota.until_tomorrow_s())

    def _template(self, queued: QueuedEvent, *, is_last: bool) -> Template:
        context = self.context
        found: Template = template_of(
            context.language, context.facts, queued, self.link_url, is_last=is_last, now_s=self.now()
        )
        return found
