"""Whole passes over all images: validation, and inference up to the finished CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks import usual
from benchmarks.material import Material, mask_of
from benchmarks.network import SHRINK, StandIn, stand_in
from benchmarks.pair import Sides, must_agree
from benchmarks.steps import same_dice
from configs.load import from_mapping
from configs.schema import Config
from data.classes import BONES
from data.submission_writer import SubmissionWriter
from data.task import hand_bone
from data.vote import vote_files
from loss import LOSSES
from trainer.build import Trained
from trainer.checkpoint import Weights
from trainer.inference import write_predictions
from trainer.precision import Precision
from trainer.predict import Predictor
from trainer.validate import Validator
from transform import Pipeline
from transform.normalise import Normalisation

VOTED = 8
"""Images to vote on: the usual way takes most of a second for each."""
IN_FLIGHT = (usual.BATCH, 7)
"""Images held at a time. Ours: three read ahead, one in the network, three on their way to their Dice or rows."""


def validation(material: Material) -> Sides:
    """Score all images at native size with a small network; the Dice of every image and class is equal.

    The mean loss is computed as well, by the usual way at native size, by ours at the network's as in training.
    """
    network = stand_in(material)
    validator = Validator(
        predictor=_predictor(network, material),
        samples=material.samples,
        read=hand_bone.read,
        classes=BONES,
        loss=LOSSES["dice_bce"](),
        tell=lambda event: None,
    )
    loader = usual.loader(material.samples, _input_hw(material), labelled=True)
    return Sides(
        usual=lambda: usual.validate(network.start(), loader)[1],
        ours=lambda: validator.score(network.start(), 0).dice.table_NC,
        agree=same_dice,
        in_flight=IN_FLIGHT,
    )


def inference(material: Material) -> Sides:
    """Images → network → CSV, the network's own time taken off; the files are equal byte for byte."""
    network = stand_in(material)
    samples = list(material.samples)
    trained = Trained(hand_bone, _config(), _weights(network), _predictor(network, material))
    loader = usual.loader(samples, _input_hw(material), labelled=False)

    def ours() -> Path:
        network.start()
        output = material.scratch / "ours.csv"
        write_predictions(trained, samples, output)
        return output

    return Sides(
        usual=lambda: usual.predict(network.start(), loader, material.size_hw, material.scratch / "usual.csv"),
        ours=ours,
        agree=lambda theirs, mine: must_agree(theirs.read_bytes() == mine.read_bytes(), "CSV files"),
        aside_s=lambda: network.spent_s,
        in_flight=IN_FLIGHT,
    )


def vote(material: Material) -> Sides:
    """Five submissions → the one that most of them agree on; the files are equal byte for byte."""
    paths = [_moved(material, places_px) for places_px in range(-2, 3)]

    def ours() -> Path:
        output = material.scratch / "ours_vote.csv"
        vote_files(paths, output, BONES)
        return output

    return Sides(
        usual=lambda: usual.vote(paths, material.size_hw, material.scratch / "usual_vote.csv"),
        ours=ours,
        agree=lambda theirs, mine: must_agree(theirs.read_bytes() == mine.read_bytes(), "CSV files"),
    )


def _moved(material: Material, places_px: int) -> Path:
    """A submission of the true masks of a few images, moved along the rows."""
    path, samples = material.scratch / f"moved_{places_px}.csv", material.samples[:VOTED]
    with SubmissionWriter(path, samples, BONES) as writer:
        for sample in samples:
            writer.write_mask(sample.name, np.roll(mask_of(sample, material.size_hw), places_px, axis=1))
    return path


def _config() -> Config:
    return from_mapping({"run": {"name": "benchmark"}, "model": "unet"})


def _weights(network: StandIn) -> Weights:
    return Weights(network.body.state_dict(), BONES, _config().model_dump(mode="json"), epoch=0, dice=0.0)


def _predictor(network: StandIn, material: Material) -> Predictor:
    return Predictor(
        network=network,
        transform=Pipeline(size_px=_input_hw(material)),
        normalise=Normalisation(mean=0.0, std=1.0),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
    )


def _input_hw(material: Material) -> tuple[int, int]:
    return material.size_hw[0] // SHRINK, material.size_hw[1] // SHRINK
