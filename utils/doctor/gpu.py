"""Check torch and the cards it may use: whether its wheel has code for them, and which number format suits them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from utils.doctor.finding import Finding, ok, problem, size_text, warning
from utils.doctor.nvidia import Driver, check_cards, check_driver, look_at_driver
from utils.doctor.software import ROOT
from utils.doctor.wheels import PINNED, is_carried, wheel_for

TIMEOUT_S = 120.0
"""Importing torch from a cold network disk takes a minute; starting CUDA on eight cards some seconds."""


@dataclass(frozen=True)
class Device:
    """A card as CUDA shows it to torch."""

    name: str
    capability: tuple[int, int]
    memory_mib: float


@dataclass(frozen=True)
class Torch:
    """The installed torch. `architectures` of its wheel: `sm_70` is code for 7.0, `compute_90` can be translated."""

    version: str = ""
    cuda_build: str | None = None
    architectures: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    threads: int = 1
    cuda_says: str = ""
    error: str = ""


def check_gpu() -> Iterator[Finding]:
    """Check torch, the driver, each card that torch may use, and how busy all cards are."""
    torch, driver = look_at_torch(), look_at_driver()
    yield from check_torch(torch)
    yield from check_driver(driver, torch.cuda_build)
    if not torch.error:
        yield from check_devices(torch, driver, os.environ.get("CUDA_VISIBLE_DEVICES"))
    yield from check_cards(driver.cards)


def look_at_torch() -> Torch:
    """Import torch in a process of its own, which may hang or crash, and return what it reports."""
    command = [sys.executable, "-m", "utils.doctor.torch_probe"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return Torch(error=f"it did not start within {TIMEOUT_S:.0f} s")
    return read_torch(done.returncode, done.stdout, done.stderr)


def read_torch(code: int, output: str, errors: str) -> Torch:
    """Parse what the probe process wrote; if it died, `error` says so."""
    try:
        facts = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        last = errors.strip().splitlines()[-1:] or [f"exit code {code}"]
        return Torch(error=f"importing it ends the interpreter ({last[0]})")
    if "error" in facts:
        return Torch(error=facts["error"])
    return Torch(**{**facts, "architectures": tuple(facts["architectures"]), "devices": read_devices(facts["devices"])})


def read_devices(devices: Sequence[Mapping[str, Any]]) -> tuple[Device, ...]:
    """Parse the probe's list of cards."""
    return tuple(Device(d["name"], (d["capability"][0], d["capability"][1]), d["memory_mib"]) for d in devices)


def check_torch(torch: Torch) -> Iterator[Finding]:
    """Check that torch can be imported, and say what it was built for."""
    if torch.error:
        yield problem(
            "torch",
            f"cannot be imported: {torch.error}",
            "rm -f .venv/.ready && make setup && source .venv/bin/activate",
        )
    elif torch.cuda_build is None:
        yield ok("torch", f"{torch.version}, built for CPUs")
    else:
        carried = ", ".join(torch.architectures) or "an unknown list of architectures"
        yield ok("torch", f"{torch.version}, built for CUDA {torch.cuda_build} with code for {carried}")


def check_devices(torch: Torch, driver: Driver, visible: str | None) -> Iterator[Finding]:
    """Check each card that torch may use, or say why it uses none. `visible` is CUDA_VISIBLE_DEVICES."""
    for index, device in enumerate(torch.devices):
        yield check_device(index, device, torch.architectures)
    if torch.devices:
        return
    if not driver.cards and not driver.devices:
        yield warning(
            "GPU",
            "no NVIDIA card here: networks run on the CPU",
            "configs/demo.yaml and configs/smoke.yaml are made for that; the other recipes need a GPU",
        )
    else:
        yield problem("GPU", *reason_unused(torch, driver, visible))


def reason_unused(torch: Torch, driver: Driver, visible: str | None) -> tuple[str, str]:
    """Return why torch uses none of the machine's cards, and the remedy."""
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides every card", "unset CUDA_VISIBLE_DEVICES"
    if torch.cuda_build is None:
        return (
            f"torch {torch.version} is a build for CPUs, though there is a card",
            PINNED.command.replace("install", "install --force-reinstall"),
        )
    if driver.cards and visible is not None:
        return (
            f"CUDA_VISIBLE_DEVICES={visible} names none of the {len(driver.cards)} cards",
            "name one that nvidia-smi lists, such as CUDA_VISIBLE_DEVICES=0",
        )
    said = f": {torch.cuda_says.strip().splitlines()[0]}" if torch.cuda_says.strip() else ""
    return (
        f"there is a card, but CUDA does not start{said}",
        "in a container, start it with `docker run --gpus all`; else see the driver's line, or restart the machine",
    )


def check_device(index: int, device: Device, architectures: Sequence[str]) -> Finding:
    """Check that torch's wheel has code for a card, and name the number format that `auto` takes."""
    topic = f"GPU {index}"
    major, minor = device.capability
    text = f"{device.name}, {size_text(device.memory_mib)}, capability {major}.{minor}"
    if not is_carried(device.capability, architectures):
        return problem(topic, f"{text}: torch's wheel has no code for it", wheel_for(device.capability))
    if major < 8:
        return ok(topic, f"{text}: trainer.precision=auto takes fp16 (bf16 is only emulated before 8.0)")
    return ok(topic, f"{text}: trainer.precision=auto takes bf16")
