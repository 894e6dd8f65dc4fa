"""How many messages KakaoTalk still accepts today: 100 of a sender, 20 from one person to another.

https://developers.kakao.com/docs/latest/ko/getting-started/quota. Kakao counts, too; the count on this host avoids
useless requests, and lets the last message of a day say that it is the last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from services.kakao.state import locked_state
from utils.errors import UserError

log = logging.getLogger(__name__)

PER_SENDER = 100
PER_PAIR = 20
FILE = "kakao_quota"
SEOUL = timezone(timedelta(hours=9))
"""The time zone of Kakao's days; Korea has no summer time."""


class Quota:
    """Today's count of one sender, shared by all runs of this user on this host. `sender`: the service's address."""

    def __init__(self, sender: str, now: Callable[[], float] = time.time) -> None:
        self.sender, self.now = sender, now
        self.uncounted = False
        """Whether counting has failed, which is logged once; messages are sent nevertheless."""

    def left(self, uuid: str | None = None) -> int:
        """The number of messages that may still be sent today, to all or to one friend."""
        block = self._change(lambda block: None)
        of_all: int = PER_SENDER - block["sent"]
        of_pair: int = PER_PAIR - block["pairs"].get(uuid, 0)
        return of_all if uuid is None else min(of_all, of_pair)

    def count(self, uuids: Iterable[str], *, memos: int = 0) -> None:
        """Count messages that were sent, or may have been."""
        uuids = list(uuids)

        def add(block: Any) -> None:
            block["sent"] += len(uuids) + memos
            for uuid in uuids:
                block["pairs"][uuid] = block["pairs"].get(uuid, 0) + 1

        self._change(add)

    def exhaust(self, uuid: str | None = None) -> None:
        """Set the count to its limit for the sender or one friend: Kakao says so, since other hosts may have sent."""

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
            with locked_state(FILE) as values:
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
