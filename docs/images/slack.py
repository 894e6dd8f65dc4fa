"""Draw the Slack channel of a night's runs, in English and Korean, as the stand-in has kept it, much as Slack draws it.

python -m docs.images.slack page.html --run runs/demo --language ko

The browser that draws the page needs a font of emoji (fonts-noto-color-emoji).
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.tasks import TASKS
from services.channel import Context, Language, QueuedEvent, RunFacts
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from services.slack import slack
from tests.services.slack.standin import TOKEN, File, Message, SlackStandIn
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
    parser = argparse.ArgumentParser(prog="python -m docs.images.slack", description="Draw a Slack channel.")
    parser.add_argument("output", type=Path, help="the page to write")
    parser.add_argument("--run", type=Path, required=True, help="a finished run, for the pictures of its worst images")
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
        return Page(standin, language).html(standin.parents[0])


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
    return sorted((run / "pictures").glob("worst_*.jpg"))[:2]


def facts(title: str, folder: Path) -> RunFacts:
    known = RunFacts("", title, title, "hand_bone", None, folder, None, COMMAND, "", "", "3f9c2a7e", False, {})
    return replace(known, run_id=title, host="v100-2", user="kim")


PEOPLE = {"U012AB3CD": "kim"}
SEOUL_S = 9 * 3600
WORDS = {
    "en": {
        "thread": "Thread",
        "reply": "1 reply",
        "replies": "{} replies",
        "replied": "replied to a thread:",
        "date": "%b %d, %Y %H:%M",
    },
    "ko": {
        "thread": "스레드",
        "reply": "댓글 1개",
        "replies": "댓글 {}개",
        "replied": "스레드에 댓글을 남겼습니다:",
        "date": "%Y년 %m월 %d일 %H:%M",
    },
}


class Page:
    """The channel, and on the right the thread of the message that is opened, as Slack shows them in a language."""

    def __init__(self, standin: SlackStandIn, language: str) -> None:
        self.standin, self.words = standin, WORDS[language]

    def html(self, opened: Message | None) -> str:
        """A whole page."""
        shown = "".join(map(self._in_channel, self.standin.messages))
        name = html.escape(self.standin.channels[0].name)
        channel = f"<div class='pane'><div class='bar'># {name}</div><div class='list'>{shown}</div></div>"
        thread = self._thread(opened) if opened else ""
        return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style><div class='window'>{channel}{thread}</div>"

    def _in_channel(self, message: Message) -> str:
        if message.thread_ts is not None and not message.broadcast:
            return ""
        return self._message(message, self._replied(message), self._replies(message))

    def _thread(self, parent: Message) -> str:
        replies = self.standin.replies(parent)
        count = self._count(len(replies))
        return (
            f"<div class='pane thread'><div class='bar'>{self.words['thread']}</div><div class='list'>"
            f"<div class='count'><span>{count}</span></div>{''.join(map(self._message, replies))}</div></div>"
        )

    def _message(self, message: Message, above: str = "", below: str = "") -> str:
        at = time.strftime("%H:%M", time.gmtime(float(message.ts) + SEOUL_S))
        blocks = "".join(map(self._block, message.blocks)) or f"<div class='section'>{self._mrkdwn(message.text)}</div>"
        files = "".join(map(_file, message.files))
        return (
            "<div class='message'><div class='face'>C</div><div class='body'><b>Carpus</b><span class='app'>APP</span>"
            f"<span class='time'>{at}</span>{above}{blocks}<div class='files'>{files}</div>{below}</div></div>"
        )

    def _replied(self, message: Message) -> str:
        """What a reply says that is shown in the channel as well."""
        for parent in self.standin.parents:
            if parent.ts == message.thread_ts:
                return f"<div class='replied'>{self.words['replied']} <i>{self._mrkdwn(parent.text)}</i></div>"
        return ""

    def _replies(self, message: Message) -> str:
        count = len(self.standin.replies(message))
        words = self._count(count)
        return f"<div class='replies'><span class='small face'>C</span>{words}</div>" if count else ""

    def _count(self, replies: int) -> str:
        return self.words["reply"] if replies == 1 else self.words["replies"].format(replies)

    def _block(self, block: dict[str, Any]) -> str:
        if block["type"] == "header":
            return f"<div class='header'>{html.escape(block['text']['text'])}</div>"
        if block["type"] == "context":
            lines = "<br>".join(self._mrkdwn(part["text"]) for part in block["elements"])
            return f"<div class='context'>{lines}</div>"
        if "fields" in block:
            cells = "".join(f"<div>{self._mrkdwn(field['text'])}</div>" for field in block["fields"])
            return f"<div class='fields'>{cells}</div>"
        return f"<div class='section'>{self._mrkdwn(block['text']['text'])}</div>"

    def _mrkdwn(self, text: str) -> str:
        """Slack's markup as HTML. Texts arrive escaped; what still stands between < and > is Slack's own."""
        pieces = re.split(r"```(.*?)```", text, flags=re.DOTALL)
        return "".join(f"<pre>{part}</pre>" if number % 2 else self._line(part) for number, part in enumerate(pieces))

    def _line(self, text: str) -> str:
        text = re.sub(r"<!date\^(\d+)\^[^|>]*\|[^>]*>", lambda found: self._date(int(found[1])), text)
        text = re.sub(r"<@(\w+)>", lambda found: f"\0@{PEOPLE.get(found[1], found[1])}\1", text)
        text = text.replace("<", "&lt;").replace(">", "&gt;")
        text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text)
        text = re.sub(r"(?<!\w)\*([^*\n]+)\*", r"<b>\1</b>", text)
        text = text.replace("\0", "<span class='mention'>").replace("\1", "</span>")
        return text.strip("\n").replace("\n", "<br>")

    def _date(self, at_s: int) -> str:
        return time.strftime(self.words["date"], time.gmtime(at_s + SEOUL_S))


def _file(file: File) -> str:
    title, content = html.escape(file.title), file.content or b""
    if file.name.endswith((".png", ".jpg")):
        data = base64.b64encode(content).decode()
        return f"<figure><figcaption>{title}</figcaption><img src='data:;base64,{data}'></figure>"
    lines = html.escape("\n".join(content.decode().splitlines()[:4]))
    return f"<figure class='snippet'><b>{title}</b> {html.escape(file.name)}<pre>{lines}\n…</pre></figure>"


STYLE = """
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: #5b3d5c; color: #1d1c1d; width: 1200px;
  font: 15px/1.46 Lato, 'Liberation Sans', 'Noto Sans CJK KR', 'Noto Color Emoji', sans-serif; }
.window { display: flex; background: #fff; border-radius: 8px; overflow: hidden; margin-bottom: 24px; }
.pane { flex: 0 0 612px; min-width: 0; }
.thread { flex: 1; border-left: 1px solid #ddd; }
.bar { font-weight: 900; font-size: 17px; padding: 12px 20px; border-bottom: 1px solid #ddd; }
.list { padding: 8px 0 14px; }
.message { display: flex; padding: 8px 20px; }
.face { flex: 0 0 36px; height: 36px; border-radius: 6px; background: #2563eb; color: #fff; font-weight: 900;
  display: flex; align-items: center; justify-content: center; margin-right: 8px; }
.small.face { flex: 0 0 22px; height: 22px; font-size: 12px; border-radius: 4px; }
.body { min-width: 0; flex: 1; }
.app { background: #e8e8e8; color: #616061; border-radius: 2px; font-size: 10px; font-weight: 700; padding: 1px 3px;
  margin: 0 5px; vertical-align: 1px; }
.time, .replied { color: #616061; font-size: 12px; }
.replied { margin-top: 1px; } .replied i { font-style: normal; color: #1264a3; }
.header { font-size: 18px; font-weight: 900; margin: 6px 0 4px; }
.section { margin: 4px 0; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 16px; margin: 8px 0; }
.context { color: #616061; font-size: 13px; margin: 4px 0; }
code, pre { font-family: 'DejaVu Sans Mono', 'Noto Sans Mono CJK KR', monospace; font-size: 12px; background: #f8f8f8;
  border: 1px solid #ddd; border-radius: 3px; }
code { color: #c01343; padding: 2px 3px; }
pre { padding: 8px; margin: 4px 0; white-space: pre-wrap; word-break: break-all; }
.mention { background: #f2c74466; color: #1264a3; border-radius: 3px; padding: 0 2px; }
.replies { color: #1264a3; font-weight: 700; font-size: 13px; margin-top: 6px; display: flex; align-items: center; }
.count { display: flex; align-items: center; color: #616061; font-size: 13px; margin: 4px 20px; }
.count::after { content: ''; flex: 1; border-top: 1px solid #ddd; margin-left: 10px; }
.files { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 6px; }
figure { margin: 0; } figcaption { color: #616061; font-size: 12px; }
img { max-width: 440px; max-height: 300px; border-radius: 6px; border: 1px solid #ddd; display: block; }
.snippet { border: 1px solid #ddd; border-radius: 8px; padding: 8px 10px; font-size: 13px; width: 100%; }
"""

if __name__ == "__main__":
    main()
