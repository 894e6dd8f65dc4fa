"""Check the graphics cards and their driver with `nvidia-smi`: which are in use, and is the driver new enough?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.doctor.finding import Finding, ok, problem, size_text, warning
from utils.doctor.wheels import OLDER, PINNED

TIMEOUT_S = 20.0
OTHERS_MIB = 1024
"""A card with more memory in use than this is taken for busy; an idle one holds some hundred MiB."""
BUSY_PERCENT = 20
OLDEST_DRIVER = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""CUDA's major version → the oldest Linux driver that runs it, by minor-version compatibility (CUDA release notes)."""

FIELDS = ("index", "name", "driver_version", "memory.total", "memory.used", "utilization.gpu")


@dataclass(frozen=True)
class Card:
    """One graphics card of the machine, visible to torch or not; `busy_percent` is None if unknown."""

    index: int
    name: str
    total_mib: float
    used_mib: float
    busy_percent: float | None = None


@dataclass(frozen=True)
class Driver:
    """What nvidia-smi reports. `devices`: whether the kernel shows cards to this process (`/dev/nvidia0` and so on)."""

    state: Literal["answers", "absent", "hangs", "fails"] = "absent"
    version: str = ""
    cards: tuple[Card, ...] = ()
    error: str = ""
    devices: bool = False


def look_at_driver() -> Driver:
    """Run nvidia-smi and return what it reports."""
    devices = any(Path("/dev").glob("nvidia[0-9]*"))
    query = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError:
        return Driver("absent", devices=devices)
    except subprocess.TimeoutExpired:
        return Driver("hangs", devices=devices)
    except OSError as error:
        return Driver("fails", error=str(error), devices=devices)
    if done.returncode:
        return Driver("fails", error=first_line(done.stdout or done.stderr), devices=devices)
    return read_driver(done.stdout, devices=devices)


def read_driver(table: str, *, devices: bool) -> Driver:
    """Parse the lines of `nvidia-smi --query-gpu`, in which an unknown number reads `[N/A]`."""
    version, cards = "", []
    for line in table.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == len(FIELDS) and words[0].isdigit():
            version = words[2]
            total, used, busy = map(number, words[3:])
            cards.append(Card(int(words[0]), words[1], total or 0, used or 0, busy))
    return Driver("answers" if cards else "fails", version, tuple(cards), "" if cards else first_line(table), devices)


def check_driver(driver: Driver, cuda_build: str | None) -> Iterator[Finding]:
    """Check the driver against the CUDA version that torch was built for; no finding without card and driver."""
    if driver.state == "hangs":
        yield problem(
            "driver",
            f"nvidia-smi gave no answer in {TIMEOUT_S:.0f} s: a card or the driver hangs",
            "ask whoever runs the machine to look at `dmesg | grep -i nvrm` and to restart it",
        )
    elif driver.state == "fails":
        yield problem(
            "driver", f"nvidia-smi fails: {driver.error or 'it lists no card'}", remedy_of_failure(driver.error)
        )
    elif driver.state == "answers":
        yield check_version(driver.version, cuda_build)


def check_version(version: str, cuda_build: str | None) -> Finding:
    """Check that the driver is new enough for torch's CUDA."""
    oldest = OLDEST_DRIVER.get(int(cuda_build.split(".")[0])) if cuda_build else None
    if oldest and numbers(version) < numbers(oldest):
        return problem(
            "driver",
            f"{version} is too old for torch's CUDA {cuda_build}, which needs {oldest} or later",
            remedy_of_old_driver(version),
        )
    return ok("driver", f"{version}" + (f", new enough for torch's CUDA {cuda_build}" if oldest else ""))


def remedy_of_old_driver(version: str) -> str:
    """Say how to get a torch that runs with a driver of this version; the last torch built for CUDA 11 is 2.7.1."""
    update = "have the driver updated"
    if numbers(version) >= numbers(OLDEST_DRIVER[12]):
        return f"{update}, or install the pinned torch, built for CUDA {PINNED.cuda}: {PINNED.command}"
    if numbers(version) >= numbers(OLDEST_DRIVER[11]):
        index = "from PyTorch's own package index for CUDA 11.8 (cu118), with Python 3.13 or older"
        return f"{update}, or install torch for an older CUDA: {OLDER.command} {index}"
    return f"{update}: it is too old for any torch that Carpus runs on"


def check_cards(cards: Sequence[Card]) -> Iterator[Finding]:
    """Check how much of each card is free, because servers are often shared."""
    for card in cards:
        free = card.total_mib - card.used_mib
        busy = "" if card.busy_percent is None else f", {card.busy_percent:.0f} % busy"
        topic = f"card {card.index}"
        text = f"{card.name}: {size_text(free)} of {size_text(card.total_mib)} free{busy}"
        if card.used_mib > OTHERS_MIB or (card.busy_percent or 0) > BUSY_PERCENT:
            yield warning(topic, f"{text}; others use it", suggest_other_card(card, cards))
        else:
            yield ok(topic, text)


def suggest_other_card(taken: Card, cards: Sequence[Card]) -> str:
    """Name the emptiest card, or say what to do if `taken` is it."""
    best = min(cards, key=lambda card: (card.used_mib, card.busy_percent or 0))
    if best is taken:
        return "wait for them (watch nvidia-smi), or take less: trainer.batch_size, transform.size_px"
    order = "CUDA_DEVICE_ORDER=PCI_BUS_ID"  # CUDA counts the fastest card first, nvidia-smi by slot
    return f"card {best.index} is emptier: export {order} CUDA_VISIBLE_DEVICES={best.index}"


def remedy_of_failure(error: str) -> str:
    """Say what to do if nvidia-smi fails with this error."""
    if "mismatch" in error:
        return "the driver was updated while in use: restart the machine, or ask for it"
    return "have the NVIDIA driver installed or repaired; `nvidia-smi` must list the cards"


def number(word: str) -> float | None:
    """Parse a number; None for `[N/A]` and other text."""
    try:
        return float(word)
    except ValueError:
        return None


def numbers(version: str) -> list[int]:
    """Split a version into its numbers: [525, 60, 13] for `525.60.13`."""
    return [int(part) for part in version.split(".") if part.isdigit()]


def first_line(text: str) -> str:
    """Return the first line that is not blank; empty if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
