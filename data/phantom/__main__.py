"""Render phantom hands: `python -m data.phantom --out DIR --train-patients N --test-patients M --size 2048`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.phantom.dataset import PhantomSet, write_dataset
from utils.arguments import seed_number, whole_number
from utils.program import run_program
from utils.progress import track


def main() -> int:
    arguments = _parse()
    wanted = PhantomSet(arguments.train_patients, arguments.test_patients, arguments.size, arguments.seed)
    hands = 2 * (wanted.train_patients + wanted.test_patients)
    for _ in track(write_dataset(arguments.out, wanted, jobs=arguments.jobs), "Rendering hands", hands):
        pass
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.phantom", description="Render phantom hands in the contest's layout."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold train/ and test/")
    parser.add_argument("--train-patients", type=whole_number(0, 100_000), required=True, help="two hands each")
    parser.add_argument(
        "--test-patients",
        type=whole_number(0, 100_000),
        required=True,
        help="two hands each, numbered after the training's",
    )
    parser.add_argument(
        "--size", type=whole_number(32, 8192), default=2048, help="side of the images in pixels (default 2048)"
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="same seed, same bytes (default 0)")
    parser.add_argument("--jobs", type=whole_number(1, 1024), help="processes (default: one a core)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
