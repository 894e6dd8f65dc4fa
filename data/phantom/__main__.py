"""Render phantom hands: `python -m data.phantom --out DIR --train-patients N --test-patients M --size 2048`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.phantom.dataset import CONTEST, PRESETS, PhantomSet, write_dataset
from utils.arguments import seed_number, share, whole_number
from utils.program import run_program
from utils.progress import track


def main() -> int:
    arguments = _parse()
    wanted = PhantomSet(
        arguments.train_patients,
        arguments.test_patients,
        arguments.size,
        arguments.seed,
        arguments.preset,
        arguments.inverted,
    )
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
        "--size", type=whole_number(32, 8192), default=2048, help="longer side of the images in pixels (default 2048)"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=CONTEST,
        help="contest: as the contest's films (default); wide: exposure, developing, size, place, pose, plaster and "
        "text as films of many hospitals differ; unseen: settings that wide never draws, to score a network on",
    )
    parser.add_argument(
        "--inverted", type=share, default=0.0, help="share of films with dark bones, 0 to 1 (default 0; not in contest)"
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="same seed, same bytes (default 0)")
    parser.add_argument("--jobs", type=whole_number(1, 1024), help="processes (default: one a core)")
    arguments = parser.parse_args()
    if arguments.inverted and arguments.preset == CONTEST:
        parser.error("--inverted: the contest's films all have bright bones; add --preset wide, or leave it out")
    return arguments


if __name__ == "__main__":
    run_program(main)
