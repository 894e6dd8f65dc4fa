"""A run for the tests of MLflow: its folder with files, its facts, its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.channel import Context, QueuedEvent
from services.delivery.run_memory import RunMemory
from services.mlflow import Mlflow
from services.secrets import Secrets
from tests.services.channels import facts
from utils.events import EpochEnded, Event, RunFinished, RunStarted

CONFIG: dict[str, Any] = {
    "task": "hand",
    "model": {"name": "unet", "encoder": "resnet34", "encoder_weights": None},
    "trainer": {"epochs": 3, "accumulate": 1, "ema": False},
    "loss": {"name": "mix", "parts": [{"loss": "dice"}, {"loss": "bce", "weight": 0.5}]},
    "data": {"root": "datasets/손"},
}
START_S = 1_700_000_000.0


class Run:
    """A run in `<runs>/<name>`, or a fold of one. Each `channel()` is a new one, as in a new process."""

    def __init__(self, runs: Path, name: str = "mine", fold: int | None = None) -> None:
        group = None if fold is None else runs / name
        self.folder = runs / name if fold is None else runs / name / f"fold{fold}"
        title = name if fold is None else f"{name}/fold{fold}"
        about = {"title": title, "name": name, "task": "hand", "fold": fold or 0, "group": group}
        command = f"python train.py run.name={name} --resume"
        self.facts = facts(
            self.folder, run_id=f"id-{title}", command=command, user="mina", commit="abc123", config=CONFIG, **about
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in ("config.yaml", "environment.json", "metrics.csv", "log.txt"):
            (self.folder / file).write_text(f"{file} of {title}\n")

    def channel(self, environment: Mapping[str, str] | None = None, **settings: Any) -> Mlflow:
        secrets = Secrets(self.folder / ".env", environment or {})
        return Mlflow(Context(self.facts, secrets, RunMemory(self.folder).block("mlflow")), **settings)

    def bring(self, *events: QueuedEvent, channel: Mlflow | None = None) -> None:
        """Deliver events, each by a new channel unless one is given."""
        for event in events:
            (channel or self.channel()).deliver(event)

    @property
    def remembered(self) -> dict[str, Any]:
        return RunMemory(self.folder).blocks.get("mlflow", {})

    def configured(self, **config: Any) -> Run:
        """The same run, resumed with other settings."""
        self.facts = replace(self.facts, config={**CONFIG, **config})
        return self

    def of_all_folds(self) -> Run:
        """The run that stands for all folds together."""
        self.facts = replace(self.facts, fold=None)
        return self

    def started(self, first_epoch: int = 0, at_s: float = START_S) -> QueuedEvent:
        event = RunStarted(self.facts.title, self.folder, 3, first_epoch, 640, 160, "cpu, 1 thread", "fp32")
        return queued(event, at_s)

    def finished(self, at_s: float = START_S + 100, *, early: bool = False) -> QueuedEvent:
        return queued(RunFinished(self.facts.title, self.folder, 3, 0.9, 2, 90.0, stopped_early=early), at_s)


def queued(event: Event, at_s: float) -> QueuedEvent:
    """An event with an id that says what it is; its number follows from the time."""
    return QueuedEvent(f"{type(event).__name__}-{at_s:.0f}", at_s, event, seq=round(at_s - START_S) + 1)


def epoch(number: int, at_s: float | None = None, **values: Any) -> QueuedEvent:
    """The end of an epoch, counted from 1; each takes ten seconds."""
    event = EpochEnded(
        epoch=number - 1,
        epochs=3,
        seconds=9.5,
        train_loss=1 / number,
        loss_parts={"dice": 0.5},
        learning_rates={"encoder": 1e-4, "decoder": 1e-3},
        data_wait_share=0.02,
        valid_loss=0.4,
        score=0.5 + number / 10,
        score_per_class={"Radius": 0.9, "finger-1": 0.8},
        best=0.5 + number / 10,
        is_best=True,
        device={"memory_peak_mib": 1234.0},
    )
    event = replace(event, **values)
    return queued(event, START_S + 10 * number if at_s is None else at_s)
