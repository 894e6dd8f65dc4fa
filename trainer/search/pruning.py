"""How trials on other machines ask the search whether they are worth going on with.

Nothing heavy is imported here: the desk is a process of its own on the search's machine, and should be there at once.
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
"""How long a trial waits for an answer. The search needs far less; where it does not answer, the trial goes on."""


@dataclass(frozen=True)
class Question:
    """A trial's score after a scored epoch (from 0); `key` is what the answer goes to."""

    key: int
    trial: int
    epoch: int
    score: float


class PruneActor:
    """Takes questions from trials and hands them to the search, one by one. A Ray actor: all methods share one loop."""

    def __init__(self) -> None:
        self.keys = count()
        self.questions: asyncio.Queue[Question] = asyncio.Queue()
        self.answers: dict[int, asyncio.Future[bool]] = {}

    async def ask(self, trial: int, epoch: int, score: float) -> bool:
        """Whether to prune a trial. Returns when the search has answered."""
        key = next(self.keys)
        self.answers[key] = asyncio.get_running_loop().create_future()
        self.questions.put_nowait(Question(key, trial, epoch, score))
        return await self.answers[key]

    async def next_question(self) -> Question:
        """The oldest question that was not handed out yet. Returns when there is one."""
        return await self.questions.get()

    async def answer(self, key: int, prune: bool) -> None:
        """Answer a question, whether or not somebody still waits for it."""
        answer = self.answers.pop(key)
        if not answer.done():
            answer.set_result(prune)


@contextmanager
def open_desk(ray: Any) -> Iterator[Any]:
    """A desk on the machine of this program; it takes nothing that runs need. Trials that ask it later just go on."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(num_cpus=0, scheduling_strategy=here)(PruneActor).remote()
    try:
        yield desk
    finally:
        ray.kill(desk)


@dataclass(frozen=True)
class RemotePruner:
    """The `should_prune` of a trial on another machine: it can neither hang nor fail for want of an answer."""

    desk: Any
    trial: int

    def __call__(self, epoch: int, score: float) -> bool:
        import ray

        try:
            return bool(ray.get(self.desk.ask.remote(self.trial, epoch, score), timeout=ANSWER_WAIT_S))
        except ray.exceptions.RayError as error:
            log.warning("the search does not answer, so this trial goes on (%s)", type(error).__name__)
            return False
