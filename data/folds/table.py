"""Print a table of the folds: the patients, images and wrists of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from data.hand_bone.wrist import is_bent
from data.sample import Sample

COLUMNS = ("fold", "patients", "images", "straight", "bent", "not told", "bent %", "|angle|")


def show_folds(
    samples: Sequence[Sample], angles_deg: Mapping[str, float], fold_of: Mapping[str, int], folds: int
) -> None:
    """Print what each fold holds out. `angles_deg` is that of each image by name, `fold_of` that of each patient."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Held out in each fold", title_justify="left", header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for fold in range(folds):
        held_out = [sample for sample in samples if fold_of[sample.group] == fold]
        table.add_row(str(fold), *cells(held_out, angles_deg))
    table.add_section()
    table.add_row("all", *cells(samples, angles_deg))
    Console().print(table)


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
