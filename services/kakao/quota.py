"""How many messages KakaoTalk still takes today: 100 of a sender, 20 from one to another, counted on this host.

https://developers.kakao.com/docs/latest/ko/getting-started/quota. Kakao counts by itself; counting along means that
nothing is sent in vain, and that the last message of a day can say so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from services.kakao.state import shared
from utils.errors import UserError

log = logging.getLogger(__name__)

PER_SENDER = 100
PER_PAIR = 20
FILE = "kakao_quota"
SEOUL = timezone(timedelta(hours=9))
"""Kakao's days; Korea has no summer time."""


class Quota:
    """Today's count of one sender, shared by all runs of this user on this host. `sender` tells apart services."""

    def __init__(self, sender: str, now: Callable[[], float] = time.time) -> None:
        self.sender, self.now = sender, now
        self.uncounted = False
        """Whether counting has failed, which is told once and stops nothing."""

    def left(self, uuid: str | None = None) -> int:
        """How many messages may still be sent today, at all or to one friend."""
        block = self._change(lambda block: None)
        of_all: int = PER_SENDER - block["sent"]
        of_pair: int = PER_PAIR - block["pairs"].get(uuid, 0)
        return of_all if uuid is None else min(of_all, of_pair)

    def count(self, uuids: Iterable[str], *, memos: int = 0) -> None:
        """Note messages that were sent, or may have been."""
        uuids = list(uuids)

        def add(block: Any) -> None:
            block["sent"] += len(uuids) + memos
            for uuid in uuids:
                block["pairs"][uuid] = block["pairs"].get(uuid, 0) + 1

        self._change(add)

    def exhaust(self, uuid: str | None = None) -> None:
        """Kakao says that the day is over, for the sender or for one friend; others may have sent from elsewhere."""

        def fill(block: Any) -> None:
            if uuid is None:
                block["sent"] = max(block["sent"], PER_SENDER)
            else:
                block["pairs"][uuid] = max(block["pairs"].get(uuid, 0), PER_PAIR)

        self._change(fill)

    def until_tomorrow_s(self) -> float:
        """Seconds until Kakao's next day."""
        now = datetime.fromtimestamp(self.now(), SEOUL)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - now).total_seconds()

    def _change(self, change: Callable[[Any], None]) -> Any:
        try:
            with shared(FILE) as values:
                block = self._today(values)
                change(block)
                return block
        except UserError as error:
            if not self.uncounted:
                self.uncounted = True
                log.warning("kakao: today's messages are not counted: %s", error)
            return {"sent": 0, "pairs": {}}

    def _today(self, values: dict[str, Any]) -> Any:
        day = datetime.fromtimestamp(self.now(), SEOUL).date().isoformat()
        if values.get("day") != day or not isinstance(values.get("senders"), dict):
            values.clear()
            values.update(day=day, senders={})
        return values["senders"].setdefault(self.sender, {"sent": 0, "pairs": {}})
