"""Take what a transform needs of other samples and pictures."""

from __future__ import annotations

import numpy as np

from transform.base import MaskFormat, Sources
from transform.warp import Resize
from utils.arrays import Pixels, Size


def needed(sources: Sources | None) -> Sources:
    """Return the sources. Raises `ValueError` if a transform was given none."""
    if sources is None:
        raise ValueError("with_sources has to be called before an image is changed")
    return sources


def other_sample(
    sources: Sources | None, size_hw: Size, masks: MaskFormat, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Read a random training sample, at this size. It may be the one that is being changed."""
    given = needed(sources)
    image, mask = given.read_sample(int(rng.integers(given.samples_count)))
    warp = Resize(size_hw)
    resized = masks.move(warp, mask)
    assert resized is not None
    return warp.image(image), resized
