"""Labelled images to prove an exported file on: those that the run held out, or rendered ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.check.refuse import find_broken
from data.sample import Sample
from trainer.records.checkpoint import is_of_others
from trainer.split import find_split
from trainer.trained import Trained
from transform.base import as_size
from utils.errors import UserError
from utils.text import pluralize

log = logging.getLogger(__name__)

PROOF_IMAGES = 12
"""Images whose masks are compared, at most."""
RENDERED_IMAGES = 6
LARGEST_RENDERED_PX = 1024


@dataclass(frozen=True)
class ProofImages:
    """Labelled images, and in a few words which they are."""

    samples: Sequence[Sample]
    described: str
    rendered: bool = False

    def __str__(self) -> str:
        return f"{pluralize(len(self.samples), 'image')} {self.described}"


def find_proof_images(trained: Trained, weights: Path, folder: Path) -> ProofImages:
    """Find images that the run of the network held out; if these are not here, render some into `folder`.

    Raises `UserError` if its task renders none.
    """
    held_out = None if is_of_others(weights) else _held_out(trained)
    if held_out:
        return ProofImages(held_out, "that the run held out")
    render, task = trained.task.render, trained.task
    if render is None:
        raise UserError(
            f"{weights}: the images of its run are not in {trained.config.data.root}, and an exported file is proven "
            "on images. Put them back there."
        )
    side_px = min(LARGEST_RENDERED_PX, max(as_size(trained.config.transform.size_px)))
    log.info("rendering %s to prove the file on", pluralize(RENDERED_IMAGES, "image"))
    split = render(folder, RENDERED_IMAGES, side_px)
    return ProofImages(task.layout.find_samples(split, labelled=True), "that are rendered", rendered=True)


def _held_out(trained: Trained) -> list[Sample]:
    """Return held-out images of the run that can be read, evenly chosen; none, with the reason in the log, if gone."""
    try:
        found = find_split(trained.config, check=False).valid
    except UserError as error:
        log.info("the images of the run are not here (%s)", str(error).splitlines()[0])
        return []
    # Spread over all of them, since neighbours may show the same.
    chosen = [found[place * len(found) // PROOF_IMAGES] for place in range(PROOF_IMAGES)]
    samples = list({sample.key: sample for sample in chosen}.values())
    broken = find_broken(samples, trained.task.check)
    for fault in broken.values():
        log.warning("%s", fault)
    return [sample for sample in samples if sample.key not in broken]
