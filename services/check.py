"""Show which channels are set up and what they would send: `python -m services.check [--config CONFIG] [--send] …`.

With `--send` one test message goes to each channel that is set up. A program of the top layer: it reads a config, and
no other module imports it.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.command_line import add_overrides
from configs.loading.load import as_dict, load
from configs.schema import Config
from services import CHANNELS
from services.channel import Context, NotDelivered, QueuedEvent, Refused, RunFacts
from services.delivery.delivery import reasons_off
from services.delivery.run_memory import RunMemory
from services.previews import previews
from services.secrets import Secrets
from utils.errors import UserError
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
from utils.log import log_to_console
from utils.program import run_program
from utils.redact import redact
from utils.system.user import user_name

NAMES = {"slack": "Slack", "kakao": "KakaoTalk", "sheets": "Google Sheets", "mlflow": "MLflow", "apprise": "Apprise"}
ONE_MESSAGE = ("kakao",)
"""Channels that get one test message instead of a start and an end, because their messages per day are limited."""
SCORES = {"Trapezium": 0.9312, "Pisiform": 0.9021, "Lunate": 0.9544, "Radius": 0.9871}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.check", description="Who would hear of a run, and what.", add_help=False
    )
    parser.add_argument("--config", type=Path, default=Path("configs/base_train.yaml"), help="the experiment")
    parser.add_argument("--send", action="store_true", help="really send one test to each channel that is set up")
    add_overrides(parser)
    arguments = parser.parse_intermixed_args()
    log_to_console()
    logging.getLogger().setLevel(logging.WARNING)
    config = load(arguments.config, arguments.overrides)
    return send(config) if arguments.send else show(config)


def show(config: Config) -> int:
    """Print the state of every channel and what it would send; returns 0."""
    settings, secrets = as_dict(config.services), Secrets()
    why = reasons_off(settings, secrets)
    with tempfile.TemporaryDirectory() as folder:
        for name in CHANNELS:
            write_line(state_of(name, why))
            context = context_of(config, settings, secrets, RunMemory(Path(folder)), name)
            for occasion, text in (
                previews(name, context, settings[name], example_events(context.facts)) if name in why else ()
            ):
                write_line(f"  {occasion}")
                write_line("\n".join(f"  │ {line}" for line in redact(text).splitlines()))
            write_line("")
    for words in secrets.unused():
        write_line(f"{secrets.env_file.name}: {words}")
    write_line("Nothing was sent. `python -m services.check --send` sends one test to each channel that is ready.")
    return 0


def send(config: Config) -> int:
    """Send one test to each channel that is set up; returns 0 if all arrived, else 2."""
    settings, secrets = as_dict(config.services), Secrets()
    why, arrived = reasons_off(settings, secrets), []
    with tempfile.TemporaryDirectory() as folder:
        for name in CHANNELS:
            if name not in why or why[name] is not None:
                write_line(state_of(name, why))
                continue
            context = context_of(config, settings, secrets, RunMemory(Path(folder)), name)
            fault = fault_in_sending(name, context, settings[name])
            arrived.append(fault is None)
            write_line(f"{NAMES[name]}: {'sent, look there' if fault is None else f'not sent. {redact(fault)}'}")
    return 0 if arrived and all(arrived) else 2


def fault_in_sending(name: str, context: Context, settings: Mapping[str, Any]) -> str | None:
    """Send a test as a run would, whichever events are chosen; returns what went wrong, or None."""
    start, *_, stop, _, _ = example_events(context.facts)
    others = {key: value for key, value in settings.items() if key != "events"}
    try:
        channel = CHANNELS[name].build(context, **others)
        for queued in [start] if name in ONE_MESSAGE else [start, stop]:
            channel.deliver(queued)
        channel.close()
    except (Refused, NotDelivered, UserError) as error:
        return str(error)
    return None


def state_of(name: str, why: Mapping[str, str | None]) -> str:
    """One line that says whether a channel would be used, and how to set it up if not."""
    if name not in why:
        return f"{NAMES[name]}: switched off by services.{name}.enabled"
    reason = why[name]
    if reason is None:
        return f"{NAMES[name]}: ready"
    return f"{NAMES[name]}: off, {reason.rstrip('.')}. How to set it up: docs/services/{name}.md"


def context_of(config: Config, settings: Mapping[str, Any], secrets: Secrets, memory: RunMemory, name: str) -> Context:
    """The context that a run of this experiment would give a channel; the title shows that it is a test."""
    title = f"{config.run.name} (services.check)"
    values = {key: value for key, value in as_dict(config).items() if key != "services"}
    facts = RunFacts(
        run_id=uuid.uuid4().hex[:12],
        title=title,
        name=title,
        task=config.task,
        fold=0,
        folder=(config.run.folder / "services-check").absolute(),
        group=None,
        command="python train.py --resume",
        host=platform.node(),
        user=user_name(),
        commit=None,
        dirty=False,
        config=values,
    )
    return Context(facts, secrets, memory.block(name), settings["language"], settings["every_epochs"])


def example_events(facts: RunFacts) -> Sequence[QueuedEvent]:
    """One event of each kind, with the numbers of a typical run."""
    name, folder = facts.title, facts.folder
    memory = "Out of memory: Tesla V100 has 31.7 GiB, this run held up to 31.2 GiB. Lower trainer.batch_size."
    events: tuple[Event, ...] = (
        RunStarted(name, folder, 50, 0, 640, 160, "Tesla V100-SXM2-32GB", "fp16"),
        EpochEnded(
            36, 50, 150.0, 0.0412, {"bce": 0.01}, {"all": 3e-4}, 0.02, 0.0455, 0.9701, SCORES, 0.9701, True,
            {"memory_peak_mib": 21811.0, "memory_total_mib": 32480.0},
        ),
        RunFinished(name, folder, 50, 0.9701, 36, 7500.0, False),
        ReportWritten(name, folder, folder / "report.html", SCORES, {"dice per class": folder / "dice_per_class.png"}),
        RunInterrupted(name, folder, 37, 12, facts.command, "SIGTERM"),
        RunFailed(name, folder, memory, facts.command, "memory"),
        FoldsJoined(name, folder, 5, 0.9688, 0.0021, folder / "crossval.html", SCORES),
    )  # fmt: skip
    return [QueuedEvent(uuid.uuid4().hex, time.time(), event) for event in events]


def write_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    run_program(main)
