"""Average the weights of several files: `python -m trainer.soup --weights A B … --output FILE [--greedy]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.records.weights_files import weights_of
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    for path in arguments.weights:
        weights_of(path)  # before torch is loaded
    start_computing()
    from trainer.soup.soup import make_soup

    make_soup(arguments.weights, arguments.output, greedy=arguments.greedy)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer.soup", description="Average the weights of several files.")
    parser.add_argument(
        "--weights", type=Path, nargs="+", required=True, help="two or more .safetensors files, or folders of runs"
    )
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument(
        "--greedy",
        action="store_true",
        help="include a file only if the score does not fall, the best file first",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
