"""Choose between two networks for each image: a detector for images of several objects, the own network for others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from data.dataset import Reader
from data.sample import Sample
from models.maskrcnn import Detected, Detector
from trainer.prediction.predictor import Loaded, Prediction, Predictor
from transform.base import size_of
from utils.parallel import map_ahead
from utils.text import list_names

log = logging.getLogger(__name__)

SEVERAL = 2
"""So many objects in an image are a group, which the detector cuts out."""


@torch.inference_mode()
def detect(predictor: Predictor, loaded: Loaded) -> Detected:
    """Find the single objects of an image in its plain view; the predictor's network is a detector."""
    network = cast(Detector, predictor.network)
    batch = torch.from_numpy(loaded.views[0][None]).to(predictor.device)
    with predictor.precision.autocast():
        return network.detect(predictor.normalise(batch))[0]


@dataclass(frozen=True)
class ChoosingPredictor(Predictor):
    """Predicts an image in which `detector` finds several objects by their union, and any other by its own network.

    Both masks are decoded in the same way. Views and windows are those of the own network alone. `counts` are the
    objects found in each image.
    """

    detector: Predictor | None = None
    counts: dict[Path, int] = field(default_factory=dict)

    @property
    def images_at_once(self) -> int:
        """One: the images of the detector differ in size."""
        return 1

    def predict(self, samples: Iterable[Sample], read: Reader | None = None) -> Iterator[Prediction]:
        """Yield the prediction of each sample, in order; the detector's next images are loaded meanwhile."""
        assert self.detector is not None
        detector = replace(self.detector, decoder=self.decoder, read_image=self.read_image)
        load = detector.load if read is None else partial(detector.load_with_truth, read=read)
        for loaded in map_ahead(load, samples, ahead=2):
            found = detect(detector, loaded)
            self.counts[loaded.sample.image] = found.count
            if found.count >= SEVERAL:
                yield Prediction(loaded, found.logits(size_of(loaded.views[0])))
            else:
                yield from Predictor.predict(self, [loaded.sample], read)

    def log_choices(self) -> None:
        """Log which images the detector has predicted, and in which it has found nothing."""
        assert self.detector is not None
        finds = cast(Detector, self.detector.network).finds
        several = [path.name for path, count in sorted(self.counts.items()) if count >= SEVERAL]
        nothing = [path.name for path, count in sorted(self.counts.items()) if count == 0]
        if several:
            log.info("%d of %d by the detector, for several %s: %s", *self._of(several), finds, list_names(several))
        if nothing:
            log.info("%d of %d by the own network, without %s: %s", *self._of(nothing), finds, list_names(nothing))

    def _of(self, names: list[str]) -> tuple[int, int]:
        return len(names), len(self.counts)
