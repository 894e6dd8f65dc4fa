"""Our server and rembg's as processes on free ports of this machine, and what memory they take."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.serve.client import ask
from utils.errors import UserError

ROOT = Path(__file__).parents[2]
START_S = 300
MIB = 1 << 20


@dataclass(frozen=True)
class Server:
    """A server that runs, and how a photograph is sent to it."""

    name: str
    port: int
    path: str
    health: str
    fields: dict[str, str] = field(default_factory=dict)
    pid: int = 0

    @property
    def peak_mib(self) -> float:
        """The largest memory since its start, as the kernel has noted it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    @property
    def processor_s(self) -> float:
        """The processor time since its start."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def now_mib(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss) / MIB


@contextmanager
def ours(network: Path, log: Path, *settings: str, preset: str = "u2net") -> Iterator[Server]:
    """Start our server with the work of `rembg s`: min-max alone, and no estimate of the object's own colours."""
    port = free_port()
    command = [sys.executable, str(ROOT / "serve.py"), "--model", str(network), "--port", str(port), *settings]
    fields = {"preset": preset, "own_colours": str(preset != "u2net").lower()}
    with _started(command, log, dict(os.environ)) as pid:
        yield _ready(Server("Carpus", port, "/remove-background", "/health", fields, pid), log)


@contextmanager
def theirs(environment: Path, network: Path, log: Path) -> Iterator[Server]:
    """Start `rembg s` without its page."""
    port = free_port()
    command = [str(environment / "bin" / "rembg"), "s", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with _started(command, log, {**os.environ, "U2NET_HOME": str(network.parent)}) as pid:
        yield _ready(Server("rembg", port, "/api/remove", "/openapi.json", {"model": "u2netp"}, pid), log)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def _started(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[int]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


def _ready(server: Server, log: Path) -> Server:
    """Wait until it answers. Raises `UserError` with the end of its log if it does not."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s and psutil.pid_exists(server.pid):
        if ask(server.port, server.health).status == 200:
            return server
        time.sleep(0.2)
    lines = log.read_text(errors="replace").strip().splitlines() or ["no reason given"]
    raise UserError(f"{server.name}: does not answer ({lines[-1]}). Name an environment in which it starts.")
