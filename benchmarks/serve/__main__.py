"""Our server beside `rembg s` under the same load, with the same network: `python -m benchmarks.serve`.

Twenty requests at once, then one after the other: time, memory, and how quickly `/health` answers meanwhile. Before,
the cut-outs of both are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from benchmarks.rembg.environment import VERSION, make_environment, python_of
from benchmarks.scenes import SHAPES, draw_scene
from benchmarks.serve.client import Answer, Watch, ask, ask_at_once
from benchmarks.serve.servers import Server, ours, theirs
from models.fetch.package import file_in_package
from models.fetch.published import PUBLISHED
from utils.arguments import whole_number
from utils.arrays import Bytes
from utils.errors import UserError
from utils.files import refuse_unwritable, write_text
from utils.program import run_program

SIZE_HW = (1080, 1600)
GROUNDS = ("stone", "tiles", "skin", "wood")
ALIKE = 2.0
"""Mean difference of two alphas in grey levels, at most: resizing differs, networks and steps do not."""


@dataclass(frozen=True)
class Measured:
    """One server under load; seconds and MiB."""

    name: str
    first_s: float
    """Of a photograph alone, after a first one that is not counted."""
    total_s: float
    median_s: float
    processor_s: float
    """Of each photograph: what other programs on the machine change little."""
    peak_mib: float
    health_idle_s: float
    health_busy_s: float
    """The slowest answer meanwhile."""
    after_mib: float = 0.0
    """After the requests at once."""
    later_mib: float = 0.0
    """After all further requests."""
    later_peak_mib: float = 0.0
    further: int = 0


def main() -> None:
    arguments = _parse()
    refuse_unwritable([arguments.json] if arguments.json else [])
    measured = []
    with TemporaryDirectory(prefix="carpus-") as name:
        folder = Path(name)
        network = folder / "u2netp.onnx"
        published = PUBLISHED["u2netp"]
        network.write_bytes(file_in_package(published.packages, published.md5)[1])
        photos = photographs(arguments.at_once)
        with ours(network, folder / "ours.log", "page=false", *arguments.settings) as server:
            alphas = [alpha_of(ask_for(server, photo)) for photo in photos[:3]]
            measured.append(load(server, photos, arguments.further))
        if not arguments.alone:
            environment = arguments.environment or arguments.make
            python_of(environment) if arguments.environment else make_environment(environment)
            with theirs(environment, network, folder / "theirs.log") as server:
                refuse_other(alphas, [alpha_of(ask_for(server, photo)) for photo in photos[:3]])
                measured.append(load(server, photos, 0))
    Console(width=None if sys.stdout.isatty() else 140).print(table_of(measured, arguments.at_once))
    if arguments.json:
        values = {**describe(), "rembg": VERSION, "servers": [asdict(one) for one in measured]}
        write_text(arguments.json, json.dumps(values, indent=2) + "\n")


def photographs(count: int) -> list[bytes]:
    """Draw photographs as JPEG files."""
    shapes = list(SHAPES)
    scenes = (
        draw_scene(shapes[number % len(shapes)], GROUNDS[number % len(GROUNDS)], 300 + number, SIZE_HW)
        for number in range(min(count, 8))
    )
    files = [cv2.imencode(".jpg", scene.picture[..., ::-1])[1].tobytes() for scene in scenes]
    return [files[number % len(files)] for number in range(count)]


def load(server: Server, photos: Sequence[bytes], further: int) -> Measured:
    """Send all photographs at once, then as many further ones, four at a time."""
    ask_for(server, photos[0])
    first_s = ask_for(server, photos[0]).seconds
    idle_s = statistics.median(ask(server.port, server.health).seconds for _ in range(10))
    begun_s = server.processor_s
    with Watch(server.port, server.health) as watch:
        answers, total_s = ask_at_once(server.port, server.path, photos, server.fields)
    processor_s = (server.processor_s - begun_s) / len(photos)
    refuse_failed(server, answers)
    median_s, busy_s = statistics.median(answer.seconds for answer in answers), max(watch.seconds)
    peak_mib, after_mib = server.peak_mib, idle_mib(server)
    done = 0
    while done < further:
        answers, _ = ask_at_once(server.port, server.path, photos[:4], server.fields)
        refuse_failed(server, answers)
        done += len(answers)
    return Measured(
        *(server.name, first_s, total_s, median_s, processor_s, peak_mib, idle_s, busy_s),
        *(after_mib, idle_mib(server), server.peak_mib, done),
    )


def idle_mib(server: Server) -> float:
    """Return the memory of a server that has had nothing to do for a while."""
    time.sleep(2)
    return server.now_mib


def ask_for(server: Server, photo: bytes) -> Answer:
    """Send one photograph. Raises `UserError` if it is not cut out."""
    answer = ask(server.port, server.path, photo, server.fields)
    refuse_failed(server, [answer])
    return answer


def refuse_failed(server: Server, answers: Sequence[Answer]) -> None:
    """Raise `UserError` if an answer is no picture."""
    failed = next((answer for answer in answers if answer.status != 200), None)
    if failed is not None:
        raise UserError(f"{server.name}: answered with {failed.status}: {failed.content[:200]!r}")


def alpha_of(answer: Answer) -> Bytes:
    """Return the alpha of a cut-out, uint8[H, W]."""
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels[..., 3], np.uint8)


def refuse_other(ours_: Sequence[Bytes], theirs_: Sequence[Bytes]) -> None:
    """Raise `UserError` if the alphas of both servers differ, so that their times cannot be compared."""
    apart = max(float(np.abs(a.astype(int) - b).mean()) for a, b in zip(ours_, theirs_, strict=True))
    sys.stderr.write(f"alphas differ by {apart:.2f} grey levels in the mean, at most\n")
    if apart > ALIKE:
        raise UserError(f"the alphas differ by {apart:.1f} grey levels in the mean, at most {ALIKE} are expected.")


def table_of(measured: Sequence[Measured], at_once: int) -> Table:
    """Return the table of both servers."""
    columns = {
        "one alone, s": "{0.first_s:.2f}",
        "all, s": "{0.total_s:.1f}",
        "median, s": "{0.median_s:.1f}",
        "CPU s each": "{0.processor_s:.2f}",
        "peak, MiB": "{0.peak_mib:.0f}",
        "then, MiB": "{0.after_mib:.0f}",
        "at the end, MiB": "{0.later_mib:.0f}",
        "its peak": "{0.later_peak_mib:.0f}",
        "further": "{0.further}",
        "health idle, s": "{0.health_idle_s:.3f}",
        "busy, worst": "{0.health_busy_s:.3f}",
    }
    table = Table("server", *columns, title=f"{at_once} photographs at once")
    for one in measured:
        table.add_row(one.name, *(shown.format(one) for shown in columns.values()))
    return table


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description=f"Compare our server with that of rembg {VERSION} under load."
    )
    parser.add_argument("--environment", type=Path, help="an environment that holds rembg with its server, rembg[cli]")
    parser.add_argument(
        "--make", type=Path, default=Path("runs/.rembg"), help="else: make one here with uv (default %(default)s)"
    )
    parser.add_argument("--alone", action="store_true", help="measure our server only")
    parser.add_argument("--at-once", type=whole_number(1, 500), default=20, help="requests at once (default 20)")
    parser.add_argument("--further", type=whole_number(0, 100_000), default=0, help="to ours afterwards (default 0)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings of our server: workers=1")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
