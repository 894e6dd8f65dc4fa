"""The channel KakaoTalk: start, end and error of a run, as a memo to oneself and a message to friends.

It sends no progress, because Kakao accepts only 20 messages a day from one person to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from services.channel import Address, Channel, Context, EventRefused, NotDelivered, QueuedEvent, Refused, occasion_of
from services.delivery.delivery_log import DeliveryLog
from services.kakao.api import (
    API_URL,
    RECEIVERS,
    WRONG,
    KakaoApi,
    QuotaExhausted,
    ReceiverUnreachable,
    SendResult,
    Template,
    action_of,
    words_of,
)
from services.kakao.renewal import AUTH_URL, LOGIN, consent_url
from services.kakao.text import template_of
from services.kakao.tokens import ACCESS, KEY, REFRESH, Tokens
from services.secrets import Secrets
from utils.events import Event, ReportWritten

log = logging.getLogger(__name__)

ME = "@me"
"""The sender as a receiver; no uuid has this form."""
RENEWAL_WAIT_S = 5.0
"""How long a message waits for another process that is renewing the token."""
KakaoOccasion = Literal["start", "end", "error"]


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """The reason why KakaoTalk cannot be used, in a few words; None if it can be tried."""
    if not settings.get("to_me", True) and not settings.get("friends"):
        return "services.kakao has nobody to write to (set to_me or friends)"
    if secrets.newest(ACCESS) or (secrets.newest(REFRESH) and secrets.get(KEY)):
        return None
    return f"{ACCESS} is not set"


class KakaoTalk(Channel):
    """KakaoTalk: a memo to yourself and messages to friends, in 200 characters.

    enabled: whether it is used where KAKAO_ACCESS_TOKEN is set.
    events: what it tells.
    to_me: write to your own chat.
    friends: uuids of who is written to, as python -m services.kakao friends lists them.
    link_url: an address in every message, such as MLflow's; it opens where its domain is registered for the app.
    auth_url: where tokens are renewed.
    api_url: where messages are sent.
    """

    def __init__(
        self,
        context: Context,
        *,
        enabled: bool = True,
        events: tuple[KakaoOccasion, ...] = ("start", "end", "error"),
        to_me: bool = True,
        friends: tuple[str, ...] = (),
        link_url: Address | None = None,
        auth_url: Address = AUTH_URL,
        api_url: Address = API_URL,
    ) -> None:
        self.context, self.events, self.to_me, self.link_url = context, events, to_me, link_url
        self.friends = tuple(dict.fromkeys(friends))
        self.now: Callable[[], float] = time.time
        self.tokens = Tokens(context.secrets, auth_url, wait_s=RENEWAL_WAIT_S)
        self.api = KakaoApi(api_url, consent_url(auth_url))
        self.log = DeliveryLog(context.memory, "kakao")

    def accepts(self, event: Event) -> bool:
        return occasion_of(event) in self.events and not isinstance(event, ReportWritten)

    def must_arrive(self, event: Event) -> bool:
        return True

    def deliver(self, queued: QueuedEvent) -> None:
        """Send one message to each receiver that it has not reached, as `DeliveryLog` says: once, and at most twice."""
        if self.log.is_delivered(queued.id):
            return
        if self.to_me and ME not in self._left_out:
            self._send_memo(queued)
        friends = [uuid for uuid in self.friends if uuid not in self._left_out]
        try:
            for start in range(0, len(friends), RECEIVERS):
                self._send_to_friends(queued, friends[start : start + RECEIVERS])
        except (QuotaExhausted, Refused) as error:
            if not self.to_me:
                raise
            # If this stopped the channel or waited, later memos (the end of this run, its error) would not be sent.
            log.warning("kakao: %s; only you are told of this", str(error).rstrip("."))
        self.log.mark_delivered(queued.id)

    @property
    def _left_out(self) -> Mapping[str, int]:
        """Error codes by the uuid of receivers who get nothing more in this run."""
        found: Mapping[str, int] = self.context.memory.get("left_out", {})
        return found

    def _send_memo(self, queued: QueuedEvent) -> None:
        message = self._template(queued)
        try:
            self.log.send_once(
                queued.id, ME, lambda: self.tokens.call(lambda token: self.api.memo(token, message)), self._probe
            )
        except ReceiverUnreachable as error:
            if error.code == WRONG:
                raise EventRefused(f"KakaoTalk {error}") from error
            if not self.friends:
                raise Refused(f"KakaoTalk {error}: the one who logged in. {LOGIN}") from error
            self._leave_out(queued, ME, error.code, str(error))

    def _send_to_friends(self, queued: QueuedEvent, uuids: Sequence[str]) -> None:
        """Send one message in one call; if Kakao refuses it because of one of the receivers, in one call each."""
        message = self._template(queued)

        def send(waiting: Sequence[str]) -> Sequence[str]:
            sent = self.tokens.call(lambda token: self.api.send(token, waiting, message))
            return self._settled(queued, sent)

        try:
            self.log.send_parts(queued.id, uuids, send, self._probe)
        except ReceiverUnreachable as error:
            waiting = [uuid for uuid in uuids if not self.log.is_done(queued.id, uuid)]
            if len(waiting) == 1:
                self._leave_out(queued, waiting[0], error.code, str(error))
                return
            for uuid in waiting:
                self._send_to_friends(queued, [uuid])
        missed = [uuid for uuid in uuids if not self.log.is_done(queued.id, uuid)]
        if missed:
            raise NotDelivered(f"KakaoTalk has not reached {len(missed)} of {len(uuids)} friends yet")

    def _settled(self, queued: QueuedEvent, sent: SendResult) -> Sequence[str]:
        """Record who was reached and who cannot be. Raises `QuotaExhausted` if the sender may send no more today."""
        self.log.finish(queued.id, sent.received)
        for uuid, code in sent.failed.items():
            if action_of(code) in ("drop", "skip", "refuse"):
                self._leave_out(queued, uuid, code, words_of(code))
        over = [code for code in sent.failed.values() if action_of(code) == "tomorrow"]
        if over:
            raise QuotaExhausted(f"KakaoTalk {words_of(over[0])}")
        return sent.received

    def _leave_out(self, queued: QueuedEvent, uuid: str, code: int, words: str) -> None:
        """Send no more to this receiver, about this event or for the rest of the run, and log it."""
        self.log.finish(queued.id, [uuid])
        if action_of(code) != "skip":
            self.log.remember(left_out={**self._left_out, uuid: code})
        span = "this time" if action_of(code) == "skip" else "for the rest of this run"
        log.warning("kakao: %s is left out %s: KakaoTalk %s", uuid, span, words)

    def _probe(self) -> None:
        self.tokens.call(self.api.probe)

    def _template(self, queued: QueuedEvent) -> Template:
        context = self.context
        found: Template = template_of(context.language, context.facts, queued, self.link_url, now_s=self.now())
        return found
