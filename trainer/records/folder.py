"""The folder of a run, `runs/<name>/`: the paths of its files, and how it is made or refused."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError
from utils.files import clear_unfinished, paths_in

log = logging.getLogger(__name__)

SERVICES = ("services.json", "outbox.jsonl", ".outbox.lock", ".outbox.append.lock")
"""What `services` keeps in a run's folder."""


@dataclass(frozen=True)
class RunFolder:
    """The places of one run's files."""

    path: Path

    @property
    def lock(self) -> Path:
        """Beside the folder, which may be renamed while it is held."""
        return self.path.with_name(f".{self.path.name}.lock")

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def folds(self) -> Path:
        """The settings of several folds, beside the folders of the folds."""
        return self.path / "folds.yaml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def sources(self) -> Path:
        """What the run learns from: its sources of images and its starting weights, with their licences."""
        return self.path / "sources.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def has_state(self) -> bool:
        """Whether there is a state to continue from."""
        return bool(paths_in(self.checkpoints, "state-*.pt"))

    @property
    def best_weights(self) -> Path:
        return self.checkpoints / "best.safetensors"

    @property
    def swa_weights(self) -> Path:
        """The average of the last epochs, if `trainer.swa_from_epoch` is set."""
        return self.checkpoints / "swa.safetensors"

    @property
    def kept_weights(self) -> list[Path]:
        """The weights that `checkpoint.keep_every_steps` kept, in the order of their optimizer steps."""
        found = paths_in(self.checkpoints, "step-*.safetensors")
        return sorted((path for path in found if step_of(path) >= 0), key=step_of)

    def weights_of_step(self, step: int) -> Path:
        """The place of weights that are kept after an optimizer step."""
        return self.checkpoints / f"step-{step:08d}.safetensors"

    @property
    def swa_validation(self) -> Path:
        return self.path / "swa.json"

    @property
    def validation(self) -> Path:
        return self.path / "validation.json"

    @property
    def distances(self) -> Path:
        """How far the outlines of the best weights lie from the true ones, if that was asked for."""
        return self.path / "distances.json"

    @property
    def checkpoint_scores(self) -> Path:
        """How well each kept network does on given images, as `python -m trainer.checkpoints` writes it."""
        return self.path / "checkpoints.json"

    @property
    def finished(self) -> Path:
        """There once the run has come to its end: how it ended."""
        return self.path / "finished.json"

    def output(self, name: str) -> Path:
        """The place of predictions, by the name that the task gives them."""
        return self.path / name

    @property
    def score(self) -> Path:
        return self.path / "score.json"

    @property
    def pictures(self) -> Path:
        """Charts and held-out images as the report shows them."""
        return self.path / "pictures"

    @property
    def gallery(self) -> Path:
        return self.path / "gallery"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


def step_of(path: Path) -> int:
    """Return the optimizer step in the name of a state or of kept weights; -1 for a name that holds none.

    Example: 2000 for `step-00002000.safetensors`.
    """
    number = path.stem.partition("-")[2]
    return int(number) if number.isdecimal() else -1


def open_folder(folder: RunFolder, *, resume: bool, replace: bool) -> None:
    """Make the folder of a new run, or find that of a run to resume. Raises `UserError` if neither is possible.

    Resuming what was killed before it left a trace begins it, so that one command is right at any time.
    """
    path = folder.path
    if resume and folder.config.exists():
        refuse_links(path)
        clear_unfinished(folder.path)
        clear_unfinished(folder.checkpoints)
        return
    refuse_foreign(folder)
    refuse_taken(folder, replace=replace)
    if resume:
        log.warning("%s: no run of this name yet, so it begins now", path)
    if has_progress(folder):
        set_aside(path)
    try:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}). Name another place with run.folder=….") from error


def refuse_no_run(folder: RunFolder) -> None:
    """Raise `UserError` if no run has begun in this folder."""
    if not folder.config.exists():
        raise UserError(f"{folder.path.absolute()}: no run here. Name a folder that train.py has made.")


def refuse_links(path: Path) -> None:
    """Raise `UserError` for a link in a run's folder that leads out of it: what the run writes would land there.

    The folder may be another person's. It may itself be reached through a link.
    """
    inside = path.resolve()
    for entry in [*path.iterdir(), *path.glob("checkpoints/*"), *path.glob("pictures/*"), *path.glob("gallery/*")]:
        if entry.is_symlink() and not entry.resolve().is_relative_to(inside):
            raise UserError(
                f"{entry}: is a link to {entry.resolve()}, out of the run's folder, and what the run writes would land "
                "there. Replace it by what it leads to."
            )


def refuse_taken(folder: RunFolder, *, replace: bool) -> None:
    """Raise `UserError` for the folder of a run that a new one must not replace."""
    if has_progress(folder) and not replace:
        raise UserError(
            f"{folder.path}: this run exists already. Continue it with --resume, choose another run.name, "
            "or replace it with run.if_exists=replace."
        )


def refuse_foreign(folder: RunFolder) -> None:
    """Raise `UserError` for a folder that holds other things than what a run leaves that was killed at its start."""
    if not folder.path.is_dir() or folder.config.exists():
        return
    clear_unfinished(folder.path)
    if any((path / "config.yaml").exists() for path in paths_in(folder.path, "fold*")):
        raise UserError(
            f"{folder.path}: holds the folds of a cross-validation. Say 'fold=[0]' to train one of them, or choose "
            "another run.name."
        )
    if {path.name for path in folder.path.iterdir()} - {
        folder.log.name,
        folder.checkpoints.name,
        *SERVICES,
        folder.folds.name,
    }:
        raise UserError(f"{folder.path}: holds files that are no run's. Choose another run.name, or move them away.")


def set_aside(path: Path) -> None:
    """Rename a run that is replaced to `<name>.replaced`; the one that was set aside before it goes."""
    aside = path.with_name(f"{path.name}.replaced")
    if RunFolder(aside).config.exists():
        shutil.rmtree(aside)
    path.rename(aside)
    log.info("%s: the run that was here is now %s", path, aside)


def has_progress(folder: RunFolder) -> bool:
    """Whether a run has got as far as a state or a score; one that failed before may simply be started again."""
    return folder.metrics.exists() or bool(paths_in(folder.checkpoints, "*"))
