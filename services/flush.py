"""Send what earlier runs could not: `python -m services.flush [RUN …] [--config FILE] [key=value …]`.

RUN is the folder of a run, or one that contains runs; without one, `runs/` is searched. Messages that have arrived are
not sent again. A run that is still training delivers its own messages and is skipped, and so is a copy of a run's
folder, while the run itself is there. What is skipped is named. A program of the top layer: it reads a config, and no
other module imports it.

Secrets come from the environment and `.env`, as in training. An address that a secret is sent to comes from the config
that is given here, or is the public one: a run's folder may be another person's, so what lies in it decides neither
that nor which file is read. Without `--config` the channels of the run's own `config.yaml` are used, as far as they
have the public addresses. Folders of another user are refused.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from configs.blocks.services import Services
from configs.loading.load import as_dict, load
from configs.places import in_project
from services import CHANNELS
from services.channel import SECRET_ADDRESSES, RunFacts
from services.delivery.codec import facts_from
from services.delivery.delivery import ServiceSettings, open_delivery, switched_off
from services.delivery.outbox import FILE, OutboxReader
from services.delivery.run_memory import RUN, RunMemory, original_of
from services.secrets import Secrets
from utils.errors import UserError
from utils.lock import Busy
from utils.log import log_to_console
from utils.program import run_program

log = logging.getLogger(__name__)

DEADLINE_S = 120.0
"""For one run."""
LEVELS = 2
"""Levels below a folder that may hold an outbox: the runs in it, and their folds."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.flush", description="Send what earlier runs could not.")
    parser.add_argument("--run", nargs="+", type=Path, default=[], help="folders of runs, or folders that contain runs")
    parser.add_argument("--config", type=Path, help="the experiment whose services are used; else each run's own")
    parser.add_argument("others", nargs="*", metavar="RUN|key=value", help="folders, and settings for --config")
    arguments = parser.parse_intermixed_args()
    log_to_console()
    overrides = [each for each in arguments.others if "=" in each]
    folders = [*arguments.run, *(Path(each) for each in arguments.others if "=" not in each)]
    if overrides and arguments.config is None:
        raise UserError(f"{overrides[0]}: settings replace those of a config. Name it with --config FILE.")
    settings = None if arguments.config is None else as_dict(load(arguments.config, overrides).services)
    return flush(folders or [in_project("runs")], settings)


def flush(folders: Sequence[Path], settings: ServiceSettings | None = None) -> int:
    """Deliver what these folders hold; returns 0 if nothing is left, else 2. Raises `UserError` if one is no folder.

    What another process is delivering, and what cannot be read, is left too.
    `settings`: the services of the user's own config; None for those of each run.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder.absolute()}: there is no such folder. Name a run's, or one that holds runs.")
    found = [each for folder in folders for each in runs_with_outbox(folder)]
    if not found:
        log.info("nothing is left to send in %s", ", ".join(map(str, folders)))
    arrived = [flush_run(each, settings) for each in found if isinstance(each, Path)]
    unreadable = [each for each in found if isinstance(each, UserError)]
    for error in unreadable:
        log.warning("%s", error)
    return 0 if all(arrived) and not unreadable else 2


def flush_run(folder: Path, settings: ServiceSettings | None) -> bool:
    """Deliver what one run has left; returns whether nothing remains to be done now."""
    original = original_of(folder)
    if original is not None:
        log.warning(
            "%s: is a copy of %s, which sends its messages: python -m services.flush %s", folder, *[original] * 2
        )
        return True
    try:
        refuse_foreign(folder)
        used = public_settings(folder) if settings is None else settings
        with open_delivery(facts_in(folder), used, Secrets()) as delivery:
            delivery.close(DEADLINE_S, run_wait_s=DEADLINE_S)
            left = sorted(delivery.channels_left)
    except Busy as error:
        log.warning("%s Nothing was sent from here.", error)
        return False
    except UserError as error:
        log.warning("%s", error)
        return False
    if left:
        log.warning("%s: %s could not be reached or is not set up", folder, ", ".join(left))
    elif delivery.given_up:
        log.warning("%s: nothing is left, but %d could not be sent; services.json says why", folder, delivery.given_up)
    else:
        log.info("%s: all is sent", folder)
    return not left and not delivery.given_up


def refuse_foreign(folder: Path) -> None:
    """Raise `UserError` if the folder, or a file in it that is read here, belongs to another user."""
    for path in (folder, *folder.glob("*.json*"), *folder.glob("*.yaml")):
        # A link without a target is not read either.
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise UserError(f"{path}: belongs to another user, so nothing of it is sent with your secrets. Ask them.")


def facts_in(folder: Path) -> RunFacts:
    """What the folder says of its run; that the run lies here is known, and not read. Raises `UserError`."""
    reader = OutboxReader(folder)
    reader.read_new()
    try:
        # Version 0.1 kept the facts in the run's memory.
        facts = reader.facts or facts_from(RunMemory(folder).block(RUN).get("facts"))
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{reader.path}: does not say of which run it is ({error}). Resume the run, or delete the file."
        ) from error
    here = folder.absolute()
    return replace(facts, folder=here, group=None if facts.group is None else here.parent)


def public_settings(folder: Path) -> ServiceSettings:
    """The services in the run's own config; a channel with another address than the public one is not used.

    Raises `UserError` if there is no config that can be read.
    """
    # The folder of several folds together has no config of its own.
    path = next(iter(sorted(folder.glob("fold*/config.yaml"))), folder / "config.yaml")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = as_dict(Services.model_validate(values["services"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError, ValidationError) as error:
        raise UserError(
            f"{path}: has no services that can be read ({type(error).__name__}). Name your config with --config FILE."
        ) from error
    public = as_dict(Services())
    for name in sorted(CHANNELS.keys() - switched_off(settings)):
        own = [key for key in SECRET_ADDRESSES if settings[name].get(key) != public[name].get(key)]
        if own:
            log.warning(
                "%s: services.%s.%s is an address of its own, which receives secrets; so %s is left out. If you trust "
                "it, name your config with --config FILE",
                *(path, name, own[0], name),
            )
            settings[name] = None
    return settings


def runs_with_outbox(folder: Path, levels: int = LEVELS) -> Iterator[Path | UserError]:
    """Yield the folders of runs with undelivered messages: the folder itself, and those in it, `levels` deep.

    A folder that cannot be looked into is an error, which says so.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        if not os.access(folder, os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        yield UserError(
            f"{folder}: cannot be read ({error.strerror}), so messages in it are not sent. Give yourself access with "
            "chmod, or ask its owner."
        )
        return
    if any(entry.name == FILE for entry in entries):
        yield folder
    for entry in entries if levels else ():
        if is_folder(entry):
            yield from runs_with_outbox(folder / entry.name, levels - 1)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False


if __name__ == "__main__":
    run_program(main)
