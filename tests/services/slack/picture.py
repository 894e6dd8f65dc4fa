"""Draw the Slack channel of a night's runs, in English and Korean, as the stand-in has kept it.

python -m tests.services.slack.picture page.html --run runs/demo --language ko

The browser that draws the page needs a font of emoji (fonts-noto-color-emoji).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from data.tasks import TASKS
from services.channel import Context, Language, QueuedEvent, RunFacts
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from services.slack import slack
from tests.services.slack.standin import TOKEN, SlackStandIn
from trainer.drawing.charts import class_bars_png
from utils.events import EpochEnded, Event, ReportWritten, RunFailed, RunFinished, RunStarted, StepEnded
from utils.files import write_text

START_S = 1_795_262_400.0
EPOCHS, EPOCH_S = 40, 432.0
OWNER = "U012AB3CD"
COMMAND = "python train.py --config configs/unetpp_b5.yaml fold=2 --resume"
TRACE = """Traceback (most recent call last):
  File "train.py", line 41, in main
    train(config, resume=arguments.resume, command=command)
  File "trainer/runs/run.py", line 118, in complete
    best = engine.fit()
  File "trainer/training/engine.py", line 92, in fit
    self.train_epoch()
  File "trainer/training/loader.py", line 77, in decode
    raise ValueError(f"{path}: not a PNG")
ValueError: datasets/train/DCM/ID073/image1661319116107.png: not a PNG"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.services.slack.picture", description="Draw a Slack channel.")
    parser.add_argument("output", type=Path, help="the page to write")
    parser.add_argument("--run", type=Path, required=True, help="a finished run with a gallery, for its pictures")
    parser.add_argument("--language", choices=("en", "ko"), default="en")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_text(arguments.output, channel(Path(folder), arguments.run, arguments.language))


def channel(folder: Path, run: Path, language: Language) -> str:
    """The channel after a night: one run is done (English) or broken (Korean), another one goes on."""
    with SlackStandIn() as standin:
        night = Night(standin, folder, language)
        standin.now = lambda: night.at_s
        if language == "en":
            night.train("unetpp_b5/fold1", 0.9174, epochs=34)
            night.finish(run, best_epoch=27)
        else:
            night.train("unetpp_b5/fold2", 0.9121, epochs=17)
            night.fail()
        night.train("segformer_b3", 0.8988, epochs=9)
        night.send(StepEnded(9, 70, 160, 0.1911))
        page: str = standin.html(standin.parents[0], language)
        return page


class Night:
    """Runs one after the other, whose events are sent to the stand-in at their times."""

    def __init__(self, standin: SlackStandIn, folder: Path, language: Language) -> None:
        self.standin, self.folder, self.language = standin, folder, language
        self.at_s, self.count = START_S, 0

    def train(self, title: str, best: float, *, epochs: int) -> None:
        """A run that learns for so many epochs, ever more slowly."""
        self.title, self.best, self.begun_s = title, best, self.at_s
        secrets = Secrets(self.folder / ".env", {"SLACK_BOT_TOKEN": TOKEN})
        memory = RunMemory(self.folder / title).block("slack")
        about = Context(facts(title, self.folder), secrets, memory, self.language, every_epochs=5)
        self.channel = slack(about, channel="#runs", owner=OWNER, base_url=self.standin.base_url)
        self.channel.clock = lambda: self.at_s  # type: ignore[attr-defined]
        self.send(RunStarted(title, self.folder, EPOCHS, 0, 640, 160, "Tesla V100-SXM2-32GB", "fp16"))
        for epoch in range(epochs):
            self.at_s += EPOCH_S
            self.send(self.epoch_ended(epoch))

    def epoch_ended(self, epoch: int) -> EpochEnded:
        score = self.best - 0.3 * 0.8 ** min(epoch, 26) - (0.0021 if epoch > 26 else 0.0)
        return EpochEnded(
            epoch,
            EPOCHS,
            EPOCH_S,
            train_loss=0.16 + 0.5 * 0.85**epoch,
            loss_parts={},
            learning_rates={"encoder": 1e-4, "decoder": 3e-4 * (1 - epoch / EPOCHS)},
            data_wait_share=0.03,
            score=score,
            best=score,
            is_best=epoch <= 26,
            device={"memory_peak_mib": 27443.0},
        )

    def fail(self) -> None:
        """Stumble over an image."""
        reason = "datasets/train/DCM/ID073/image1661319116107.png: not a PNG"
        self.send(RunFailed(self.title, self.folder, reason, COMMAND, trace=TRACE))

    def finish(self, run: Path, *, best_epoch: int) -> None:
        """Stop early, and show the chart and the worst cases of a run that is really there."""
        took_s = self.at_s - self.begun_s
        self.send(RunFinished(self.title, run, 34, self.best, best_epoch - 1, took_s, stopped_early=True))
        per_class = json.loads((run / "validation.json").read_text(encoding="utf-8"))["per_class"]
        chart = self.folder / "dice_per_class.png"
        chart.write_bytes(class_bars_png(per_class, TASKS["hand_bone"].groups, "Validation Dice per class"))
        worst = {f"Worst case {number}": path for number, path in enumerate(galleries(run), 1)}
        report = Path("runs") / self.title / "report.html"
        self.send(ReportWritten(self.title, run, report, per_class, {"Dice per class": chart, **worst}))

    def send(self, event: Event) -> None:
        self.at_s += 31
        self.count += 1
        self.channel.deliver(QueuedEvent(str(self.count), self.at_s, event))


def galleries(run: Path) -> list[Path]:
    return sorted((run / "gallery").glob("image_*.jpg"))[:2]


def facts(title: str, folder: Path) -> RunFacts:
    known = RunFacts("", title, title, "hand_bone", None, folder, None, COMMAND, "", "", "3f9c2a7e", False, {})
    return replace(known, run_id=title, host="v100-2", user="kim")


if __name__ == "__main__":
    main()
