"""The kinds of findings that only photographs with masks have, and the general ones in more precise words."""

from __future__ import annotations

from data.check.finding import Kind

CUTOUT_KINDS: dict[str, Kind] = {
    "short_set": Kind(
        "suspect",
        "Public data sets that are not whole",
        "as many images with masks as the data set has",
        "Unpack or download it again, or train on the part that is there.",
    ),
}
