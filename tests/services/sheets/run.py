"""A run for the tests of the spreadsheet: its channel, its events, and a clock that a test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.channel import Context, NotDelivered, QueuedEvent
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from services.sheets import Spreadsheet
from tests.services import channels
from tests.services.sheets.standin import BOOK, SheetsStandIn
from utils.events import EpochEnded, Event, ReportWritten, RunFinished, RunStarted

START_S = 1_800_000_000.0
"""2027-01-15 17:00:00 in Seoul."""
START_DAYS = 46402 + 17 / 24
CONFIG: dict[str, Any] = {
    "model": {"name": "unetplusplus", "encoder": "tu-hrnet_w48"},
    "optimizer": {"name": "adamw", "lr": 5e-4},
    "scheduler": {"name": "cosine"},
    "trainer": {"epochs": 50},
    "early_stopping": None,
}


class Run:
    """One run on one server, with its channel and clock."""

    def __init__(self, google: SheetsStandIn, folder: Path, **facts: Any) -> None:
        self.google, self.folder = google, folder
        self.settings: dict[str, Any] = {}
        about = {"run_id": "run-1", "command": "python train.py --resume mine", "user": "jun", "config": CONFIG}
        self.facts = channels.facts(folder, **{**about, **facts})
        self.now_s = START_S
        self.counter = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.channel = self.again()

    def again(self, language: Any = "en", **settings: Any) -> Spreadsheet:
        """A new channel for the same run, as a resumed run or a flush would make it."""
        key = self.folder / "key.json"
        if not key.exists():
            self.google.write_key(key)
        secrets = Secrets(self.folder / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
        context = Context(self.facts, secrets, RunMemory(self.folder).block("sheets"), language)
        self.settings.update(settings)
        made = Spreadsheet(context, spreadsheet=BOOK, base_url=self.google.url, **self.settings)
        made.now = made.monotonic = lambda: self.now_s
        self.channel = made
        return made

    def send(self, event: Event, *, again: int = 1) -> None:
        """Deliver as a worker does: accepted events alone, and repeatedly until a delivery succeeds."""
        queued = self.queued(event)
        if self.channel.accepts(event):
            for _ in range(again - 1):
                try:
                    self.channel.deliver(queued)
                except NotDelivered:
                    continue
            self.channel.deliver(queued)

    def queued(self, event: Event) -> QueuedEvent:
        self.counter += 1
        return QueuedEvent(f"{self.facts.run_id}-{self.counter}", self.now_s, event, self.counter)

    def refresh(self, after_s: float = 120.0) -> None:
        self.now_s += after_s
        self.channel.refresh()

    def start(self, **changes: Any) -> None:
        self.send(
            RunStarted(
                **{
                    **{"name": "mine", "folder": self.folder, "epochs": 50, "first_epoch": 0, "train_images": 640},
                    **{"valid_images": 160, "device": "Tesla V100-SXM2-32GB", "precision": "fp16"},
                    **changes,
                }
            )
        )

    def end_epoch(
        self,
        epoch: int,
        score: float,
        *,
        is_best: bool = True,
        epochs: int = 50,
        seconds: float = 300.0,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        found = {"finger-1": score, "Radius": score + 0.01} if scores is None else scores
        rates, parts = {"decoder": 5e-4}, {"dice": 0.1}
        self.send(
            EpochEnded(
                *(epoch, epochs, seconds, 0.1, parts, rates, 0.02),
                *(0.1, score, found, score, is_best),
                device={"memory_peak_mib": 20480.0},
            )
        )

    def finish(
        self, best: float = 0.97, *, epochs: int = 50, best_epoch: int = 41, seconds: float = 15_000.0, again: int = 1
    ) -> None:
        self.send(RunFinished("mine", self.folder, epochs, best, best_epoch, seconds, epochs < 50), again=again)

    def report(self, **scores: float) -> None:
        found = {"finger-1": 0.97, "Radius": 0.98, **scores}
        self.send(ReportWritten("mine", self.folder, self.folder / "report.html", found))


MakeRun = Callable[..., Run]
"""Makes a run by its id and facts; the fixture `make_run`."""


def requests(google: SheetsStandIn) -> tuple[int, int]:
    """The numbers of reads and writes so far."""
    kinds = [kind for _, kind in google.counted]
    return kinds.count("read"), kinds.count("write")


def board(google: SheetsStandIn) -> list[dict[str, Any]]:
    return google.book.tab("servers").table()
