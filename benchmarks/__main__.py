"""Compare the time of our implementation of each step with the usual one: `python -m benchmarks [name …]`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # Both sides import it, and it would ask PyPI for its version.

from rich.console import Console

from benchmarks.machine import describe
from benchmarks.material import USUAL_IMAGES, Material, load_material, render_material
from benchmarks.measure import time_in_turn
from benchmarks.memory import peak_mib
from benchmarks.pair import Pair
from benchmarks.table import Peaks, Result, show
from benchmarks.tables import PAIRS
from utils.arguments import whole_number
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import refuse_unwritable, write_text
from utils.program import run_program

WIDTH = 100
"""Columns of the table where there is no terminal to ask."""


def main() -> int | None:
    if sys.argv[1:2] == ["gpu"]:  # A program of its own, with other options.
        from benchmarks.gpu.__main__ import main as measure_card

        del sys.argv[1]
        return measure_card()
    arguments = _parse()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if arguments.list:
        for pair in PAIRS.values():
            console.print(f"{pair.name:12} {pair.does}", highlight=False)
        return None
    pairs = select_pairs(arguments.names)
    refuse_unwritable([arguments.json] if arguments.json else [])
    root = arguments.data or render_material(arguments.images, arguments.size)
    material = load_material(root, arguments.images)
    results: list[Result] = []
    about = describe()
    try:
        for pair in _announced(pairs):
            results.append(measure_pair(pair, material, root, with_memory=arguments.memory))
            # Each result took minutes, so it is written at once, whatever ends the program later.
            if arguments.json is not None:
                write_text(arguments.json, json.dumps(report(results, material, about), indent=2) + "\n")
    finally:
        if results:
            show(results, title_of(material, about), console)
        shutil.rmtree(material.scratch, ignore_errors=True)
    return None


def title_of(material: Material, about: dict[str, str]) -> str:
    """The heading of the table."""
    height, width = material.size_hw
    return f"{len(material.samples)} images of {height} x {width} px · {about['machine']}"


def select_pairs(names: Sequence[str]) -> list[Pair]:
    """The benchmarks with these names; all if there are no names. Raises `UserError` for an unknown name."""
    unknown = [name for name in names if name not in PAIRS]
    if unknown:
        raise UserError(f"'{unknown[0]}' is not a benchmark. {did_you_mean_of_all(unknown[0], PAIRS)}")
    return [PAIRS[name] for name in names] or list(PAIRS.values())


def measure_pair(pair: Pair, material: Material, root: Path, *, with_memory: bool) -> Result:
    """Compare and time both sides of one benchmark here, and measure their memory in separate processes."""
    timing = time_in_turn(pair, pair.prepare(material))
    peaks: Peaks = (None, None)
    if with_memory:
        images = len(material.samples)
        peaks = (peak_mib(pair, "usual", root, images), peak_mib(pair, "ours", root, images))
    return Result(pair, timing, peaks)


def report(results: Sequence[Result], material: Material, about: dict[str, str]) -> dict[str, Any]:
    """The values that `--json` writes."""
    return {
        **about,
        "images": len(material.samples),
        "size_hw": list(material.size_hw),
        "benchmarks": [result.as_json() for result in results],
    }


def _announced(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Yield each benchmark after writing its name to stderr: some take minutes, mostly for the usual side."""
    for number, pair in enumerate(pairs, start=1):
        sys.stderr.write(f"{number}/{len(pairs)} {pair.name}: {pair.does}\n")
        yield pair


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time our way of each step beside the usual one; both must agree.",
        epilog="python -m benchmarks gpu --help: the same on a graphics card.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help="benchmarks to run (default: all)")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and leave")
    parser.add_argument("--data", type=Path, help="data set with a labelled train/ (default: phantom hands)")
    parser.add_argument(
        "--images", type=whole_number(1, 100_000), default=USUAL_IMAGES, help="how many of its images (default 40)"
    )
    parser.add_argument(
        "--size", type=whole_number(32, 8192), default=2048, help="side of the phantom images in pixels (default 2048)"
    )
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out peak memory")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
