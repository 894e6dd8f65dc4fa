"""A limit of the pixels that are held at the same time, given out in the order in which it is asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """An amount that is shared. Whoever asks for more than all of it gets all of it, and so is alone."""

    def __init__(self, total: float) -> None:
        self.total, self.free = total, total
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def share(self, amount: float) -> AsyncIterator[None]:
        """Wait for an amount, and hold it during the block."""
        amount = min(amount, self.total)
        await self._take(amount)
        try:
            yield
        finally:
            self._give_back(amount)

    async def _take(self, amount: float) -> None:
        if not self._waiting and self.free >= amount:
            self.free -= amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # It was given at the moment in which nobody waited any more.
                self._give_back(amount)
            else:
                self._waiting = deque(each for each in self._waiting if each[1] is not turn)
                self._give_back(0)
            raise

    def _give_back(self, amount: float) -> None:
        self.free += amount
        while self._waiting and self._waiting[0][0] <= self.free:
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.free -= wanted
                turn.set_result(None)
