"""Render phantom hands: `python -m data.phantom --out DIR --train-patients N --test-patients M --size 2048`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.phantom.dataset import PhantomSet, write_dataset
from utils.errors import UserError
from utils.program import run_program
from utils.progress import track


def main() -> int:
    arguments = _parse()
    wanted = PhantomSet(arguments.train_patients, arguments.test_patients, arguments.size, arguments.seed)
    if min(wanted.train_patients, wanted.test_patients, wanted.seed) < 0 or wanted.size_px < 32:
        raise UserError("--train-patients, --test-patients and --seed must be 0 or more, --size 32 or more.")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError("--jobs must be 1 or more; without it, one process a core.")
    hands = 2 * (wanted.train_patients + wanted.test_patients)
    for _ in track(write_dataset(arguments.out, wanted, jobs=arguments.jobs), "Rendering hands", hands):
        pass
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.phantom", description="Render phantom hands in the contest's layout."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold train/ and test/")
    parser.add_argument("--train-patients", type=int, required=True, help="two hands each")
    parser.add_argument(
        "--test-patients", type=int, required=True, help="two hands each, numbered after the training's"
    )
    parser.add_argument("--size", type=int, default=2048, help="side of the images in pixels (default 2048)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default 0)")
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: one a core)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
