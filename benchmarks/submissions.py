"""Finished submissions: the hard vote, scores and differences. The usual way decodes pixels, ours uses the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import usual_csv
from benchmarks.material import Material, mask_of
from benchmarks.pair import Sides, must_agree
from benchmarks.steps import same_dice
from data.films.reader import image_size
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.submission.reader import read_submission
from data.submission.vote import vote_files
from data.submission.writer import SubmissionWriter
from trainer.compare.comparison import compare_files
from trainer.evaluate import score, truth_of

FEW = 8
"""Images in each file, because the usual way takes most of a second for each."""


def vote(material: Material) -> Sides:
    """Five submissions → the one that most of them agree on; the files are equal byte for byte."""
    paths = [moved(material, places_px) for places_px in range(-2, 3)]

    def ours() -> Path:
        output = material.scratch / "ours_vote.csv"
        vote_files(paths, output, BONES)
        return output

    return Sides(
        usual=lambda: usual_csv.vote(paths, material.size_hw, material.scratch / "usual_vote.csv"),
        ours=ours,
        agree=lambda theirs, mine: must_agree(theirs.read_bytes() == mine.read_bytes(), "CSV files"),
    )


def evaluate(material: Material) -> Sides:
    """A submission's score against another as truth; the Dice of every image and class is equal."""
    prediction, truth = moved(material, 2), moved(material, 0)

    def ours() -> npt.NDArray[np.float64]:
        submission = read_submission(prediction, BONES)
        scores = score(hand_bone, submission, truth_of(hand_bone, truth, material.size_hw))
        return np.concatenate([scores.table.rows[name] for name in submission.names])

    return Sides(
        usual=lambda: usual_csv.score(prediction, truth, material.size_hw),
        ours=ours,
        agree=same_dice,
    )


def compare(material: Material) -> Sides:
    """Where two submissions differ; the pixels that only one of them has are as many, in every image and class."""
    a, b = moved(material, 0), moved(material, 2)
    return Sides(
        usual=lambda: usual_csv.differences(a, b, material.size_hw),
        ours=lambda: _differences(a, b, material),
        agree=lambda theirs, mine: must_agree(np.array_equal(theirs, mine), "numbers of pixels"),
    )


def _differences(a: Path, b: Path, material: Material) -> npt.NDArray[np.int64]:
    """int64[N · C, 2]: pixels of either alone, in the order of the file's rows."""
    comparison = compare_files(hand_bone, a, b, truth=None, images=None, size_hw=material.size_hw)
    place = {name: index for index, name in enumerate(comparison.a.names)}
    ordered = sorted(comparison.differences, key=lambda case: (place[case.image], case.index))
    return np.array([(case.only_a_px, case.only_b_px) for case in ordered])


def moved(material: Material, places_px: int) -> Path:
    """A submission of the true masks of a few images, moved along the rows."""
    path, samples = material.scratch / f"moved_{places_px}.csv", material.samples[:FEW]
    with SubmissionWriter(path, samples, BONES, image_size) as writer:
        for sample in samples:
            writer.write_mask(sample.name, np.roll(mask_of(sample, material.size_hw), places_px, axis=1))
    return path
