"""Starts programs of the project quickly: one process imports the heavy libraries and forks itself for each program.

A program behaves as one that a shell starts, but torch and its relatives are there already, which takes a new process
about four seconds. Nothing of the project itself is imported before the fork, so a program may be one of a copy.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAVY = (
    *("torch", "torchvision", "timm", "segmentation_models_pytorch", "accelerate", "safetensors.torch"),
    *("cv2", "numba", "pydantic", "yaml", "rich.progress", "jinja2", "PIL.Image"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
)
LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Program:
    """A program that was started; it leads a process group of its own."""

    pid: int
    command: Sequence[str]
    folder: Path
    """Where its output and its exit code are written."""

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it; None while it runs."""
        path = self.folder / "code"
        return int(path.read_text()) if path.exists() else None

    def wait(self, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Wait for its end. Raises `TimeoutExpired`, and kills its process group, if it takes longer."""
        until_s = time.monotonic() + timeout_s
        while (code := self.code) is None:
            if time.monotonic() > until_s:
                os.killpg(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(self.command, timeout_s, *self._written())
            time.sleep(LOOK_EVERY_S)
        return subprocess.CompletedProcess(self.command, code, *self._written())

    def _written(self) -> tuple[str, str]:
        return (self.folder / "stdout").read_text("utf-8"), (self.folder / "stderr").read_text("utf-8")


class ForkServer:
    """The process that forks. Use it in a `with`; it is started by the first program."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ForkServer:
        self.folders = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.communicate()
        self.folders.cleanup()

    def run(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Start a program and wait for its end."""
        return self.start(arguments, cwd, env).wait()

    def start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Program:
        """Start what `python ARGUMENTS` would: `FILE …` or `-m MODULE …`. It runs on one thread."""
        server, folder = self._started(), Path(tempfile.mkdtemp(dir=self.folders.name))
        assert server.stdin is not None
        assert server.stdout is not None
        order = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "folder": str(folder)}
        server.stdin.write(f"{json.dumps(order)}\n")
        server.stdin.flush()
        return Program(int(server.stdout.readline()), arguments, folder)

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__))],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self.process


def serve() -> None:
    """Import, then fork for each order until there are no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in HEAVY:
            importlib.import_module(module)
    gc.freeze()  # what is here is never looked through again, so memory stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who watch programs leave no zombies
    for order in sys.stdin:
        if os.fork() == 0:
            watch(json.loads(order))


def watch(order: Mapping[str, Any]) -> None:
    """Fork the program, say its process id, and write its exit code when it has ended; returns in the program alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if program == 0:
        become(order)
    os.write(1, f"{program}\n".encode())
    code, folder = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]), Path(order["folder"])
    (folder / "code.part").write_text(str(code))
    (folder / "code.part").rename(folder / "code")
    os._exit(0)


def become(order: Mapping[str, Any]) -> None:
    """Be the program: its group, its files, its folder, its environment, its arguments, its code."""
    os.setsid()
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{order['folder']}/{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    first, *rest = order["arguments"]
    if first == "-m":
        sys.path[0], sys.argv = order["cwd"], rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = str(Path(first).absolute().parent), [first, *rest]
        runpy.run_path(first, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve()
