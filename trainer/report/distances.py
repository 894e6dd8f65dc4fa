"""Measure how far the outlines of a run's best weights lie from the true ones on its held-out images."""

from __future__ import annotations

import json
import logging

import torch

from data.sample import Sample
from trainer.evaluation.distances import DistanceTable, distances_of_masks
from trainer.evaluation.ruler import Ruler
from trainer.records.folder import RunFolder
from trainer.split import find_split
from trainer.trained import load_trained
from utils.arrays import Floats, StoredMask
from utils.errors import UserError
from utils.files import write_text
from utils.parallel import map_ahead
from utils.progress import track

log = logging.getLogger(__name__)


def measure_held_out(folder: RunFolder, ruler: Ruler) -> DistanceTable:
    """Predict the held-out images with the best weights, measure, and write `distances.json`.

    Raises `UserError` if there are no weights yet, or the data have gone.
    """
    if not folder.best_weights.exists():
        raise UserError(f"{folder.best_weights}: not there yet. Let the run finish its first evaluation.")
    trained = load_trained(folder.best_weights, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    task, samples = trained.task, find_split(trained.config, check=False).valid
    table = DistanceTable(task.classes, ruler, {sample.name: sample.group for sample in samples})

    def measured(found: tuple[Sample, StoredMask]) -> tuple[str, Floats]:
        sample, mask = found
        predicted, true = (task.encoding.harden(each) for each in (mask, task.read(sample)[1]))
        return sample.name, distances_of_masks(predicted, true, len(task.classes), ruler)

    rows = map_ahead(measured, trained.predictor.masks(samples), ahead=3)
    table.rows |= dict(track(rows, "Measuring", len(samples)))
    values = {"epoch": trained.weights.epoch + 1, **table.summary()}
    write_text(folder.distances, json.dumps(values, indent=2) + "\n")
    return table
