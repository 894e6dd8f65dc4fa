from __future__ import annotations

from multiprocessing import active_children

import pytest
import torch

from data.dataset import EpochSampler, SegmentationDataset
from tests.data.test_dataset import SAMPLES, add_noise, read
from trainer.training.loader import TrainLoader


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_closed_loader_has_no_worker_though_its_batches_are_held() -> None:
    dataset = SegmentationDataset(SAMPLES, read, add_noise, seed=0)
    sampler = EpochSampler(5, batch_size=1, seed=7)
    before = set(active_children())
    loader = TrainLoader(dataset, sampler, workers=1, prefetch=1, device=torch.device("cpu"))
    held = loader.batches(0)
    next(held)
    assert len(set(active_children()) - before) == 1
    loader.close()
    assert set(active_children()) == before
