"""Whole passes over images: validation, and inference up to the finished CSV, with one network and with several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import usual
from benchmarks.material import Material
from benchmarks.network import SHRINK, StandIn, stand_in
from benchmarks.pair import Sides, must_agree
from benchmarks.steps import same_dice
from configs.loading.load import from_mapping
from configs.schema import Config
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from loss import LOSSES
from models.precision import Precision
from runtime.writing import write_masks
from trainer.ensemble.memory_plan import MemoryPlan
from trainer.ensemble.predict import Ensemble, Member
from trainer.evaluation.validator import Validator
from trainer.inference import write_predictions
from trainer.prediction.decode import BitDecoder
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights
from trainer.trained import Trained
from transform import Pipeline
from transform.normalise import Normalisation

FEW = 8
"""Images that an ensemble predicts, because the usual way takes seconds for each."""
MOVED_PX = (0, 1, 3)
"""The distance by which each network of an ensemble moves its masks, in pixels of its input."""
THRESHOLD = 0.45
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
        unpack=hand_bone.encoding.unpack,
        metric=hand_bone.metrics[0],
        classes=BONES,
        loss=LOSSES["dice_bce"](),
        emit=lambda event: None,
    )
    loader = usual.loader(material.samples, _input_hw(material), labelled=True)
    return Sides(
        usual=lambda: usual.validate(network.start(), loader)[1],
        ours=lambda: validator.score(network.start(), 0).table.table_NC,
        agree=same_dice,
        in_flight=IN_FLIGHT,
    )


def inference(material: Material) -> Sides:
    """Images → network → CSV, without the network's own time; the files are equal byte for byte."""
    network = stand_in(material)
    samples = list(material.samples)
    trained = _trained(network, material)
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


def ensemble(material: Material) -> Sides:
    """Images → three networks → the CSV of their mean, without the networks' own time; equal byte for byte.

    No mean of whole-number logits is near the threshold, so it does not matter how the three are rounded in adding up.
    """
    networks = [stand_in(material, moved_px=places_px) for places_px in MOVED_PX]
    samples = list(material.samples[:FEW])
    together = _ensemble(networks, material)
    loader = usual.loader(samples, _input_hw(material), labelled=False)

    def theirs() -> Path:
        output = material.scratch / "usual_ensemble.csv"
        return usual.predict_together(_started(networks), loader, material.size_hw, output, THRESHOLD)

    def ours() -> Path:
        _started(networks)
        output = material.scratch / "ours_ensemble.csv"
        with torch.inference_mode():
            write_masks(hand_bone, together.masks, samples, output, origin="benchmark", at_once=1)
        return output

    return Sides(
        usual=theirs,
        ours=ours,
        agree=lambda theirs, mine: must_agree(theirs.read_bytes() == mine.read_bytes(), "CSV files"),
        aside_s=lambda: sum(network.spent_s for network in networks),
        in_flight=(usual.BATCH, 1),
    )


@dataclass(frozen=True)
class Ready(Member):
    """A member of an ensemble that is already in memory."""

    trained: Trained

    def load(self, device: torch.device) -> Trained:
        return self.trained


def _ensemble(networks: Sequence[StandIn], material: Material) -> Ensemble:
    """All networks in memory at once, with equal weights."""
    input_px = math.prod(_input_hw(material))
    share_C = np.full(len(BONES), 1 / len(networks), np.float32)
    members = [
        Ready(Path(f"{index}"), (), share_C, f"{index}", 0, input_px, _trained(network, material))
        for index, network in enumerate(networks)
    ]
    plan, cpu = MemoryPlan((tuple(range(len(members))),), 1), torch.device("cpu")
    return Ensemble(members, plan, cpu, BitDecoder(THRESHOLD), hand_bone.read_image)


def _started(networks: Sequence[StandIn]) -> Sequence[StandIn]:
    return [network.start() for network in networks]


def _trained(network: StandIn, material: Material) -> Trained:
    return Trained(hand_bone, _config(), _weights(network), _predictor(network, material))


def _config() -> Config:
    return from_mapping({"run": {"name": "benchmark"}, "model": "unet"})


def _weights(network: StandIn) -> Weights:
    return Weights(network.body.state_dict(), BONES, _config().model_dump(mode="json"), epoch=0, score=0.0)


def _predictor(network: StandIn, material: Material) -> Predictor:
    return Predictor(
        network=network,
        transform=Pipeline(size_px=_input_hw(material)),
        normalise=Normalisation(mean=0.0, std=1.0),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
        read_image=hand_bone.read_image,
    )


def _input_hw(material: Material) -> tuple[int, int]:
    return material.size_hw[0] // SHRINK, material.size_hw[1] // SHRINK
