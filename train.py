"""Train a network: `python train.py --config configs/base_train.yaml [--resume] [key=value …]`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from utils.processes import launcher, process_ranks, report_once
from utils.program import run_program, start_computing


def main() -> int:
    arguments = parse()
    start_computing(quiet=not process_ranks().is_main)
    from configs.loading.load import load
    from trainer.runs.folds import train_folds
    from utils.errors import Interrupted

    with report_once():
        config = load(arguments.config, arguments.overrides)
    command = [*launcher(), "train.py", "--config", str(arguments.config), "--resume", *arguments.overrides]
    try:
        train_folds(config, resume=arguments.resume, command=shlex.join(command))
    except Interrupted:
        return 130
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a network as a YAML file says.")
    parser.add_argument("--config", type=Path, default=Path("configs/base_train.yaml"), help="the experiment")
    parser.add_argument("--resume", action="store_true", help="continue the run of this name")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the file's")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
