"""How much each run of an ensemble counts: numbers in the order of the runs, or a file that knows classes.

A file gives them by run, `{"runs/a": 2, "runs/b": {"default": 1, "Pisiform": 3}}`: a number for all classes, or numbers
for some and the `default` (1) for the others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.arrays import Floats
from utils.config.messages import shown
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.files import read_json

# Shapes: R runs, C classes.

DEFAULT = "default"


def read_weights(texts: Sequence[str], runs: Sequence[Path], classes: Sequence[str]) -> Floats:
    """The weight of each run in each class, float64[R, C], 0 or more, from `--weights`; equal weights if it is empty.

    Raises `UserError` for anything but a number for each run, or one file.
    """
    if not texts:
        return np.ones((len(runs), len(classes)))
    if len(texts) == 1 and _number(texts[0]) is None:
        weights_RC = _from_file(Path(texts[0]), runs, classes)
    else:
        weights_RC = np.repeat(_from_numbers(texts, len(runs))[:, None], len(classes), axis=1)
    for index in np.flatnonzero(weights_RC.sum(axis=0) == 0)[:1]:
        raise UserError(f"--weights: no run counts for {classes[index]}. Give one of them a weight above 0.")
    return weights_RC


def _from_numbers(texts: Sequence[str], runs: int) -> Floats:
    """float64[R]."""
    if len(texts) != runs:
        raise UserError(f"--weights: expected a number for each of the {runs} runs, or one file; got {len(texts)}.")
    return np.array([_weight(_number(text), f"--weights: {text!r}") for text in texts])


def _from_file(path: Path, runs: Sequence[Path], classes: Sequence[str]) -> Floats:
    content = _read(path)
    by_run = {Path(name): weight for name, weight in content.items()}
    unknown = next((name for name in by_run if name not in runs), None)
    if unknown is not None:
        names = [str(run) for run in runs]
        raise UserError(f"{path}: '{unknown}' is not among --runs. {did_you_mean(str(unknown), names)}")
    missing = [str(run) for run in runs if run not in by_run]
    if missing:
        raise UserError(f"{path}: has no weight for {', '.join(missing)}. Add one, or 0 to leave a run out.")
    return np.stack([_of_run(by_run[run], f"{path}: {run}", classes) for run in runs])


def _read(path: Path) -> Mapping[str, Any]:
    example = 'Write {"<run>": 2, "<run>": {"default": 1, "<class>": 3}}.'
    unreadable = "--weights takes a number for each run, or a file."
    content = read_json(path, unreadable=unreadable, malformed=example)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a weight for each run. {example}")
    return content


def _of_run(value: Any, source: str, classes: Sequence[str]) -> Floats:
    """float64[C]."""
    if not isinstance(value, dict):
        return np.full(len(classes), _weight(value, source))
    for name in value:
        if name not in classes and name != DEFAULT:
            raise UserError(
                f"{source}: '{name}' is not a class of this task. {did_you_mean(name, [*classes, DEFAULT])}"
            )
    default = value.get(DEFAULT, 1.0)
    return np.array([_weight(value.get(name, default), f"{source}: {name}") for name in classes])


def _weight(value: Any, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
        raise UserError(f"{source}: expected a weight of 0 or more, got {shown(value)}.")
    return float(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
