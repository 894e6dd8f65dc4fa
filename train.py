"""Train a network: `python train.py --config FILE [key=value …]`, or continue a run: `python train.py --resume RUN`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from configs.command_line import add_overrides
from utils.processes import launcher, process_ranks, report_once
from utils.program import quick_imports, run_program, start_computing

if TYPE_CHECKING:
    from configs.schema import Config

DEFAULT = Path("configs/base_train.yaml")


def main() -> int:
    arguments = parse()
    start_computing(quiet=not process_ranks().is_main)
    with quick_imports():
        from configs.loading.load import load
        from trainer.runs.stored_config import keep_length, load_stored, resume_command
        from utils.errors import Interrupted

    with report_once():
        if arguments.run:
            config = load_stored(arguments.run, arguments.overrides)
        else:
            config = load(arguments.config or DEFAULT, arguments.overrides, early=refuse_missing_data)
    # What is wrong with the settings has been reported before these large libraries are loaded.
    with quick_imports():
        from trainer.runs.folds import run_folders, train_folds

    if arguments.resume and not arguments.run:
        with report_once():
            config = keep_length(config, run_folders(config), arguments.overrides)
    command = [*launcher(), "train.py", *resume_command(config)]
    try:
        train_folds(config, resume=arguments.resume, command=shlex.join(command))
    except Interrupted:
        return 130
    return 0


def refuse_missing_data(config: Config) -> None:
    """Raise `UserError` if the folder of labelled images is not there; a cluster's machines look for it themselves."""
    from trainer.split import labelled_folder

    if config.launcher == "local":
        labelled_folder(config, config.chosen_task)


def parse() -> argparse.Namespace:
    parser = Parser(description="Train a network as a YAML file says.", add_help=False)
    parser.add_argument("--config", type=Path, help=f"the experiment (default: {DEFAULT})")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue the run in this folder, such as runs/mine, or without a folder the run of the config's name",
    )
    add_overrides(parser)
    return with_run(parser, parser.parse_intermixed_args())


SETTINGS = {
    "--epochs": "trainer.epochs=3",
    "--steps": "trainer.steps=2000",
    "--lr": "optimizer.lr=1e-3",
    "--batch-size": "trainer.batch_size=4",
}
"""Options of other trainers, and how such a setting is written here."""


class Parser(argparse.ArgumentParser):
    """A parser that says how a setting is written, if an option of another trainer is given."""

    def error(self, message: str) -> NoReturn:
        for option in sys.argv[1:]:
            setting = SETTINGS.get(option.partition("=")[0].replace("_", "-"))
            if setting:
                message = f"{option}: settings are written as key=value, such as {setting}"
        super().error(message)


def with_run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> argparse.Namespace:
    """Say whether the run is resumed, and from which folder; a setting that follows `--resume` is no folder."""
    named = arguments.resume or ""
    if "=" in named and not Path(named).exists():
        arguments.overrides.insert(0, named)
        named = ""
    arguments.resume = arguments.resume is not None
    arguments.run = Path(named) if named else None
    if arguments.run and arguments.config:
        parser.error("--resume RUN: takes the settings of the run, so leave --config out")
    return arguments


if __name__ == "__main__":
    run_program(main)
