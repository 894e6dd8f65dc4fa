"""The interface of a channel: Slack, KakaoTalk, the sheet and MLflow each deliver the events of a run to people.

A channel runs in the notifier process (`services.delivery.notifier_process`), in a thread of its own. So it may be slow
and may fail, by the exceptions below. A builder makes it; the builder's keyword-only arguments are the keys that
`services.<name>` may have in a configuration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from services.delivery.run_memory import ChannelMemory
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
from utils.metric import Metric
from utils.redact import redact

Occasion = Literal["start", "progress", "best", "end", "error"]
OCCASIONS: tuple[Occasion, ...] = ("start", "progress", "best", "end", "error")
Language = Literal["en", "ko"]


def _address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError(f"expected an address that begins with https://, got {value[:60]!r}")
    return value


Address = Annotated[str, AfterValidator(_address)]
SECRET_ADDRESSES = ("base_url", "auth_url", "api_url")
"""Keys of channels whose value receives a secret, so it is never taken from the folder of a run."""


class NotDelivered(Exception):
    """A delivery failed now (no connection, 429, 5xx) and may succeed later, after `retry_after_s` seconds if that is
    known. The message is for the log: a few words on the request and its answer. Secrets in it are masked."""

    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(redact(why))
        self.retry_after_s = retry_after_s


class AnswerLost(NotDelivered):
    """A request was sent and its answer was lost: it may have taken effect."""


class EventRefused(NotDelivered):
    """The service answered, and does not accept this event for a reason that Carpus does not know. After a few tries
    the event is given up, so that those behind it are delivered."""


class Refused(Exception):
    """A delivery cannot succeed until a person fixes something; the message is a sentence that says what. The channel
    stops for the rest of the run, and the events that it has not delivered stay in the outbox. Secrets in the message
    are masked."""

    def __init__(self, why: str) -> None:
        super().__init__(redact(why))


OF_VERSION_0_1 = Metric("dice", "Dice")
"""The metric of facts that do not say theirs: version 0.1 had no other."""


@dataclass(frozen=True)
class RunFacts:
    """What a channel knows about a run besides its events. Plain values without secrets."""

    run_id: str
    """The same before and after the run is resumed."""
    title: str
    """`mine`, or `mine/fold2` for one of several folds."""
    name: str
    task: str
    fold: int | None
    folder: Path
    group: Path | None
    """The folder of the cross-validation, if this run is one of its folds."""
    command: str
    """The shell command that continues the run, to be typed in the project's folder."""
    host: str
    user: str
    commit: str | None
    dirty: bool
    config: Mapping[str, Any]
    """The resolved configuration as plain values, without its part `services`."""
    metric: Metric = OF_VERSION_0_1
    """What its scores are."""


@dataclass(frozen=True)
class QueuedEvent:
    """An event on its way to the channels. The same `id` in every try marks it as one message."""

    id: str
    at_s: float
    """When it happened, Unix time by the clock of its machine: to be shown, never to be compared."""
    event: Event
    seq: int = 0
    """Its place among the events of the run's folder: a larger number is later, also after a resume elsewhere. Steps
    and scored images have the number of the event before them."""

    @property
    def at_ms(self) -> int:
        return round(self.at_s * 1000)


@dataclass(frozen=True)
class Context:
    """The arguments of a builder besides its settings."""

    facts: RunFacts
    secrets: Secrets
    memory: ChannelMemory
    """Values of this channel that a resumed run needs (a message to edit, a run id), saved in the run's folder."""
    language: Language = "en"
    every_epochs: int = 1
    """Epochs, or evaluations of a training that is counted in steps, between two messages about progress."""
    part: str = ""
    """Which of the parts of its `Kind` the channel is; empty: all of them."""


class Channel(ABC):
    """A destination of events. Only its own thread calls it, one event at a time, in order."""

    refresh_every_s: float | None = None
    """Seconds between two calls of `refresh` while the run lasts; None: it is never called."""

    @abstractmethod
    def accepts(self, event: Event) -> bool:
        """Whether the channel delivers this event. Must be quick and use no network; called in another thread."""

    @abstractmethod
    def must_arrive(self, event: Event) -> bool:
        """Whether an accepted event must arrive, even a day later; any other is dropped if a newer one waits."""

    @abstractmethod
    def deliver(self, queued: QueuedEvent) -> None:
        """Send an event. Returns if no further try is needed, else raises `NotDelivered` or `Refused`."""

    def refresh(self) -> None:  # noqa: B027
        """Show that the run is alive. Raises as `deliver`; a failed call is not repeated."""

    def close(self) -> None:  # noqa: B027
        """Release connections and locks. Sends nothing."""


@dataclass(frozen=True)
class Kind:
    """A row of the table of channels."""

    build: Callable[..., Channel]
    """`build(context, **settings)`. Must be cheap: libraries are imported and servers contacted at the first
    `deliver`."""
    missing: Callable[[Secrets, Mapping[str, Any]], str | None]
    """`missing(secrets, settings)`: why the channel cannot work, in a few words that name the variable or key
    (`SLACK_BOT_TOKEN is not set`); None if it can be tried. Uses no network. Raises `MalformedSecret`."""
    parts: Callable[[Secrets], Sequence[str]] = lambda secrets: ("",)
    """`parts(secrets)`: names of receivers that are independent, such as addresses; each becomes a channel `name:part`,
    so that one that is down does not delay the others."""


def occasion_of(event: Event) -> Occasion:
    """The kind of message that an event causes; an epoch with a new best score is `best`."""
    if isinstance(event, RunStarted):
        return "start"
    if isinstance(event, (RunFinished, ReportWritten, FoldsJoined)):
        return "end"
    if isinstance(event, (RunFailed, RunInterrupted)):
        return "error"
    return "best" if isinstance(event, EpochEnded) and event.is_best else "progress"


def is_due(event: EpochEnded, every_epochs: int) -> bool:
    """Whether a message about this epoch is due: after every `every_epochs` epochs, and after the last."""
    return (event.epoch + 1) % every_epochs == 0 or event.epoch + 1 == event.epochs
