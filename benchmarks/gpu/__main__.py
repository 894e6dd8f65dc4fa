"""Check and measure Carpus on this machine's graphics card: `python -m benchmarks gpu [part …]`.

Whether the card computes what the CPU computes, at which lines the processor waits for it, and what a step, a scoring,
a prediction, the loss and the loader cost beside the usual way.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.card import describe_card
from benchmarks.gpu.limit import limit_after
from benchmarks.gpu.page import publish, show
from benchmarks.gpu.part import Part
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.results import Results, read_results
from benchmarks.gpu.run import measure_parts
from benchmarks.material import Material, load_material, render_material
from trainer.distributed.processes import start_accelerator
from utils.arguments import positive_number, whole_number
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.program import run_program, start_computing

PAGE = Path("docs/performance.md")
IMAGES, TINY_IMAGES = 8, 4
SIZE_PX, TINY_SIZE_PX = 2048, 64
SECONDS = 600.0
WIDTH = 140
"""Columns of the tables if there is no terminal to ask."""


def main() -> int:
    arguments = parse()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if arguments.list:
        for part in PARTS.values():
            console.print(f"{part.name:12} {part.does}", highlight=False)
        return 0
    refuse_unwritable([path for path in (arguments.json, arguments.publish) if path])
    results = read_results(arguments.read, PARTS) if arguments.read else measured(arguments, console)
    if arguments.read:
        show(results, PARTS, console)
    if arguments.publish:
        refuse_no_measurement(results)
        publish(results, PARTS, arguments.publish)
    return 0 if results.all_hold else 1


def measured(arguments: argparse.Namespace, console: Console) -> Results:
    """Measure what is asked for; show what is known whatever ends it."""
    parts = select_parts(arguments.names)
    limit = limit_after(arguments.seconds)
    if not torch.cuda.is_available() and not arguments.tiny:
        raise UserError(
            "torch finds no graphics card here (torch.cuda.is_available() is false). Run this on a machine with one, "
            "or give --tiny to take every road with small sizes on the CPU, which measures nothing."
        )
    start_computing()
    if arguments.tiny:
        torch.set_num_threads(1)  # quickest for small tensors
    accelerator = start_accelerator()
    material = material_of(arguments) if any(part.needs_images for part in parts) else None
    bench = Bench(accelerator, tiny=arguments.tiny, material=material)
    results = Results(describe_card(bench.device, tiny=arguments.tiny), file=arguments.json)
    try:
        measure_parts(parts, bench, results, limit)
    finally:
        show(results, PARTS, console)
        if material is not None:
            shutil.rmtree(material.scratch, ignore_errors=True)
    return results


def select_parts(names: Sequence[str]) -> list[Part]:
    """Return the parts with these names, in the order of value; all if there are no names.

    Raises `UserError` for an unknown name.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise UserError(f"'{unknown[0]}' is no part of the measurements. {did_you_mean_of_all(unknown[0], PARTS)}")
    return [part for part in PARTS.values() if not names or part.name in names]


def material_of(arguments: argparse.Namespace) -> Material:
    """Load the images of --data, or render some."""
    images = arguments.images or (TINY_IMAGES if arguments.tiny else IMAGES)
    size_px = arguments.size or (TINY_SIZE_PX if arguments.tiny else SIZE_PX)
    return load_material(arguments.data or render_material(images, size_px), images)


def refuse_no_measurement(results: Results) -> None:
    """Raise `UserError` for figures that no card has given."""
    if results.tiny or results.about["card"] is None:
        raise UserError("--publish: these numbers are no measurement of a card. Leave out --publish, or --tiny.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu", description="Check and measure Carpus on this machine's graphics card."
    )
    parser.add_argument("names", nargs="*", metavar="part", help="parts to measure (default: all)")
    parser.add_argument("--list", action="store_true", help="name the parts and leave")
    parser.add_argument(
        "--seconds", type=positive_number, default=SECONDS, help="end after this time, start included (default 600)"
    )
    parser.add_argument("--data", type=Path, help="data set with a labelled train/ (default: phantom hands)")
    parser.add_argument("--images", type=whole_number(3, 1000), help=f"how many of its images (default {IMAGES})")
    parser.add_argument(
        "--size", type=whole_number(32, 8192), help=f"side of the phantom images in pixels (default {SIZE_PX})"
    )
    parser.add_argument("--tiny", action="store_true", help="small networks and sizes, on any machine; no measurement")
    parser.add_argument("--json", type=Path, help="also write the results to this file, each as soon as it is known")
    parser.add_argument("--read", type=Path, metavar="JSON", help="measure nothing, take what --json has written")
    parser.add_argument(
        "--publish", type=Path, nargs="?", const=PAGE, metavar="PAGE",
        help=f"also write the tables into the card's section of this page (default {PAGE})",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
