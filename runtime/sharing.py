"""Share the images of one call among processes: each predicts some of them, and the main process writes all in turn.

What travels is what a writer makes of a mask, such as the rows of a CSV or the bytes of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from data.sample import Sample
from data.task import LeavingWriter, MaskWriter, SharedWriter, Task
from utils.arrays import StoredMask
from utils.errors import UserError

WRITTEN, LEFT_OUT = b"+", b"-"
"""The first byte of what is sent of a sample: the content follows, or the reason."""


class Exchange(Protocol):
    """Sends bytes and values between processes. The rank of the main one is 0."""

    rank: int
    world: int

    def send(self, key: str, content: bytes) -> None:
        """Send to the main process; wait if that has much to do."""

    def receive(self, key: str, rank: int) -> bytes:
        """Wait in the main process for what that of `rank` sends. Raises `UserError` if that has ended."""

    def from_main(self, value: Any) -> Any:
        """Return the main process's value in all; each calls it."""

    def collect(self, value: Any) -> list[Any]:
        """Return the values of all processes in the main one, by rank, and nothing in others; each calls it."""


class Alone(Exchange):
    """One process, which sends nothing."""

    rank, world = 0, 1

    def send(self, key: str, content: bytes) -> None:
        raise AssertionError("there is no process to send to")

    def receive(self, key: str, rank: int) -> bytes:
        raise AssertionError("there is no process to receive from")

    def from_main(self, value: Any) -> Any:
        return value

    def collect(self, value: Any) -> list[Any]:
        return [value]


def merge(exchange: Exchange, noted: dict[Any, Any]) -> None:
    """Add to what the main process has noted of images what the others have noted of theirs; each calls it."""
    for other in exchange.collect(dict(noted)):
        noted.update(other)


def ranks_of(groups: Iterable[Sequence[Sample]], at_once: int, world: int) -> dict[Sample, int]:
    """Return the process that predicts each sample: batches of `at_once` in turn, none over two groups.

    So the batches are those of a single process.
    """
    batches = (group[start : start + at_once] for group in groups for start in range(0, len(group), at_once))
    return {sample: number % world for number, batch in enumerate(batches) for sample in batch}


@contextmanager
def opened_in(exchange: Exchange, task: Task, opening: AbstractContextManager[MaskWriter]) -> Iterator[MaskWriter]:
    """Open a writer in the main process; the others only make contents with it.

    Raises `UserError` if there are other processes and it cannot do that.
    """
    if exchange.world > 1 and not hasattr(opening, "content_of"):
        raise UserError(f"task '{task.name}' is written in one process. Start this program without a launcher.")
    if not exchange.rank:
        with opening as writer:
            yield writer
        return
    writer = cast(SharedWriter, opening)
    with writer.elsewhere():
        yield writer


def in_turn(
    exchange: Exchange,
    writer: MaskWriter,
    samples: Sequence[Sample],
    ranks: Mapping[Sample, int],
    advance: Callable[[], None],
) -> WritingInTurn | SendingWriter:
    """Return what takes the masks of this process's samples. `advance` is called for each that another sends."""
    places = {place: ranks[sample] for place, sample in enumerate(samples) if sample in ranks}
    if exchange.rank:
        own = [place for place, rank in places.items() if rank == exchange.rank]
        return SendingWriter(cast(SharedWriter, writer), exchange, own)
    others = {place: rank for place, rank in places.items() if rank}
    return WritingInTurn(cast(LeavingWriter, writer), exchange, others, advance)


@dataclass(frozen=True)
class WritingInTurn:
    """Writes the main process's masks, and before each what the others have sent of the samples before.

    `others`: the rank of the process by the place of its samples among all.
    """

    writer: LeavingWriter
    exchange: Exchange
    others: Mapping[int, int]
    advance: Callable[[], None]

    @property
    def done(self) -> int:
        return self.writer.done

    @property
    def left_out(self) -> Sequence[str]:
        return self.writer.left_out

    def write_mask(self, name: str, mask: StoredMask, /) -> None:
        """Write the mask of the main process's next sample."""
        self.finish()
        self.writer.write_mask(name, mask)

    def leave_out(self, reason: str, /) -> None:
        """Leave the main process's next sample out."""
        self.finish()
        self.writer.leave_out(reason)

    def finish(self) -> None:
        """Write what others send of the samples before the main process's next one, or of all that are missing."""
        while self.writer.done in self.others:
            place = self.writer.done
            content = self.exchange.receive(str(place), self.others[place])
            if content.startswith(WRITTEN):
                cast(SharedWriter, self.writer).write_content(content[1:])
            else:
                self.writer.leave_out(content[1:].decode())
            self.advance()


class SendingWriter:
    """Sends what is written of a process's samples to the main one. `places`: theirs among all, in order."""

    done = 0
    left_out: Sequence[str] = ()

    def __init__(self, writer: SharedWriter, exchange: Exchange, places: Iterable[int]) -> None:
        self.writer, self.exchange, self.places = writer, exchange, iter(places)

    def write_mask(self, name: str, mask: StoredMask, /) -> None:
        """Send what the main process writes of the next sample."""
        self._send(WRITTEN + self.writer.content_of(name, mask))

    def leave_out(self, reason: str, /) -> None:
        """Send why the next sample has no mask."""
        self._send(LEFT_OUT + reason.encode())

    def finish(self) -> None:
        """All is sent already."""

    def _send(self, content: bytes) -> None:
        self.exchange.send(str(next(self.places)), content)
