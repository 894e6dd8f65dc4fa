"""What a channel is: Slack, KakaoTalk, the sheet and MLflow each take events of a run and bring them to people.

A channel lives in the process beside the run (`services.delivery.notifier_process`), in a thread of its own: it may
take its time and may fail, in the two ways below. It is made by a builder, whose keyword-only arguments are what
`services.<name>` may say in a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from services.delivery.run_memory import Memory
from services.secrets import Secrets
from utils.events import (
    EpochEnded,
    Event,
    FoldsJoined,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
)

Occasion = Literal["start", "progress", "best", "end", "error"]
OCCASIONS: tuple[Occasion, ...] = ("start", "progress", "best", "end", "error")
Language = Literal["en", "ko"]


class NotDelivered(Exception):
    """It did not get through now (no connection, 429, 5xx); it may later, not before `retry_after_s` where that is
    known. The message is a few words for the log: what was asked and what came back, no secret in it."""

    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """It will not get through until a person mends something: a sentence with the way out. The channel is silent for
    the rest of the run; what it should have sent waits in the outbox."""


@dataclass(frozen=True)
class RunFacts:
    """What a channel may tell of a run that its events do not say. Plain values, no secret among them."""

    run_id: str
    """Stays the same when the run is resumed."""
    title: str
    """`mine`, or `mine/fold2` for one of several folds."""
    name: str
    task: str
    fold: int | None
    folder: Path
    group: Path | None
    """The folder of the cross-validation that this run is a fold of."""
    command: str
    """What continues the run, to be typed in the project's folder."""
    host: str
    user: str
    commit: str | None
    dirty: bool
    config: Mapping[str, Any]
    """The resolved configuration as plain values, without its part `services`."""


@dataclass(frozen=True)
class Told:
    """An event, with what makes it one message however often it is tried: its id, and when it happened (Unix time)."""

    id: str
    at_s: float
    event: Event


@dataclass(frozen=True)
class Context:
    """What a builder is given besides its settings."""

    facts: RunFacts
    secrets: Secrets
    memory: Memory
    """Of this channel and run, kept in the run's folder: what a resumed run must know (a message to edit, a run id)."""
    language: Language = "en"
    every_epochs: int = 1
    """Progress is worth a message at every so many epochs."""


class Channel(Protocol):
    """Where events go. Only its own thread calls it, one event at a time, in order."""

    beat_s: float | None
    """`beat` is called about this often while the run lasts; None: never."""

    def wants(self, event: Event) -> bool:
        """Whether this event is any of its business. Quick, without asking anybody; called in another thread."""

    def keeps(self, event: Event) -> bool:
        """Whether a wanted event must arrive, be it the next day. What need not is dropped where a newer one waits."""

    def deliver(self, told: Told) -> None:
        """Bring it to people. Raises `NotDelivered` or `Refused`; returns where it needs no further trial."""

    def beat(self) -> None:
        """A sign of life. Raises as `deliver`; nothing is kept."""

    def close(self) -> None:
        """Give back what it holds. Sends nothing."""


@dataclass(frozen=True)
class Kind:
    """A row of the table of channels."""

    build: Callable[..., Channel]
    """`build(context, **settings)`. Cheap: heavy libraries are imported and servers asked at the first `deliver`."""
    missing: Callable[[Secrets, Mapping[str, Any]], str | None]
    """`missing(secrets, settings)`: what keeps the channel from working, in a few words that name the variable or key
    (`SLACK_BOT_TOKEN is not set`); None where it can be tried. Reads no network."""


def occasion_of(event: Event) -> Occasion:
    """What people would call it; an epoch with a new best score is `best`."""
    if isinstance(event, RunStarted):
        return "start"
    if isinstance(event, (RunFinished, ReportWritten, FoldsJoined)):
        return "end"
    if isinstance(event, (RunFailed, RunInterrupted)):
        return "error"
    return "best" if isinstance(event, EpochEnded) and event.is_best else "progress"


def is_due(event: EpochEnded, every_epochs: int) -> bool:
    """Whether this epoch's progress is worth a message: every so many epochs, and the last."""
    return (event.epoch + 1) % every_epochs == 0 or event.epoch + 1 == event.epochs
