"""The core knows no task: what speaks of hand bones, their metric, files or contest stands in `data/hand_bone/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root import ROOT

CORE = (
    *("configs", "trainer", "transform", "loss", "models", "utils", "services"),
    *("data/check", "data/folds", "data/submission"),
)
WORDS = re.compile(
    r"\bbones?\b|bone_|_bone|wrist|\bdice|dice\b|\bdcm\b|submission|\bpatients?\b|\bpatient_|radiograph", re.IGNORECASE
)
ALLOWED = {
    "configs/blocks/images.py": "examples of groups, and the key data.bent_weight",
    "configs/loading/merge.py": "an example of a component's name is a loss",
    "configs/reference.py": "an example of a component's name is a loss",
    "configs/search_space.py": "an example of a component's name is a loss",
    "configs/schema.py": "the loss of configs that name none",
    "data/folds/__main__.py": "examples in the help",
    "data/submission": "the format is that of one contest: a submission",
    "loss": "Dice is a loss as well as a metric",
    "services/channel.py": "what facts of version 0.1 mean, which do not say their metric",
    "services/check.py": "the previews show a run on hand bones",
    "services/delivery/codec.py": "the names that fields of events had in version 0.1",
    "services/sheets/__init__.py": "the name that a remembered value had in version 0.1",
    "services/sheets/book.py": "an example of a metric's label",
    "trainer/compare": "two predictions are compared by their Dice, whatever a task is judged by",
    "trainer/drawing/templates/compare.html.j2": "two predictions are compared by their Dice",
    "trainer/evaluate.py": "the check of another size is a function of data.submission",
    "trainer/records/tables.py": "the table of a CSV for notebooks",
    "trainer/search": "an example of a component's name is a loss",
    "trainer/thresholds": "thresholds are chosen by the Dice that they give",
    "transform/ulnar_deviation.py": "a transform of hands; it refuses tasks without their bones",
    "utils/config/component.py": "an example of a component's name is a loss",
    "utils/metric.py": "an example of a metric",
}
"""Files and folders whose lines may contain such words, and why."""


def sources() -> list[Path]:
    found = (path for package in CORE for kind in ("*.py", "*.j2") for path in (ROOT / package).rglob(kind))
    return sorted(found)


def reason_of(path: Path) -> str | None:
    """The reason why a file may contain such words, its own or that of a folder above it."""
    name = str(path.relative_to(ROOT))
    return next((reason for place, reason in ALLOWED.items() if name == place or name.startswith(f"{place}/")), None)


def lines_with_words(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if WORDS.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


@pytest.mark.parametrize("package", CORE)
def test_the_core_contains_no_word_of_one_task(package: str) -> None:
    mine = (path for path in sources() if _is_at(path, package))
    assert [line for path in mine if reason_of(path) is None for line in lines_with_words(path)] == []


@pytest.mark.parametrize("package", ["data/check", "data/folds", "data/submission"])
def test_what_serves_any_task_imports_none(package: str) -> None:
    tasks = {path.parent.name for path in (ROOT / "data").glob("*/task.py")}
    imports = re.compile(rf"(from|import) data\.({'|'.join(tasks)})\b")
    assert [str(path) for path in (ROOT / package).rglob("*.py") if imports.search(path.read_text())] == []


def test_no_file_is_allowed_what_it_does_not_need() -> None:
    used = {place for place in ALLOWED for path in sources() if _is_at(path, place) and any(lines_with_words(path))}
    assert used == ALLOWED.keys()


def _is_at(path: Path, place: str) -> bool:
    name = str(path.relative_to(ROOT))
    return name == place or name.startswith(f"{place}/")


def test_nothing_branches_on_the_name_of_a_task() -> None:
    branch = re.compile(r"task(\.name)?\s*[!=]=\s*[\"']|task\.name in ")
    found = [str(path.relative_to(ROOT)) for path in sources() if branch.search(path.read_text(encoding="utf-8"))]
    assert found == []
