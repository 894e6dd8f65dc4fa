"""A run for the tests of Slack: its facts, and its events with their times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from services.channel import Channel, Context, Language, QueuedEvent
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from services.slack import slack
from services.slack.bot import SlackBot
from tests.services.channels import facts
from tests.services.slack.rules import texts_of
from tests.services.slack.standin import TOKEN, SlackStandIn
from utils.events import EpochEnded, Event, ReportWritten, RunFailed, RunFinished, RunInterrupted, RunStarted, StepEnded

START_S = 1_800_000_000.0
EPOCHS = 4
FACTS = facts(
    Path("runs/mine/fold2"), run_id="run-1", title="mine/fold2", fold=2, group=Path("runs/mine"), dirty=False, config={}
)


def context(folder: Path, *, language: Language = "en", every_epochs: int = 1, **environment: str) -> Context:
    """The context of a builder, with `folder` as the run's folder and these secrets alone."""
    secrets = Secrets(folder / ".env", environment or {"SLACK_BOT_TOKEN": TOKEN})
    memory = RunMemory(folder).block("slack")
    return Context(replace(FACTS, folder=folder), secrets, memory, language, every_epochs)


def bot(folder: Path, standin: SlackStandIn, about: Context | None = None, **settings: Any) -> SlackBot:
    """The channel of the stand-in's bot, with what an earlier one has left in `folder`."""
    settings = {"channel": "#runs", "base_url": standin.base_url, **settings}
    made = slack(about or context(folder), **settings)
    assert isinstance(made, SlackBot)
    return made


class Night:
    """Delivers events a minute apart; each has its own id, and the next number after `after`.

    The channel's own clock, by which it paces its messages, stands still until `pass_by`.
    """

    def __init__(self, channel: Channel, start_s: float = START_S, after: int = 0) -> None:
        self.channel, self.at_s, self.count, self.now_s = channel, start_s, after, 0.0
        if isinstance(channel, SlackBot):
            channel.clock = lambda: self.now_s

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds

    def send(self, *events: Event) -> QueuedEvent:
        """Deliver events; returns the last one, so that a test can deliver it again."""
        for event in events:
            self.at_s += 60
            self.count += 1
            queued = QueuedEvent(f"{self.at_s:.0f}-{self.count}", self.at_s, event, self.count)
            self.channel.deliver(queued)
        return queued


def started(first_epoch: int = 0, epochs: int = EPOCHS) -> RunStarted:
    return RunStarted("mine/fold2", FACTS.folder, epochs, first_epoch, 640, 160, "Tesla V100-SXM2-32GB", "fp16")


def step(epoch: int, step: int, steps: int = 10, loss: float = 0.5) -> StepEnded:
    return StepEnded(epoch, step, steps, loss)


def epoch_ended(epoch: int, score: float, *, best: float | None = None, epochs: int = EPOCHS) -> EpochEnded:
    """The end of an epoch; its score is the best unless a better one is given."""
    return EpochEnded(
        epoch,
        epochs,
        seconds=90.0,
        train_loss=0.4 - 0.01 * epoch,
        loss_parts={},
        learning_rates={"encoder": 1e-4, "decoder": 1e-3},
        data_wait_share=0.02,
        valid_loss=0.3,
        score=score,
        score_per_class={"Trapezium": score - 0.2, "Radius": score},
        best=score if best is None else best,
        is_best=best is None,
        device={"memory_peak_mib": 21811.0},
    )


def finished(*, stopped_early: bool = False) -> RunFinished:
    return RunFinished("mine/fold2", FACTS.folder, EPOCHS, 0.9, 2, 7500.0, stopped_early)


def failed(reason: str = "boom", **more: Any) -> RunFailed:
    return RunFailed("mine/fold2", FACTS.folder, reason, FACTS.command, **more)


def interrupted(signal: str | None = "SIGTERM") -> RunInterrupted:
    return RunInterrupted("mine/fold2", FACTS.folder, 1, 7, FACTS.command, signal)


def report(**pictures: Path) -> ReportWritten:
    named = {name.replace("_", " "): path for name, path in pictures.items()}
    classes = {"Trapezium": 0.71, "Trapezoid": 0.74, "Radius": 0.97}
    return ReportWritten("mine/fold2", FACTS.folder, FACTS.folder / "report.html", classes, named)


def shown(blocks: list[dict[str, Any]]) -> str:
    """All texts of a message's blocks, one per line."""
    return "\n".join(text for block in blocks for text in texts_of(block))
