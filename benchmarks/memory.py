"""Measure the peak memory of one side of a pair in a separate process: `python -m benchmarks.memory NAME SIDE …`.

tracemalloc does not count what torch and cv2 allocate, so the number comes from the kernel: the highest resident memory
during a call, minus the one before it. Worker processes of a loader are not counted, which favours the usual way.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

from benchmarks.material import load_material
from benchmarks.pair import Pair, Work
from utils.system.malloc import return_freed_memory, set_thresholds

Side = Literal["usual", "ours"]

IMAGES = 8
"""Images of a measurement: enough to fill every queue."""


def peak_mib(pair: Pair, side: Side, root: Path, images: int) -> float | None:
    """The rise of memory during one call, in MiB per image in flight; None if the system does not measure it."""
    command = [sys.executable, "-m", "benchmarks.memory", pair.name, side, str(root), str(min(images, IMAGES))]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    if -done.returncode in (signal.SIGINT, signal.SIGTERM):  # Sent to the whole group, so this process ends too.
        raise KeyboardInterrupt
    done.check_returncode()
    peak: float | None = json.loads(done.stdout.splitlines()[-1])
    return peak


def main() -> None:
    """Measure one side and print its peak in MiB as JSON."""
    from benchmarks.tables import PAIRS

    name, side, root, images = sys.argv[1:]
    material = load_material(Path(root), int(images))
    try:
        sides = PAIRS[name].prepare(material)
        work, held = (sides.usual, sides.in_flight[0]) if side == "usual" else (sides.ours, sides.in_flight[1])
        peak = rise_of(work)
    finally:
        shutil.rmtree(material.scratch, ignore_errors=True)
    sys.stdout.write(json.dumps(None if peak is None else peak / held / 2**20) + "\n")


def rise_of(work: Work) -> int | None:
    """Bytes by which the resident memory rises at most during a second call; None without Linux's `/proc`.

    Freed memory is returned to the system at once, so that the second call cannot reuse what the first has allocated.
    """
    set_thresholds(1 << 16, 1 << 16)
    work()
    return_freed_memory()  # what was freed before the thresholds were set
    try:
        before = _status_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # The high-water mark falls to what is resident now.
    except OSError:
        return None
    work()
    return max(0, _status_bytes("VmHWM") - before)


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
