"""Which weights files the paths on a command line stand for. Loads no torch: a wrong path is reported at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trainer.records.folder import RunFolder
from utils.errors import UserError
from utils.files import paths_in


def weights_of_runs(runs: Sequence[Path]) -> list[Path]:
    """The weights file of each run; the folder of a cross-validation gives those of its folds. Raises `UserError`."""
    found = [weights_of(single) for run in runs for single in single_runs(run)]
    twice = next((path for path in found if found.count(path) > 1), None)
    if twice is not None:
        raise UserError(f"--runs: {twice} is given twice. Name each run once.")
    return found


def single_runs(run: Path) -> list[Path]:
    """The folds in a cross-validation's folder, by number; for any other path the path itself.

    A fold whose files are missing is included, so that it is reported later.
    """
    folds = [path for path in paths_in(run, "fold*") if re.fullmatch(r"fold\d+", path.name) and path.is_dir()]
    if RunFolder(run).config.exists() or not folds:
        return [run]
    return sorted(folds, key=lambda path: int(path.name.removeprefix("fold")))


def weights_of(run: Path) -> Path:
    """The best weights of a run's folder, or the file itself. Raises `UserError` if there are none."""
    if run.is_file():
        return run
    best = RunFolder(run).best_weights
    if best.is_file():
        return best
    if RunFolder(run).finished.exists():
        raise UserError(
            f"{best}: is missing, though this run has finished. Put it back, or train anew with run.if_exists=replace."
        )
    if RunFolder(run).config.exists():
        raise UserError(f"{run}: this run has no best weights yet. Let it finish an epoch that is scored.")
    runs = sorted(run.glob("fold*/config.yaml")) or sorted(run.parent.glob("*/config.yaml"))
    near = ", ".join(str(path.parent) for path in runs)
    there_is = f"; there is {near}" if near else ""
    raise UserError(f"{run.absolute()}: no run here. Name a run's folder or a .safetensors file{there_is}.")
