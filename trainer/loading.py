"""Batches for training: the dataset behind worker processes that live as long as the run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from data.dataset import EpochSampler, Item, SegmentationDataset, batches, start_worker


class TrainLoader:
    """The batches of any epoch, from any batch on; `len` is the number of batches in a whole epoch."""

    def __init__(
        self, dataset: SegmentationDataset, sampler: EpochSampler, *, workers: int, prefetch: int, device: torch.device
    ) -> None:
        self.sampler = sampler
        sampler.set_epoch(0)
        self.batches_per_epoch = len(sampler) // sampler.batch_size
        self.loader: DataLoader[Item] = DataLoader(
            dataset,
            batch_size=sampler.batch_size,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=start_worker,
        )

    def __len__(self) -> int:
        return self.batches_per_epoch

    def batches(self, epoch: int, *, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 [B, H, W] and packed masks uint8 [B, H, W, K] of `epoch`, without its first `skip` batches."""
        self.sampler.set_epoch(epoch)
        self.sampler.start_at(skip)
        for item in batches(self.loader):
            yield item.image, item.packed
