"""Check whether there is a data set in the default folder of `data.root`, by counting its files.

The task knows its folders, so its own program counts them, in a process of its own: `utils` imports nothing of `data`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from utils.doctor.finding import Finding, ok, warning
from utils.doctor.software import ROOT as CODE

ROOT = Path("datasets")
LIMIT_S = 60.0
HOW_TO = "place the data there, or say data.root=…; `make demo` shows Carpus at work on generated images"


@dataclass(frozen=True)
class FileCounts:
    """How many images and labels a data set's folder holds, and which folders belong into it."""

    root: Path
    train_images: int = 0
    train_labels: int = 0
    test_images: int = 0
    described: str = ""


def check_dataset() -> Iterator[Finding]:
    """Check the default data set, and name data sets in folders beside it."""
    if not ROOT.is_dir():
        yield warning("data set", f"there is no folder {ROOT}/", HOW_TO)
        return
    counts = count_files(ROOT)
    if counts is None:
        yield warning(
            "data set", f"the files of {ROOT}/ could not be counted", f"try python -m data.check {quote(str(ROOT))}"
        )
    else:
        yield check_counts(counts, [str(root) for root in folders_in(ROOT) if (root / "train").is_dir()])


def folders_in(folder: Path) -> list[Path]:
    """List the folders in a folder; none if it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def count_files(root: Path) -> FileCounts | None:
    """Count the images and labels of a data set; None if that is not possible."""
    path = os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "data.check", str(root), "--count"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
        )
        return counts_of(root, json.loads(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def counts_of(root: Path, found: dict[str, Any]) -> FileCounts:
    """Return what the counting program wrote."""
    splits = dict(found["splits"])
    labelled = splits.pop(found["labelled"])
    test_images = sum(split["images"] for split in splits.values())
    return FileCounts(root, labelled["images"], labelled["labels"], test_images, found["described"])


def check_counts(found: FileCounts, others: list[str]) -> Finding:
    """Check that the data set is there and every image has a label.

    `others` are data sets in folders of the root, such as the demo's.
    """
    if not found.train_images:
        beside = f"; there are {', '.join(others)}, for data.root" if others else ""
        return warning("data set", f"no images to train on in {found.root}/ ({found.described}){beside}", HOW_TO)
    text = f"{found.root}: {found.train_images} training images, {found.test_images} test images"
    if found.train_labels != found.train_images:
        return warning(
            "data set",
            f"{text}, but {found.train_labels} label files",
            f"python -m data.check {quote(str(found.root))} names every file that lacks its partner",
        )
    return ok("data set", text)
