"""Convert settings and events of a run to the names, numbers and texts that MLflow accepts, within its limits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.channel import RunFacts
from utils.events import EpochEnded, Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted, StartScored
from utils.metric import Metric
from utils.redact import redact
from utils.rounds import counted_in, done_after

LONGEST_NAME = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 5000
"""Servers accept 8000, but before MLflow 2.13 they accept no more than this."""
CUT = " … (cut)"

Status = str
"""RUNNING, FINISHED, FAILED or KILLED."""


def params_of(config: Mapping[str, Any]) -> dict[str, str]:
    """A configuration as parameters: `trainer.epochs`; lists as JSON."""
    return {name_of(key): text_of(value, LONGEST_PARAM) for key, value in _flat(config, "")}


def metrics_of(event: EpochEnded | StartScored, metric: Metric) -> dict[str, float]:
    """The numbers of an epoch, or of the start, by name. Some may not be finite."""
    if isinstance(event, StartScored):
        numbers = {"valid/loss": event.valid_loss, metric.name: event.score, "seconds": event.seconds}
        return numbers | _below(metric.name, event.score_per_class)
    found: dict[str, float | None] = {
        "train/loss": event.train_loss,
        **_below("train", event.loss_parts),
        "valid/loss": event.valid_loss,
        metric.name: event.score,
        **_below(metric.name, event.score_per_class),
        "best": event.best,
        f"best_{counted_in(event.rounds)}": done_after(event.epoch, event.rounds) if event.is_best else None,
        **_below("lr", event.learning_rates),
        "seconds": event.seconds,
        "data_wait_share": event.data_wait_share,
        **_below("device", event.device),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def joined_metrics(event: FoldsJoined, metric: Metric) -> dict[str, float]:
    """The numbers of a cross-validation by name."""
    spread = {} if event.spread is None else {"cv/spread": event.spread}
    return {"cv/mean": event.mean, **spread, **_below(f"cv/{metric.name}", event.score_per_class)}


def split_finite(metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """The finite numbers, and the names of the others: MLflow would draw infinity as 1.8e308."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return finite, [name for name in metrics if name not in finite]


def tags_of(facts: RunFacts) -> dict[str, str]:
    """Tags with the user, code, host, task and command of a run. MLflow shows tags that begin with `mlflow.` itself."""
    tags = {
        "mlflow.user": facts.user,
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": facts.commit,
        "git_dirty": facts.dirty,
        "host": facts.host,
        "task": facts.task,
        "fold": facts.fold,
        "folder": str(facts.folder.absolute()),
        "resume_command": facts.command,
    }
    return as_tags(tags)


def start_tags(event: RunStarted) -> dict[str, str]:
    """Tags with the device and the numbers of images; tags about an earlier end become empty."""
    known = {"device": event.device, "precision": event.precision}
    images = {"train_images": event.train_images, "valid_images": event.valid_images}
    return as_tags({**known, **images, "state": "training", "fault": "", "reason": "", "signal": ""})


def parent_tags(facts: RunFacts, folder: Path) -> dict[str, str]:
    """The tags of a parent run: those of a fold that hold for all folds."""
    own = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit", "git_dirty", "task")
    return {name: value for name, value in tags_of(facts).items() if name in own} | {"folder": str(folder.absolute())}


def end_tags(event: Event) -> dict[str, str]:
    """Tags that say how a run ended in more detail than its status. Those that belong to another end become empty."""
    tags: dict[str, Any] = {"state": "", "fault": "", "reason": "", "signal": ""}
    if isinstance(event, RunFinished):
        done = {f"{counted_in(event.rounds)}s_done": done_after(event.epochs_done - 1, event.rounds)}
        tags |= {"state": "stopped_early" if event.stopped_early else "done", **done}
    elif isinstance(event, RunInterrupted):
        tags |= {"state": "interrupted", "signal": event.signal or "", "resume_command": event.command}
    elif isinstance(event, RunFailed):
        tags |= {"state": "lost" if event.fault == "lost" else "failed", "fault": event.fault, "reason": event.reason}
    return as_tags(tags)


def status_of(event: Event) -> Status:
    """The status of a run that ended. KILLED: the cause was outside the run."""
    if isinstance(event, RunFailed):
        return "KILLED" if event.fault == "lost" else "FAILED"
    return "KILLED" if isinstance(event, RunInterrupted) else "FINISHED"


def joint_status(folds: Sequence[Status], *, joined: bool) -> Status:
    """The status of a cross-validation by those of its folds; `joined`: all of them were finished once."""
    if "RUNNING" in folds or not folds:
        return "RUNNING"
    if joined:
        return "FINISHED"
    return next((status for status in ("FAILED", "KILLED") if status in folds), "RUNNING")


def drift_in(known: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """The parameters whose values in MLflow differ from the wanted ones, as text; empty if there are none."""
    changed = [key for key in sorted(known.keys() & wanted.keys()) if known[key] != wanted[key]]
    return "; ".join(f"{key}: {known[key]} → {wanted[key]}" for key in changed)


def as_tags(values: Mapping[str, Any]) -> dict[str, str]:
    """Tags as texts, without those whose value is None."""
    return {key: text_of(value, LONGEST_TAG) for key, value in values.items() if value is not None}


def name_of(text: str) -> str:
    """A name that MLflow accepts: letters, digits and `_-./: `, 250 characters at most."""
    return re.sub(r"[^/\w.\- :]", "_", text)[:LONGEST_NAME].strip("./ ") or "_"


def text_of(value: Any, longest: int) -> str:
    """A value as text, without secrets, truncated to `longest` characters."""

    return cut(redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)), longest)


def cut(text: str, longest: int) -> str:
    """A text with `longest` characters at most; if something is left out, it ends with `CUT`."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def _below(group: str, values: Mapping[str, float]) -> dict[str, float]:
    return {name_of(f"{group}/{re.sub('[/.]', '_', name)}"): value for name, value in values.items()}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}".lstrip(".").replace("/", "_"))
    else:
        yield key, value
