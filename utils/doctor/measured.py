"""Measure what a config needs, by running `trainer.measure` in a process of its own.

So `utils` imports nothing of `trainer`, and the doctor can report what ends that process: too little memory, a bus
error, a step that takes too long.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from utils.doctor.finding import Finding, from_plain, problem
from utils.doctor.machine import check_load
from utils.doctor.software import ROOT

DONE = "done"
"""The last stage of a complete record, whatever was found."""


@dataclass(frozen=True)
class MeasurementEnd:
    """How the measurement ended. `code` is its exit code; None if it was killed because it took more than `limit_s`.

    `record` is what it had written by then: its `findings`, and the `stage` it was in.
    """

    code: int | None
    record: Mapping[str, Any]
    errors: str
    limit_s: float
    load: str = ""
    """What other programs took of this machine before the measurement; empty if it was little."""


def check_config(config: str, overrides: Sequence[str], limit_s: float) -> Iterator[Finding]:
    """Measure what a config needs, and yield the measurement's findings."""
    try:
        outcome = measure(config, overrides, limit_s)
    except OSError as error:  # no room for its record, no more processes
        yield problem("measure", f"could not be started ({error})", "see the problems above")
        return
    yield from (from_plain(values) for values in outcome.record.get("findings", ()))
    if outcome.record.get("stage") != DONE:
        yield check_end(outcome, config)


def measure(config: str, overrides: Sequence[str], limit_s: float) -> MeasurementEnd:
    """Run `trainer.measure` for at most `limit_s` seconds; then it and its loader processes have ended."""
    others = check_load(os.getloadavg()[0], os.cpu_count() or 1)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        record, errors = Path(folder) / "measured.json", Path(folder) / "errors.txt"
        command = [sys.executable, "-m", "trainer.measure", "--config", config, *overrides, "--json", str(record)]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=stderr, start_new_session=True,
            )  # fmt: skip
            code = wait_or_kill(process, limit_s)
        return MeasurementEnd(
            code, read(record), errors.read_text(encoding="utf-8", errors="replace"), limit_s,
            others.text if others.level == "warning" else "",
        )  # fmt: skip


def wait_or_kill(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """Return the exit code, or None after `limit_s` seconds. In any case the process group has ended on return."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read(record: Path) -> Mapping[str, Any]:
    """Read the measurement's record; empty if it cannot be read."""
    try:
        found: Mapping[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def check_end(outcome: MeasurementEnd, config: str) -> Finding:
    """Say why the measurement is not complete."""
    stage = outcome.record.get("stage", "start")
    if outcome.code is None:
        text = f"not done after {outcome.limit_s:g} s, and ended while at: {stage}"
        if outcome.load:
            return problem("measure", f"{text}; {outcome.load}, the config may be fine", BUSY)
        return problem("measure", text, TOO_LONG)
    if outcome.code == 2:
        return problem("config", outcome.errors.strip() or f"{config}: refused", "fix it and run this again")
    if outcome.code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return problem("memory", f"the system killed the measurement at: {stage} (out of memory)", TOO_LARGE)
    if outcome.code in (-signal.SIGBUS, 128 + signal.SIGBUS):
        return problem("shared mem", f"the measurement died of a bus error at: {stage}", "data.workers=0, or more shm")
    last = (outcome.errors.strip().splitlines() or [f"exit code {outcome.code}"])[-1]
    return problem(
        "measure",
        f"failed at: {stage} ({last})",
        f"see it whole: python -m trainer.measure --config {quote(str(config))}",
    )


BUSY = "wait until the other programs have ended, or stop them, and run this again; or give it longer with --limit-s"
TOO_LONG = (
    "this machine is slow for this config: try a smaller transform.size_px or trainer.batch_size, a lighter model, or "
    "a GPU; give it longer with --limit-s"
)
TOO_LARGE = "try a smaller trainer.batch_size, transform.size_px or data.workers, or a lighter model"
