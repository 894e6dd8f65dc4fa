"""From an image file to a mask at its native size: the one path that validation and prediction share.

Shapes: B batch, C classes, h/w the network's input, H/W the native image, K bytes of a stored mask.
An image is grey, uint8[H, W], or RGB, uint8[H, W, 3].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from data.dataset import Reader
from data.sample import Sample
from models.inference.cuda_graph import ReplayedNetwork
from models.inference.half_weights import half_copy
from models.outputs import prediction_of
from models.precision import Precision
from trainer.prediction.decode import BitDecoder, Decoder
from trainer.prediction.transfer import PendingMask, to_device
from trainer.prediction.tta import AVERAGES, LOGITS, PLAIN, Average, View, average_views
from trainer.prediction.windows import Windows, filling, sliding_window
from trainer.prediction.zoom import surroundings_of
from transform.base import size_of
from transform.normalise import Normalisation
from transform.pipeline import Pipeline
from transform.warp import Place
from utils.arrays import Image, Size, StoredMask
from utils.parallel import lag, map_ahead
from utils.processes import process_ranks
from utils.system.cores import usable_cores

Item = TypeVar("Item")

EXAMPLE_PX = 256
"""The side of an image with which a copy of a network is compared with it."""


@dataclass(frozen=True)
class Loaded:
    """One image as the network is given it; the masks are there if the sample has a label."""

    sample: Sample
    views: tuple[Image, ...]
    """The image in each of the predictor's views, uint8[h, w] or uint8[h, w, 3]."""
    native_hw: Size
    image: Image | None = None
    """The image at native size, kept if masks are refined by it."""
    target_hwK: StoredMask | None = None
    truth_HWK: StoredMask | None = None
    place: Place | None = None
    """Where the image stands in the network's input; None if it fills it."""


@dataclass(frozen=True)
class Prediction:
    """One image and the network's logits; a decoder makes a mask of those of the image."""

    loaded: Loaded
    frame_logits_Chw: Tensor
    """Of all that the network was given, also of what was added around the image."""

    @property
    def logits_Chw(self) -> Tensor:
        """Those of the image alone."""
        return own_part(self.frame_logits_Chw, self.loaded.place)


@dataclass(frozen=True)
class Predictor:
    """A network with all that surrounds it between an image file and a mask.

    An image is brought to the network's input size and predicted in one or more `views`, each whole or in `windows`.
    The outputs for the parts are combined by `average`, as logits in the frame of the input size; `decoder` makes a
    mask at the native size of them. With one view and one window there is nothing to combine. `step_px`: input sides
    must be multiples of it; `channels`: those of an image.
    """

    network: nn.Module
    transform: Pipeline
    normalise: Normalisation
    precision: Precision
    device: torch.device
    read_image: Callable[[Path], Image]
    decoder: Decoder = field(default_factory=BitDecoder)
    batch_size: int = 1
    views: tuple[View, ...] = (PLAIN,)
    windows: Windows | None = None
    average: Average = AVERAGES["probabilities"]
    step_px: int = 1
    channels: int = 1
    zoom: bool = False
    """Whether objects that are small in their image are looked at again, closer; see `trainer.prediction.zoom`."""

    @property
    def images_at_once(self) -> int:
        """Images that share the network's batches: 1 if they differ in size, or if windows of one fill a batch."""
        if self.transform.keep_ratio:
            return 1
        frame_hw = self.transform.size_hw
        whole = self.windows is None or (frame_hw is not None and len(self.windows.places(frame_hw)) == 1)
        return self.batch_size if whole else 1

    @property
    def has_copy(self) -> bool:
        """Whether `accelerated` makes a copy of the network."""
        half = self.device.type == "cuda" and self.precision.name != "fp32"
        return half and not getattr(self.network, "only_predicts", False)

    @property
    def arithmetic(self) -> str:
        """What the last bits of logits depend on, besides weights and images."""
        return f"{self.device.type} {self.precision.name}{' folded' if self.has_copy else ''}"

    def accelerated(self) -> Predictor:
        """Return the predictor with a copy of its network that a GPU computes sooner in half precision.

        It is the predictor itself on a CPU, in full precision, and for a network that has no such copy. Later changes
        of the network's weights do not reach the copy.
        """
        if not self.has_copy:
            return self
        return replace(self, network=half_copy(self.network, self.normalise(self.example()), self.precision))

    def replayed(self) -> Predictor:
        """Return the predictor with its network replayed as CUDA graphs, which keep memory; itself on a CPU.

        Weights must not change afterwards.
        """
        if self.device.type != "cuda" or getattr(self.network, "only_predicts", False):
            return self
        return replace(self, network=ReplayedNetwork(self.network))

    def example(self) -> Tensor:
        """One image of noise, uint8[1, h, w] or uint8[1, h, w, 3], of a size that most networks take."""
        side = self.step_px * max(1, EXAMPLE_PX // self.step_px)
        channels = (self.channels,) if self.channels > 1 else ()
        drawn = np.random.default_rng(0).integers(0, 256, (1, side, side, *channels), np.uint8)
        return to_device(drawn, self.device)

    @property
    def images_ahead(self) -> int:
        """Images to begin before a mask is waited for: a batch on a GPU, which then always has work."""
        return self.images_at_once if self.device.type == "cuda" else 0

    def load(self, sample: Sample) -> Loaded:
        """Decode an image and bring it to the network's input size, once for each view."""
        return self.look(sample, self.read_image(sample.image))

    def look(self, sample: Sample, image: Image) -> Loaded:
        """Bring an image that is decoded already to the network's input size."""
        place = self.transform.place_of(size_of(image))
        return Loaded(sample, self.make_views(image), size_of(image), self.kept(image), place=place)

    def load_with_truth(self, sample: Sample, read: Reader) -> Loaded:
        """Load an image as `load` does, with the true mask at native size and at the network's."""
        image, truth = read(sample)
        plain, target = self.transform(image, truth, seed=0)
        place = self.transform.place_of(size_of(image))
        views = self.make_views(image, plain)
        return Loaded(sample, views, size_of(image), self.kept(image), target, truth, place)

    def kept(self, image: Image) -> Image | None:
        """Return an image if its mask is made with its help, or parts of it are looked at again."""
        return image if self.decoder.refine or self.zoom else None

    def make_views(self, image: Image, plain: Image | None = None) -> tuple[Image, ...]:
        """Make each view of an image at native size for the network; `plain` is the plain view, if it is known."""
        plain = self.transform(image, None, seed=0)[0] if plain is None else plain
        scaled = {size_of(plain): plain}
        seen = []
        for view in self.views:
            frame_hw = view.frame(size_of(plain), self.step_px)
            if frame_hw not in scaled:
                of_frame = Pipeline(
                    self.transform.transforms, size_px=frame_hw, pad=self.transform.pad, masks=self.transform.masks
                )
                scaled[frame_hw] = of_frame(image, None, seed=0)[0]
            seen.append(view.apply(scaled[frame_hw]))
        return tuple(seen)

    def masks(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        """Yield each sample and its mask at native size, in order; the next images are decoded meanwhile."""
        started = ((prediction.loaded.sample, self.start_decoding(prediction)) for prediction in self.predict(samples))
        for sample, mask in lag(started, self.images_ahead):
            yield sample, mask()

    def predict(self, samples: Iterable[Sample], read: Reader | None = None) -> Iterator[Prediction]:
        """Yield the prediction of each sample, in order; the next samples are loaded meanwhile.

        With `read` (such as a task's), labels are loaded too.
        """
        load = self.load if read is None else partial(self.load_with_truth, read=read)
        at_once, threads = self.images_at_once, decoding_threads(self.device)
        for batch in batched(map_ahead(load, samples, workers=threads, ahead=threads + at_once), at_once):
            for loaded, logits in zip(batch, self.logits(batch), strict=True):
                yield self.closer(Prediction(loaded, logits))

    def closer(self, prediction: Prediction) -> Prediction:
        """Return the prediction of a closer look, with `zoom`, if what was found is small in its image."""
        loaded = prediction.loaded
        if not self.zoom or loaded.image is None:
            return prediction
        found_hw = (prediction.logits_Chw > 0).any(0).cpu().numpy()
        part = surroundings_of(found_hw, loaded.native_hw)
        if part is None:
            return prediction
        logits_Chw = part.spread(self.logits_of(self.look(loaded.sample, part.cut(loaded.image))), loaded.native_hw)
        return Prediction(replace(loaded, place=None), logits_Chw)

    def logits_of(self, loaded: Loaded) -> Tensor:
        """Compute the logits [C, h, w] of one image, without those of what was added around it."""
        return own_part(self.logits([loaded])[0], loaded.place)

    @torch.inference_mode()
    def logits(self, batch: Sequence[Loaded]) -> Tensor:
        """Compute the logits [B, C, h, w] of a batch of images as the network is given them, over views and windows."""
        plain_hw = size_of(batch[0].views[0])
        splits = self.windows is not None and len(self.windows.places(plain_hw)) > 1
        average = self.average if splits or len(self.views) > 1 else LOGITS
        batch_of_views = zip(*(loaded.views for loaded in batch), strict=True)
        answers = (self._answers(average, images) for images in batch_of_views)
        values = next(answers) if len(self.views) == 1 else average_views(answers, self.views, plain_hw)
        return average.to_logits(values)

    def _answers(self, average: Average, images: Sequence[Image]) -> Tensor:
        """Compute the values to average, [B, C, h, w], of images of one view."""
        batch = to_device(np.stack(images), self.device)
        return sliding_window(partial(self._answer, average), batch, self.windows, self.batch_size)

    def _answer(self, average: Average, images: Tensor) -> Tensor:
        """Compute the values to average, [N, C, h, w], of whole images or windows."""
        with self.precision.autocast():
            logits = prediction_of(self.network(self.normalise(images)))
        return average.of_logits(logits)

    def decode(self, prediction: Prediction) -> StoredMask:
        """Make the mask at native size of a prediction, in the task's encoding."""
        return self.start_decoding(prediction)()

    def start_decoding(self, prediction: Prediction) -> PendingMask:
        """Begin to make the mask of a prediction on the device; what the device is given next need not wait for it."""
        loaded = prediction.loaded
        return self.decoder.start(prediction.logits_Chw, loaded.native_hw, loaded.image)


def decoding_threads(device: torch.device) -> int:
    """Return how many threads decode images: two beside networks on a CPU, up to eight beside a GPU.

    A GPU takes 20 to 100 ms for an image of which decoding takes 60. Processes on one machine share its cores.
    """
    if device.type != "cuda":
        return 2
    return max(2, min(8, usable_cores() // process_ranks().local_world))


def own_part(values_Chw: Tensor, place: Place | None) -> Tensor:
    """Return the part of values for the network's input that belongs to the image."""
    return values_Chw if place is None else place.cut(filling(values_Chw[None], place.frame_hw)[0])


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` consecutive items; the last may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
