"""Let trials on other machines ask the search whether to stop early.

Nothing large is imported here, because the actor is a separate process, which should start at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

log = logging.getLogger(__name__)

ANSWER_WAIT_S = 30.0
"""How long a trial waits for an answer; the search needs far less. Without an answer the trial continues."""


@dataclass(frozen=True)
class Question:
    """The score of a trial after an epoch (from 0). `key` connects the answer with the question."""

    key: int
    trial: int
    epoch: int
    score: float


class PruneActor:
    """Receives questions of trials and passes them to the search, one by one. As a Ray actor it has one event loop."""

    def __init__(self) -> None:
        self.keys = count()
        self.questions: asyncio.Queue[Question] = asyncio.Queue()
        self.answers: dict[int, asyncio.Future[bool]] = {}

    async def ask(self, trial: int, epoch: int, score: float) -> bool:
        """Return whether to stop a trial, when the search has answered."""
        key = next(self.keys)
        self.answers[key] = asyncio.get_running_loop().create_future()
        self.questions.put_nowait(Question(key, trial, epoch, score))
        return await self.answers[key]

    async def next_question(self) -> Question:
        """Return the oldest question that was not returned yet; wait until there is one."""
        return await self.questions.get()

    async def answer(self, key: int, prune: bool) -> None:
        """Answer a question; nothing happens if the trial no longer waits."""
        answer = self.answers.pop(key)
        if not answer.done():
            answer.set_result(prune)


@contextmanager
def start_prune_actor(ray: Any) -> Iterator[Any]:
    """Start an actor on this machine, without a CPU or GPU of its own; trials that ask it after its end continue."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(PruneActor).remote()
    try:
        yield actor
    finally:
        ray.kill(actor)


@dataclass(frozen=True)
class RemotePruner:
    """The `should_prune` of a trial on another machine. Without an answer it returns False after `ANSWER_WAIT_S`."""

    actor: Any
    trial: int

    def __call__(self, epoch: int, score: float) -> bool:
        import ray

        try:
            return bool(ray.get(self.actor.ask.remote(self.trial, epoch, score), timeout=ANSWER_WAIT_S))
        except ray.exceptions.RayError as error:
            log.warning("the search does not answer, so this trial continues (%s)", type(error).__name__)
            return False
