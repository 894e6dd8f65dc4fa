"""How a training that is counted in optimizer steps is divided into parts that are scored, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CountedIn = Literal["epoch", "step"]
"""What people count a training in."""


@dataclass(frozen=True)
class Rounds:
    """Rounds of `every` optimizer steps, each scored at its end; the last of all `steps` may make a shorter one.

    In a training that is counted in steps, a round is what the engine, events and files call an epoch. Rounds count
    from 0. Example: 1000 steps, scored after every 400, are rounds of 400, 400 and 200 steps.
    """

    steps: int
    every: int

    @property
    def count(self) -> int:
        return -(-self.steps // self.every)

    def first_step(self, number: int) -> int:
        """Return how many steps are done before a round."""
        return number * self.every

    def length(self, number: int) -> int:
        """Return how many steps a round has; rounds after the last one are whole."""
        left = self.steps - self.first_step(number)
        return min(self.every, left) if left > 0 else self.every

    def end(self, number: int) -> int:
        """Return how many steps are done after a round, `number` -1: before the first one."""
        return min(self.first_step(number + 1), self.steps)


def counted_in(rounds: Rounds | None) -> CountedIn:
    """Return what people count a training in; without rounds it is epochs."""
    return "epoch" if rounds is None else "step"


def done_after(epoch: int, rounds: Rounds | None) -> int:
    """Return what is done after an epoch (from 0) in the unit that people count in: epochs, or optimizer steps."""
    return epoch + 1 if rounds is None else rounds.end(epoch)


def done_of(done: int, total_epochs: int, rounds: Rounds | None) -> str:
    """Return how far a training is, of the whole: `3/10`, or in steps `6000/20000`; `done` is a number of epochs."""
    return f"{done}/{total_epochs}" if rounds is None else f"{rounds.end(done - 1)}/{rounds.steps}"


def amount(number: int, unit: CountedIn) -> str:
    """Return a number with its unit: `1 epoch`, `20000 steps`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
