"""Images to prove an exported file on, and to calibrate one in 8 bits: those of the run, or rendered ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.check.refuse import find_broken
from data.sample import Sample
from data.task import Task
from trainer.export.precision import CALIBRATED_ON
from trainer.records.checkpoint import is_of_others
from trainer.split import Split, find_split
from trainer.trained import Trained
from transform.base import as_size
from utils.errors import UserError
from utils.text import pluralize

log = logging.getLogger(__name__)

PROOF_IMAGES = 12
"""Images whose masks are compared, at most."""
RENDERED_IMAGES = 12
"""One half to prove on, the other to calibrate on."""
LARGEST_RENDERED_PX = 1024


@dataclass(frozen=True)
class ImageSet:
    """Some images, and in a few words which they are."""

    samples: Sequence[Sample]
    described: str
    rendered: bool = False

    def __str__(self) -> str:
        return f"{pluralize(len(self.samples), 'image')} {self.described}"


@dataclass(frozen=True)
class Material:
    """Labelled images to prove a file on, and others to calibrate it on."""

    proof: ImageSet
    calibration: ImageSet


def find_material(trained: Trained, weights: Path, folder: Path, calibrate: Path | None = None) -> Material:
    """Find images that the run held out, and some that it learnt from; if these are not here, render some in `folder`.

    `calibrate` names other images to calibrate on. Raises `UserError` if its task renders none, or these cannot be
    used.
    """
    own = None if calibrate is None else _given(trained.task, calibrate)
    split = None if is_of_others(weights) else _split_of(trained)
    if split is not None:
        proof = ImageSet(_usable(trained.task, split.valid, PROOF_IMAGES), "that the run held out")
        learnt = ImageSet(_usable(trained.task, split.train, CALIBRATED_ON), "that the run learnt from")
        if proof.samples and (own or learnt).samples:
            return Material(proof, own or learnt)
    rendered = _rendered(trained, weights, folder)
    half = len(rendered) // 2
    parts = (ImageSet(part, "that are rendered", rendered=True) for part in (rendered[:half], rendered[half:]))
    proof, calibration = parts
    return Material(proof, own or calibration)


def _given(task: Task, folder: Path) -> ImageSet:
    """Return images of a folder to calibrate on. Raises `UserError` for one that cannot be used."""
    try:
        found = task.layout.find_images(folder)
    except UserError as error:
        raise UserError(f"--calibrate: {error}") from error
    chosen = _spread(found, CALIBRATED_ON)
    faults = list(find_broken(chosen, task.check).values())
    if faults:
        raise faults[0]
    return ImageSet(chosen, f"of {folder}")


def _split_of(trained: Trained) -> Split | None:
    """Return the images of the run; None, with the reason in the log, if they are not here."""
    try:
        return find_split(trained.config, check=False)
    except UserError as error:
        log.info("the images of the run are not here (%s)", str(error).splitlines()[0])
        return None


def _usable(task: Task, samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return images that can be read; the others are named in the log."""
    chosen = _spread(samples, most)
    broken = find_broken(chosen, task.check)
    for fault in broken.values():
        log.warning("%s", fault)
    return [sample for sample in chosen if sample.key not in broken]


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return `most` samples from all parts of a list, since neighbours may show the same."""
    count = min(most, len(samples))
    return [samples[place * len(samples) // count] for place in range(count)]


def _rendered(trained: Trained, weights: Path, folder: Path) -> list[Sample]:
    """Render labelled images into a folder. Raises `UserError` if the task renders none."""
    render, task = trained.task.render, trained.task
    if render is None:
        raise UserError(
            f"{weights}: the images of its run are not in {trained.config.data.root}, and an exported file is proven "
            "on images. Put them back there."
        )
    side_px = min(LARGEST_RENDERED_PX, max(as_size(trained.config.transform.size_px)))
    log.info("rendering %s to prove the file on", pluralize(RENDERED_IMAGES, "image"))
    return task.layout.find_samples(render(folder, RENDERED_IMAGES, side_px), labelled=True)
