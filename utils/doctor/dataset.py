"""Check whether there is a data set in the default folder of `data.root`, by counting its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.doctor.finding import Finding, ok, warning

ROOT = Path("datasets")
HOW_TO = (
    "place the contest's train/ and test/ there, or say data.root=…; or render hands: python -m data.phantom "
    "--out datasets/phantom --train-patients 20 --test-patients 5 --size 2048"
)


@dataclass(frozen=True)
class FileCounts:
    """How many images and labels a data set's folder holds."""

    root: Path
    train_images: int = 0
    train_labels: int = 0
    test_images: int = 0


def check_dataset() -> Iterator[Finding]:
    """Check the default data set, and name data sets in folders beside it."""
    others = sorted(split.parent for split in ROOT.glob("*/train") if split.is_dir())
    yield check_counts(count_files(ROOT), [str(root) for root in others])


def count_files(root: Path) -> FileCounts:
    """Count the images and labels of a data set in the contest's layout."""
    return FileCounts(
        root,
        train_images=count(root / "train" / "DCM", ".png"),
        train_labels=count(root / "train" / "outputs_json", ".json"),
        test_images=count(root / "test" / "DCM", ".png"),
    )


def count(folder: Path, suffix: str) -> int:
    """Count the files with this suffix in the folders of patients."""
    return sum(path.suffix.lower() == suffix for path in folder.glob("*/*"))


def check_counts(found: FileCounts, others: list[str]) -> Finding:
    """Check that the data set is there and every image has a label.

    `others` are data sets in folders of the root, such as the demo's.
    """
    if not found.train_images:
        beside = f"; there are {', '.join(others)}, for data.root" if others else ""
        return warning("data set", f"no train/DCM/<patient>/<image>.png in {found.root}/{beside}", HOW_TO)
    text = f"{found.root}: {found.train_images} training images, {found.test_images} test images"
    if found.train_labels != found.train_images:
        return warning(
            "data set",
            f"{text}, but {found.train_labels} label files",
            f"python -m data.check {found.root} names every file that lacks its partner",
        )
    return ok("data set", text)
