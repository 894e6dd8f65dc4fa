"""Batches for training: the dataset, read by worker processes that exist as long as the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from data.dataset import Draw, EpochSampler, Item, SegmentationDataset, end_workers, iterate_loader, start_worker


class TrainLoader:
    """The batches of any epoch, from any batch on; of a round if the training is counted in optimizer steps."""

    def __init__(
        self, dataset: SegmentationDataset, sampler: EpochSampler, *, workers: int, prefetch: int, device: torch.device
    ) -> None:
        self.dataset, self.sampler = dataset, sampler
        self.recording = RecordingDataset(dataset, workers)
        self.loader: DataLoader[Item] = DataLoader(
            self.recording,
            batch_size=sampler.batch_size,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # else each start draws from the numbers that dropout lives on
        )

    def count(self, epoch: int) -> int:
        """Return the number of batches in the whole of an epoch."""
        return self.sampler.batches_in(epoch)

    def pass_of(self, epoch: int) -> tuple[Iterator[Tensor], int]:
        """Return the images of an epoch, of one pass over the samples at most, and the number of these batches."""
        count = min(self.count(epoch), self.sampler.batches_per_pass)
        return (images for images, _ in islice(self.batches(epoch), count)), count

    def batches(self, epoch: int, *, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 [B, H, W] or [B, H, W, 3] and masks uint8 [B, H, W, K] of `epoch` from batch `skip`."""
        self.sampler.set_epoch(epoch)
        self.sampler.start_at(skip)
        for item in iterate_loader(self.loader):
            yield item.image, item.mask

    def close(self) -> None:
        """End the worker processes now; a traceback may refer to them still."""
        end_workers(self.loader._iterator)

    def keys_of(self, batch: int) -> list[str]:
        """The samples in batch number `batch` (from 0) of the epoch asked for last, as `ID001/image.png`.

        Those of all processes: what one of them learns changes the weights of all.
        """
        size = self.sampler.batch_size * self.sampler.world
        return [self._key(index) for index in self.sampler.order()[batch * size : (batch + 1) * size].tolist()]

    def key_read_by(self, pid: int) -> str | None:
        """The sample that the worker process `pid` was reading last, or None for another process."""
        index = self.recording.index_of(pid)
        return None if index is None else self._key(index)

    def _key(self, index: int) -> str:
        return self.dataset.samples[index % len(self.dataset)].key


class RecordingDataset(Dataset[Item]):
    """A dataset that records, in memory shared with the main process, which index each worker process reads.

    If the system kills a worker, this is the only way to know what it was reading.
    """

    def __init__(self, dataset: SegmentationDataset, workers: int) -> None:
        self.dataset = dataset
        self.at = torch.full((workers, 2), -1, dtype=torch.int64).share_memory_()
        """Process id and index of each worker."""

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Item:
        worker = get_worker_info()
        if worker is not None:
            self.at[worker.id, 0], self.at[worker.id, 1] = os.getpid(), draw[1]
        return self.dataset[draw]

    def index_of(self, pid: int) -> int | None:
        """Return the index that the worker process `pid` recorded last; None for another process."""
        for worker_pid, index in self.at.tolist():
            if worker_pid == pid:
                return int(index)
        return None
