"""Send what processes have predicted to the main one, through the store that connects them, without a collective.

So no process waits for another one's images, and no GPU for any of them.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from accelerate import Accelerator
from torch import distributed as dist

from runtime.sharing import Alone, Exchange
from trainer.distributed.failure import FAILURE_KEY
from trainer.distributed.processes import PATIENCE
from utils.errors import UserError

CHUNK_BYTES = 4 * 2**20
"""The store takes values of 8 MiB at most."""
WAITING = 8
"""So many contents of a process may wait for the main one."""
LOOK_EVERY_S = 0.005
ENDED = (
    "Another process of this call has ended, or has been silent for ten minutes. What is written is kept: the same "
    "command continues with the next image."
)

_numbers = count()
"""Of the exchanges of this program, the same in all processes."""


class StoreExchange(Exchange):
    """Sends bytes through a store of torch, such as the one that a process group has."""

    def __init__(self, store: Any, rank: int, world: int, name: str) -> None:
        self.store, self.rank, self.world, self.name = store, rank, world, f"carpus/exchange/{name}"
        self.unread: deque[str] = deque()
        self.turns = count()

    def send(self, key: str, content: bytes) -> None:
        if len(self.unread) == WAITING:
            oldest = self.unread.popleft()
            self._wait(lambda: not self.store.check([oldest]))
        self.unread.append(self._put(key, self.rank, content))

    def receive(self, key: str, rank: int) -> bytes:
        place = self._place(key, rank)
        self._wait(lambda: bool(self.store.check([place])))
        chunks = [f"{place}/{number}" for number in range(int(self.store.get(place)))]
        content = b"".join(self.store.get(chunk) for chunk in chunks)
        for used in (*chunks, place):
            self.store.delete_key(used)
        return content

    def from_main(self, value: Any) -> Any:
        key = f"main/{next(self.turns)}"
        if self.rank:
            return pickle.loads(self.receive(key, self.rank))
        for rank in range(1, self.world):
            self._put(key, rank, pickle.dumps(value))
        return value

    def collect(self, value: Any) -> list[Any]:
        key = f"all/{next(self.turns)}"
        if self.rank:
            self.send(key, pickle.dumps(value))
            return []
        return [value, *(pickle.loads(self.receive(key, rank)) for rank in range(1, self.world))]

    def _put(self, key: str, rank: int, content: bytes) -> str:
        """Store a content in parts, and last how many they are; return the key of that."""
        place = self._place(key, rank)
        parts = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)]
        for number, part in enumerate(parts):
            self.store.set(f"{place}/{number}", part)
        self.store.set(place, str(len(parts)))
        return place

    def _place(self, key: str, rank: int) -> str:
        return f"{self.name}/{rank}/{key}"

    def _wait(self, is_there: Callable[[], bool]) -> None:
        """Look until something is so. Raises `UserError` if another process has failed, or is silent for too long."""
        until_s = time.monotonic() + PATIENCE.total_seconds()
        while not is_there():
            if self.store.check([FAILURE_KEY]) or time.monotonic() > until_s:
                raise UserError(ENDED)
            time.sleep(LOOK_EVERY_S)


def exchange_of(accelerator: Accelerator) -> Exchange:
    """Return a new exchange between the processes of this program; all must call it alike."""
    if accelerator.num_processes == 1:
        return Alone()
    store = dist.distributed_c10d._get_default_store()
    return StoreExchange(store, accelerator.process_index, accelerator.num_processes, str(next(_numbers)))
