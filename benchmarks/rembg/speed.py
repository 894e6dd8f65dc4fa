"""Time cut-outs beside those of rembg, from file to file with the same network: `python -m benchmarks.rembg --speed`.

Pictures one after the other in a warm process on one core; one picture in a new process; a folder on all cores.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import benchmarks
from benchmarks.rembg.environment import TIMEOUT_S
from benchmarks.scenes import draw_scene
from utils.arrays import Floats32
from utils.errors import UserError

SIZE_HW = (1080, 1600)
SCENES = (("hair", "wood"), ("leaf", "cloth"), ("soft disc", "tiles"), ("ring", "stone"), ("fur", "skin"))
"""Shapes and grounds of the photographs."""
ROUNDS = 3
ALIKE = 0.005
"""How far alphas may be apart on average, in 0..1, with the refinement of U-2-Net's authors: both enlarge otherwise."""
ROOT = Path(benchmarks.__file__).parents[1]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Speed:
    """What both take for the same work: medians over rounds, in seconds."""

    name: str
    theirs_s: float
    ours_s: float


@dataclass(frozen=True)
class Programs:
    """Both programs, their network (u2netp as ONNX, in a file of that name) and the folder they work in."""

    python: Path
    network: Path
    folder: Path

    def compare(self, pictures: int) -> list[Speed]:
        """Time both in turns. So many pictures are in the folder. Raises `UserError` if one fails or alphas differ."""
        photos, many = draw_photos(self.folder / "photos", len(SCENES)), draw_photos(self.folder / "many", pictures)
        self.refuse_different(photos)
        photo = min(photos.iterdir())
        return [
            in_turns("a picture, warm, CPU seconds", lambda: self.theirs_warm(photos), lambda: self.ours_warm(photos)),
            in_turns(
                "a picture, cold, CPU seconds", lambda: self.theirs(photo, "cpu"), lambda: self.ours(photo, "cpu")
            ),
            in_turns(f"{pictures} pictures, seconds", lambda: self.theirs(many), lambda: self.ours(many), rounds=1),
        ]

    def refuse_different(self, photos: Path) -> None:
        """Raise `UserError` if the alphas of both are not alike."""
        self.theirs(photos)
        self.ours(photos, "all", "predict.refine=u2net")
        names = [f"{photo.stem}.png" for photo in photos.iterdir()]
        both = [[alpha_of(self.folder / whose / name) for whose in ("theirs", "ours")] for name in names]
        apart = [float(np.abs(theirs - ours).mean()) for theirs, ours in both]
        if max(apart) > ALIKE:
            raise UserError(f"rembg: its alphas differ by {max(apart):.3f} on average, so times are not comparable.")

    def theirs_warm(self, photos: Path) -> float:
        """Return the processor seconds of a picture in a process that has cut out one already."""
        worker = [str(self.python), str(HERE / "worker.py"), "--warm"]
        return self._warm([*worker, str(photos), str(self.folder / "theirs")])

    def ours_warm(self, photos: Path) -> float:
        """Return the same for ours."""
        worker = [sys.executable, "-m", "benchmarks.rembg.warm", str(self.network)]
        return self._warm([*worker, str(photos), str(self.folder / "ours")])

    def _warm(self, command: list[str]) -> float:
        core = min(os.sched_getaffinity(0))
        seconds: list[float] = json.loads(self._run(["taskset", "--cpu-list", str(core), *command]).splitlines()[-1])
        return statistics.median(seconds)

    def theirs(self, images: Path, measure: str = "all") -> float:
        """Cut a picture or a folder out with rembg's command; return what it took."""
        command = [str(self.python.with_name("rembg")), "p" if images.is_dir() else "i", "-m", self.network.stem]
        output = self.folder / "theirs" / ("" if images.is_dir() else f"{images.stem}.png")
        return self._timed([*command, str(images), str(output)], measure)

    def ours(self, images: Path, measure: str = "all", *overrides: str) -> float:
        """Do the same with ours."""
        output = self.folder / "ours" / ("" if images.is_dir() else f"{images.stem}.png")
        command = [sys.executable, str(ROOT / "inference.py"), "--run", str(self.network), "--images", str(images)]
        return self._timed([*command, "--output", str(output), *overrides], measure)

    def _timed(self, command: list[str], measure: str) -> float:
        """Run a command; return the seconds that it took, or those of all processors."""
        before, begun_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self._run(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if measure == "all":
            return time.perf_counter() - begun_s
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _run(self, command: list[str]) -> str:
        """Run a command and return what it prints. Raises `UserError` with its last line if it fails."""
        settings = {**os.environ, "U2NET_HOME": str(self.network.parent), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode:
            raise UserError(f"{command[0]}: failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        return done.stdout


def draw_photos(folder: Path, count: int) -> Path:
    """Write so many photographs as JPEG; return the folder."""
    folder.mkdir()
    scenes = [draw_scene(shape, ground, 301, SIZE_HW).picture for shape, ground in SCENES[:count]]
    for number in range(count):
        picture = np.roll(scenes[number % len(scenes)], 16 * (number // len(scenes)), axis=1)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return folder


def alpha_of(path: Path) -> Floats32:
    """Read the alpha of a cut-out, float32[H, W] in 0..1."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None, path
    return np.asarray(pixels[..., 3], np.float32) / np.float32(255)


def in_turns(name: str, theirs: Callable[[], float], ours: Callable[[], float], rounds: int = ROUNDS) -> Speed:
    """Measure both in turns; return the medians."""
    theirs_s, ours_s = zip(*((theirs(), ours()) for _ in range(rounds)), strict=True)
    return Speed(name, statistics.median(theirs_s), statistics.median(ours_s))
