"""Print a table of the folds: the patients, images and wrists of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from data.hand_bone.wrist import is_bent
from data.sample import Sample
from utils.table import print_table

COLUMNS = ("fold", "patients", "images", "straight", "bent", "not told", "bent %", "|angle|")


def show_folds(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], fold_of: Mapping[str, int], folds: int
) -> None:
    """Print what each fold holds out. `angles_deg` is that of each image by name, `fold_of` that of each patient."""
    rows = []
    for fold in range(folds):
        held_out = [sample for sample in samples if fold_of[sample.group] == fold]
        rows.append((str(fold), *cells(held_out, angles_deg)))
    print_table("Held out in each fold", COLUMNS, rows, total=("all", *cells(samples, angles_deg)))


def cells(samples: Sequence[Sample], angles_deg: Mapping[str, float]) -> list[str]:
    """Return the numbers of one row; a wrist is "not told" if the label lacks a bone that its angle needs."""
    angles = [angles_deg[sample.name] for sample in samples]
    known = [angle for angle in angles if math.isfinite(angle)]
    bent = sum(map(is_bent, known))
    return [
        str(len({sample.group for sample in samples})),
        str(len(samples)),
        str(len(known) - bent),
        str(bent),
        str(len(angles) - len(known)),
        f"{bent / len(known):.0%}" if known else "-",
        f"{sum(map(abs, known)) / len(known):.1f}°" if known else "-",
    ]
