"""Samples become tensors: a dataset and a sampler that are pure functions of (seed, epoch, index).

The order of an epoch follows from (seed, epoch), a sample's augmentation from (seed, epoch, index). So neither the
number of worker processes nor an interruption changes what the network sees, and a failing draw can be replayed alone:
`dataset[epoch, index]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from data.sample import Sample
from utils.arrays import Image, StoredMask
from utils.errors import UserError
from utils.rounds import Rounds
from utils.system.malloc import keep_freed_memory
from utils.system.signals import ignore_signals, signals_held_back

# Shapes: N samples, B batch, K bytes of a stored mask; H/W native pixels, h/w pixels after the transform. An image is
# grey, uint8[H, W], or RGB, uint8[H, W, 3].

Draw: TypeAlias = tuple[int, int]
"""(epoch, index). An index of N or above is a repetition: sample index % N, augmented in another way."""
Reader: TypeAlias = Callable[[Sample], tuple[Image, StoredMask]]
"""Sample → its image, and its mask uint8[H, W, K] in the task's encoding."""


class Transform(Protocol):
    """Change image and mask at native size into those that the network sees; `seed` decides what is random."""

    def __call__(self, image: Image, mask_HWK: StoredMask, seed: int, /) -> tuple[Image, StoredMask]: ...


class Item(NamedTuple):
    """One sample, or, collated, a batch of them."""

    image: Tensor
    """uint8[h, w] or uint8[h, w, 3], collated uint8[B, h, w] or uint8[B, h, w, 3]."""
    mask: Tensor
    """uint8[h, w, K], collated uint8[B, h, w, K]; see `data.encoding`."""
    sample_index: Tensor
    """int64[], collated int64[B]: the place of the sample in the data set's `samples`."""


class SegmentationDataset(Dataset[Item]):
    """Reads and transforms one sample per draw."""

    def __init__(self, samples: Sequence[Sample], read: Reader, transform: Transform, *, seed: int) -> None:
        self.samples = tuple(samples)
        self.read = read
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: Draw) -> Item:
        """The item of an (epoch, index); an error other than the user's carries the sample's name and the draw."""
        sample = self.samples[draw[1] % len(self.samples)]
        try:
            return self._item(sample, draw)
        except UserError:
            raise
        except Exception as error:
            raise RuntimeError(f"{sample.key} (epoch {draw[0]}, index {draw[1]}): {error}") from error

    def _item(self, sample: Sample, draw: Draw) -> Item:
        image, mask = self.transform(*self.read(sample), seed_of(self.seed, *draw))
        return Item(_tensor(image), _tensor(mask), torch.tensor(draw[1] % len(self.samples)))


@dataclass(frozen=True)
class OtherPictures:
    """What transforms may take beside the sample that they change: all training samples, and pictures of a folder."""

    samples: Sequence[Sample]
    read: Reader
    find_images: Callable[[Path], Sequence[Sample]]
    """A folder → its images. Raises `UserError` if there are none."""
    read_image: Callable[[Path], Image]

    @property
    def samples_count(self) -> int:
        """The number of training samples."""
        return len(self.samples)

    def read_sample(self, index: int) -> tuple[Image, StoredMask]:
        """Read the image and the mask of a training sample, at native size."""
        return self.read(self.samples[index])

    def find_pictures(self, folder: Path) -> list[Path]:
        """List the pictures of a folder in an order that depends on their names alone."""
        return [sample.image for sample in self.find_images(folder)]

    def read_picture(self, path: Path) -> Image:
        """Read a picture as an image of the task."""
        return self.read_image(path)


class EpochSampler(Sampler[Draw]):
    """The draws of one process in one epoch, to be batched by `batch_size`.

    The order of an epoch is cut into global batches of `world` × `batch_size` draws, and process `rank` takes its
    `batch_size` of each: with the global batch kept, the number of processes changes nothing. `weights`, one per
    sample, draws with replacement in proportion to them, as many as there are samples.

    With `drop_last` an incomplete last global batch is left out, so that every process takes the same number of equal
    steps; fewer samples than one global batch are repeated to fill one. Without it every sample is drawn, and late
    ranks may get fewer or none: for evaluation.
    """

    def __init__(
        self,
        size: int,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.weights = weights
        self.rank = rank
        self.world = world
        self.drop_last = drop_last
        self.epoch = 0
        self.first_step = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw this epoch from its beginning."""
        self.epoch, self.first_step = epoch, 0

    def start_at(self, step: int) -> None:
        """Leave out the first `step` batches of the epoch set last, to continue an interrupted run."""
        self.first_step = step

    def __iter__(self) -> Iterator[Draw]:
        indices = self.indices()[self.first_step * self.batch_size :]
        passes = self._mine(self.passes())[self.first_step * self.batch_size :]
        return iter(list(zip(passes.tolist(), indices.tolist(), strict=True)))

    def __len__(self) -> int:
        """Draws still to come in this epoch, in this process."""
        return max(0, len(self.indices()) - self.first_step * self.batch_size)

    @property
    def batches_per_pass(self) -> int:
        """Whole global batches in one pass over the samples, at least one."""
        return max(1, self.size // (self.batch_size * self.world))

    def batches_in(self, epoch: int) -> int:
        """Return the number of batches of this process in an epoch, if incomplete ones are left out."""
        return self.batches_per_pass

    def indices(self) -> npt.NDArray[np.int64]:
        """All of this process's indices in the epoch."""
        return self._mine(self.order())

    def order(self) -> npt.NDArray[np.int64]:
        """All processes' indices in the epoch, one global batch after the other."""
        return _number_repetitions(self._samples(), self.size)

    def passes(self) -> npt.NDArray[np.int64]:
        """The pass over the samples, from 0, that each index of `order` belongs to: here the epoch itself."""
        return np.full(len(self.order()), self.epoch)

    def _mine(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of all processes' values that are this process's."""
        place = np.arange(len(values)) // self.batch_size % self.world
        mine: npt.NDArray[np.int64] = values[place == self.rank]
        return mine

    def _samples(self) -> npt.NDArray[np.int64]:
        """The sample of each draw of all processes."""
        order = self._drawn(self.epoch)
        if not self.drop_last:
            return order
        return np.resize(order, self.batches_per_pass * self.batch_size * self.world)

    def _drawn(self, epoch: int) -> npt.NDArray[np.int64]:
        """The samples in the order in which a pass over them draws them."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, epoch]))
        if self.weights is not None:
            shares = np.asarray(self.weights, np.float64)
            return rng.choice(self.size, self.size, p=shares / shares.sum())
        return rng.permutation(self.size) if self.shuffle else np.arange(self.size)


class RoundSampler(EpochSampler):
    """The draws of one process in one round of a training that is counted in optimizer steps.

    The draws of all rounds are one sequence: pass after pass over the samples, each in an order of its own and without
    leaving out or repeating a sample. A round goes on where the one before it ended, so a batch may hold the end of
    one pass and the beginning of the next. An optimizer step takes `accumulate` global batches.
    """

    def __init__(
        self,
        size: int,
        *,
        batch_size: int,
        seed: int,
        rounds: Rounds,
        accumulate: int = 1,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(size, batch_size=batch_size, seed=seed, weights=weights, rank=rank, world=world)
        self.rounds, self.accumulate = rounds, accumulate

    def batches_in(self, epoch: int) -> int:
        return self.rounds.length(epoch) * self.accumulate

    def order(self) -> npt.NDArray[np.int64]:
        first, last = self._bounds()
        passes = range(first // self.size, -(-last // self.size))
        drawn = [_number_repetitions(self._drawn(number), self.size) for number in passes]
        start = first - passes.start * self.size
        return np.concatenate(drawn)[start : start + last - first]

    def passes(self) -> npt.NDArray[np.int64]:
        return np.arange(*self._bounds()) // self.size

    def _bounds(self) -> tuple[int, int]:
        """The places of the round's first draw, and of the first one after it, in the sequence of all draws."""
        draws_per_batch = self.batch_size * self.world
        first = self.rounds.first_step(self.epoch) * self.accumulate
        return first * draws_per_batch, (first + self.batches_in(self.epoch)) * draws_per_batch


def seed_of(seed: int, epoch: int, index: int) -> int:
    """The seed of one draw's augmentation, 0..2³²-1."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])


def iterate_loader(loader: Iterable[Item]) -> Iterator[Item]:
    """Iterate over a loader; a user's fault in a worker process is raised as its own sentence.

    Torch raises it with the text of the worker's whole traceback, which would keep the worker processes too.
    """
    with signals_held_back():
        items = iter(loader)
    try:
        yield from items
    except UserError as error:
        end_workers(items)
        raise UserError(str(error).rpartition("UserError: ")[2].strip()) from error


def end_workers(items: object) -> None:
    """End the worker processes of a loader's iterator now. Torch does so when nothing refers to it any more."""
    if isinstance(items, _MultiProcessingDataLoaderIter):
        items._shutdown_workers()


def start_worker(worker: int) -> None:
    """Prepare a loader's worker process (`worker_init_fn`): one thread, and signals that stop a run are ignored."""
    cv2.setNumThreads(0)
    keep_freed_memory()
    ignore_signals()


def _tensor(array: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _number_repetitions(order: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Add `size` to an index's second occurrence, twice `size` to its third, …, so that each is augmented anew."""
    by_index = np.argsort(order, kind="stable")
    counts = np.bincount(order, minlength=size)
    occurrence = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbered: npt.NDArray[np.int64] = order.copy()
    numbered[by_index] += size * occurrence
    return numbered
