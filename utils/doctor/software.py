"""Check Python, the pinned packages, and the state of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from utils.doctor.finding import Finding, ok, problem, warning
from utils.text import list_names, pluralize

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = (3, 11), (3, 14)
SHOWN = 6


@dataclass(frozen=True)
class Software:
    """The interpreter, the packages it finds, and those that requirements.txt pins for it."""

    python: tuple[int, int, int]
    executable: str
    in_own_venv: bool
    venv_is_made: bool
    installed: Mapping[str, str]
    pinned: Mapping[str, str]


@dataclass(frozen=True)
class Code:
    """What git reports: the commit and the number of changed files, or its error."""

    commit: str = ""
    changes: int = 0
    error: str = ""


def check_software() -> Iterator[Finding]:
    """Check Python, the packages and the code."""
    software = look_at_software()
    yield check_python(software)
    yield check_packages(software)
    yield check_code(look_at_code())


def look_at_software() -> Software:
    """Return the interpreter, the installed packages and the pinned ones."""
    venv = ROOT / ".venv"
    return Software(
        python=sys.version_info[:3],
        executable=sys.executable,
        in_own_venv=Path(sys.prefix).resolve() == venv.resolve(),
        venv_is_made=(venv / "bin" / "python").exists(),
        installed={canonical(d.metadata["Name"] or ""): d.version for d in distributions()},
        pinned=pins((ROOT / "requirements.txt").read_text(encoding="utf-8")),
    )


def check_python(software: Software) -> Finding:
    """Check that Python has a supported version."""
    version = ".".join(map(str, software.python))
    if software.python[:2] < OLDEST:
        return problem("Python", f"{version} is too old; 3.11 to 3.14 are supported", "make setup PYTHON=python3.12")
    place = "in the project's .venv" if software.in_own_venv else f"at {software.executable}"
    if software.python[:2] > NEWEST:
        return warning(
            "Python",
            f"{version} {place}: newer than 3.14, the newest that was tried; packages may lack wheels for it",
            "make setup PYTHON=python3.14, after removing .venv",
        )
    return ok("Python", f"{version} {place}")


def check_packages(software: Software) -> Finding:
    """Check that all pinned packages are installed in their pinned versions."""
    pinned, installed = software.pinned, software.installed
    missing = [f"{name}=={version}" for name, version in pinned.items() if name not in installed]
    others = [
        f"{name} {installed[name]} (pinned: {version})"
        for name, version in pinned.items()
        if name in installed and public(installed[name]) != public(version)
    ]
    if missing:
        text = f"{len(missing)} of {len(pinned)} are missing: {list_names(missing, SHOWN)}"
        return problem(
            "packages", f"{text}; other versions: {list_names(others, SHOWN)}" if others else text, remedy(software)
        )
    if others:
        text = f"{len(others)} of {len(pinned)} have other versions than requirements.txt: {list_names(others, SHOWN)}"
        return warning("packages", text, remedy(software))
    return ok("packages", f"all {len(pinned)} of requirements.txt, in the pinned versions")


def remedy(software: Software) -> str:
    """Say how to get the pinned packages."""
    if software.venv_is_made and not software.in_own_venv:
        return "use the project's own Python: source .venv/bin/activate"
    if software.in_own_venv:
        return "rm -f .venv/.ready && make setup"
    return "make setup && source .venv/bin/activate, or: pip install -r requirements.txt"


def look_at_code() -> Code:
    """Ask git for the commit and the number of changed files."""
    try:
        commit, changes = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain")
    except subprocess.CalledProcessError as error:
        return Code(error=error.stderr.strip())
    except (OSError, subprocess.SubprocessError) as error:
        return Code(error=str(error))
    return Code(commit, len(changes.splitlines()))


def git(*arguments: str) -> str:
    """Run git in the project's folder and return its output."""
    done = subprocess.run(
        ["git", *arguments], cwd=str(ROOT), capture_output=True, text=True, timeout=15, check=True
    )  # fmt: skip
    return done.stdout.strip()


def check_code(code: Code) -> Finding:
    """Check that a run can record its commit."""
    if "dubious ownership" in code.error:
        return warning(
            "git",
            "git refuses this folder, for another user owns it; runs cannot record their commit",
            f"git config --global --add safe.directory {ROOT}",
        )
    if code.error:
        return warning(
            "git",
            f"no commit to record with a run ({code.error.splitlines()[0]})",
            "work in a git clone of the project, so that a run can be repeated",
        )
    changes = pluralize(code.changes, "changed file") if code.changes else "nothing changed"
    return ok("git", f"commit {code.commit}, {changes}")


def pins(requirements: str) -> dict[str, str]:
    """Return the version of each package from the lines `name==version ; marker` that apply to this interpreter."""
    holds = marker_evaluator()
    found = {}
    for line in requirements.splitlines():
        pin = re.match(r"([\w.-]+)==([^\s;]+)\s*(?:;\s*([^#]+))?", line)
        if pin and (not pin[3] or holds(pin[3].strip())):
            found[canonical(pin[1])] = pin[2]
    return found


def marker_evaluator() -> Callable[[str], bool]:
    """Return a function that evaluates markers such as `python_full_version < '3.11'`; False for all if it cannot."""
    for name in ("packaging.markers", "pip._vendor.packaging.markers"):
        try:
            markers: Any = import_module(name)
        except ImportError:
            continue
        return lambda text: bool(markers.Marker(text).evaluate())
    return lambda text: False


def canonical(name: str) -> str:
    """Return the normalised spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def public(version: str) -> str:
    """Return a version without its build: 2.10.0 for `2.10.0+cu128`."""
    return version.split("+")[0]
