"""What a run's folder says of its own settings, for a resume: `train.py --resume runs/mine` needs no other file.

A run of several folds keeps its settings in `folds.yaml`, beside the folders of its folds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from configs.blocks.services import Services
from configs.changes import flattened
from configs.loading.load import as_dict, dump, load, load_as
from configs.schema import Config
from services.channel import SECRET_ADDRESSES
from trainer.records.folder import RunFolder
from utils.errors import UserError
from utils.files import write_text

log = logging.getLogger(__name__)


def load_stored(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Load the settings of the run in this folder, which may have been moved or renamed; `overrides` change them.

    Raises `UserError` if there is no run, and for addresses of services that `overrides` do not repeat.
    """
    file = _file_of(path)
    refuse_addresses(load_as(Config, file, overrides), file, overrides)
    config = load(file, overrides)
    # A fold's folder is two levels below that of all runs.
    single = isinstance(config.fold, int) or not RunFolder(path).config.exists()
    whole = (path if single else path.parent).absolute()
    folder = whole.parent
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    return config.model_copy(update={"run": config.run.model_copy(update={"name": whole.name, "folder": folder})})


def _file_of(path: Path) -> Path:
    for file in (RunFolder(path).config, RunFolder(path).folds):
        if file.is_file():
            return file
    others = ", ".join(str(each.parent) for each in sorted(path.parent.glob("*/config.yaml"))[:5])
    way_out = "give the config with which it was begun: --config FILE --resume, with the same fold=…"
    if any(path.glob("fold*/config.yaml")):
        raise UserError(f"--resume {path}: holds folds, but not which were wanted; {way_out}.")
    raise UserError(f"--resume {path.absolute()}: no run here{f'; there is {others}' if others else ''}. Or {way_out}.")


def refuse_addresses(config: Config, file: Path, overrides: Sequence[str]) -> None:
    """Raise `UserError` for an address in a run's file that decides to whom secrets are sent.

    The folder may be another person's. What was given on the command line is the user's own.
    """
    given = {override.partition("=")[0].strip() for override in overrides}
    for key, value in addresses(config):
        if key not in given:
            raise UserError(
                f"{file}: {key}={value} decides where your tokens are sent, and a run's folder may come from another "
                f"person. If it is right, repeat it: --resume {quote(str(file.parent))} {quote(f'{key}={value}')}"
            )


def addresses(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the addresses of services that are not the usual ones, as dotted key and value."""
    usual = dict(flattened(as_dict(Services()), "services."))
    for key, value in flattened(as_dict(config.services), "services."):
        if key.endswith(SECRET_ADDRESSES) and value != usual.get(key):
            yield key, value


def resume_command(config: Config) -> list[str]:
    """The arguments of train.py that continue this run, whatever was given at its start."""
    run = config.run.folder / config.run.name
    return ["--resume", str(run), *(f"{key}={value}" for key, value in addresses(config))]


def keep_length(config: Config, folders: Sequence[RunFolder], overrides: Sequence[str]) -> Config:
    """Return the config with the epochs or steps of the run in these folders, if the file says fewer.

    An override at the start is easily forgotten at a resume. One that is given now is left as it is.
    """
    settings = config.trainer
    key, now = f"trainer.{settings.unit}s", settings.length
    if any(override.partition("=")[0].strip() == key for override in overrides):
        return config
    stored = [load(folder.config).trainer for folder in folders if folder.config.exists()]
    own = max((each.length for each in stored if each.unit == settings.unit), default=0)
    if own and own != now:
        said = f"{own}, as when this run was begun, and not {now}" if own > now else f"{now}, raised from {own}"
        log.info("%s: %s", key, said)
    return config.model_copy(update={"trainer": settings.model_copy(update={f"{settings.unit}s": max(own, now)})})


def refuse_shorter(stored: Config, config: Config) -> None:
    """Raise `UserError` for a shorter training than a run was begun with: its learning rates follow from its length."""
    before, settings = stored.trainer, config.trainer
    own, now, key = before.length, settings.length, f"trainer.{settings.unit}s"
    if before.unit != settings.unit:
        raise UserError(
            f"{key}={now}: this run was begun with trainer.{before.unit}s={own}, and its learning rates follow from "
            "that. Give the same, or a new run.name."
        )
    if now < own:
        raise UserError(
            f"{key}={now}: this run was begun with {own}, and its learning rates follow from that. Leave the "
            f"key out, or give {own} or more; for a shorter run give a new run.name."
        )


def write_folds(config: Config) -> None:
    """Write the settings of a run of several folds into its folder."""
    folder = RunFolder(config.run.folder / config.run.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.folds, dump(config))
