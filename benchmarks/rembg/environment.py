"""rembg in an environment of its own, found at a path or made with uv, and called in a process; never imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from utils.errors import UserError

VERSION = "2.0.86"
TIMEOUT_S = 3600
WORKER = Path(__file__).parent / "worker.py"


def python_of(environment: Path) -> Path:
    """Return the Python of an environment with rembg. Raises `UserError` if it has another version, or none."""
    python = environment / "bin" / "python"
    found = _run([str(python), "-c", "import importlib.metadata as m; print(m.version('rembg'))"], environment)
    version = found.stdout.strip()
    if found.returncode or version != VERSION:
        has = f"rembg {version}" if version else "no rembg"
        raise UserError(f"{environment}: holds {has}, and {VERSION} is compared with. {_way_out(environment)}")
    return python


def make_environment(environment: Path) -> Path:
    """Make an environment with rembg by uv, if it is not there; return its Python. Raises `UserError` if it fails."""
    if not (environment / "bin" / "python").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        install = ["pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
        for command in (["venv", "--quiet", str(environment)], [*install, f"rembg[cpu,cli]=={VERSION}"]):
            done = _run([uv, *command], environment)
            if done.returncode:
                shutil.rmtree(environment, ignore_errors=True)
                reason = (done.stderr.strip().splitlines() or ["uv failed"])[-1]
                raise UserError(f"{environment}: rembg could not be installed ({reason}). {_way_out(environment)}")
    return python_of(environment)


def cut_out(python: Path, network: Path, pictures: Path, output: Path) -> dict[str, list[float]]:
    """Cut out a folder of pictures in rembg's ways, with an ONNX file of u2netp; return the seconds of each picture.

    Writes `output/WAY/NAME.png`. Raises `UserError` with rembg's last line if it fails.
    """
    home = network.parent
    settings = {**os.environ, "U2NET_HOME": str(home), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [str(python), str(WORKER), str(pictures), str(output)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise UserError(f"{python}: rembg failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    seconds: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def _run(command: list[str], environment: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except OSError as error:
        raise UserError(
            f"{environment}: {command[0]} cannot be started ({error.strerror}). {_way_out(environment)}"
        ) from error


def _way_out(environment: Path) -> str:
    return (
        f"Make it: uv venv {environment} && uv pip install --python {environment}/bin/python "
        f"'rembg[cpu,cli]=={VERSION}', and name it with --environment."
    )
