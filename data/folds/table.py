"""Print a table of the folds: the groups, images and strata of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from data.sample import Sample
from data.task import Strata, Task
from utils.table import print_table


def show_folds(
    task: Task, samples: Sequence[Sample], measures: Mapping[str, float], fold_of: Mapping[str, int], folds: int
) -> None:
    """Print what each fold holds out. `measures` is that of each image by name, `fold_of` that of each group."""
    rows = []
    for fold in range(folds):
        held_out = [sample for sample in samples if fold_of[sample.group] == fold]
        rows.append((str(fold), *cells(task.strata, held_out, measures)))
    total = ("all", *cells(task.strata, samples, measures))
    print_table("Held out in each fold", columns(task), rows, total=total)


def columns(task: Task) -> list[str]:
    """Return the heads of the columns, those of strata only for a task that has them."""
    heads = ["fold", f"{task.layout.group}s", "images"]
    strata = task.strata
    return heads if strata is None else [*heads, *strata.names, "not told", f"{strata.weighted} %", strata.measured]


def cells(strata: Strata | None, samples: Sequence[Sample], measures: Mapping[str, float]) -> list[str]:
    """Return the numbers of one row; an image is "not told" if its label lacks what its stratum follows from."""
    counts = [str(len({sample.group for sample in samples})), str(len(samples))]
    if strata is None:
        return counts
    values = [measures[sample.name] for sample in samples]
    known = [value for value in values if math.isfinite(value)]
    of = Counter(strata.of_measure(value) for value in known)
    return [
        *counts,
        *(str(of[name]) for name in strata.names),
        str(len(values) - len(known)),
        f"{of[strata.weighted] / len(known):.0%}" if known else "-",
        f"{sum(map(abs, known)) / len(known):.1f}{strata.unit}" if known else "-",
    ]
