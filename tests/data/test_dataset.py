from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from data.dataset import EpochSampler, Item, RoundSampler, SegmentationDataset, iterate_loader, seed_of, start_worker
from data.sample import Sample
from utils.errors import UserError
from utils.rounds import Rounds

SAMPLES = [Sample(f"image{i}_R.png", f"ID{i:03d}", Path("x")) for i in range(5)]


def read(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """An image that shows the sample's number."""
    number = int(sample.group[2:])
    return np.full((4, 6), number, np.uint8), np.full((4, 6, 2), number, np.uint8)


def read_but_one(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    if sample.group == "ID003":
        raise UserError("ID003/image3_R.json: Ulna: 2 points, a polygon needs at least 3. Mend the label.")
    return read(sample)


def add_noise(image: np.ndarray, packed: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(seed).integers(0, 200, image.shape, np.uint8)
    return (image + noise)[:, ::-1], packed[:, ::-1]


def fail(image: np.ndarray, packed: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    raise IndexError("out of range")


def dataset(seed: int = 0) -> SegmentationDataset:
    return SegmentationDataset(SAMPLES, read, add_noise, seed=seed)


def epoch_of(workers: int, epoch: int = 1) -> list[Item]:
    sampler = EpochSampler(5, batch_size=2, seed=7, drop_last=False)
    sampler.set_epoch(epoch)
    loader = DataLoader(
        dataset(), batch_size=2, sampler=sampler, num_workers=workers, worker_init_fn=start_worker if workers else None
    )
    return list(iterate_loader(loader))


def test_an_item_follows_from_seed_epoch_and_index_alone() -> None:
    item, again = dataset()[3, 2], dataset()[3, 2]
    assert all(map(torch.equal, item, again))
    others = dataset(seed=1)[3, 2], dataset()[4, 2]
    assert all(not torch.equal(item.image, other.image) for other in others)


def test_items_are_bytes_and_collate_to_batches() -> None:
    item = dataset()[0, 4]
    assert (item.image.dtype, item.image.shape) == (torch.uint8, (4, 6))
    assert (item.mask.dtype, item.mask.shape) == (torch.uint8, (4, 6, 2))
    assert int(item.sample_index) == 4
    batch = epoch_of(workers=0)[0]
    assert (batch.image.shape, batch.mask.shape, batch.sample_index.shape) == ((2, 4, 6), (2, 4, 6, 2), (2,))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_worker_processes_change_nothing() -> None:
    for alone, beside in zip(epoch_of(workers=0), epoch_of(workers=2), strict=True):
        assert all(map(torch.equal, alone, beside))


def test_an_index_beyond_the_samples_is_a_repetition_augmented_anew() -> None:
    first, second = dataset()[0, 1], dataset()[0, 6]
    assert int(second.sample_index) == 1
    assert torch.equal(first.mask, second.mask)
    assert not torch.equal(first.image, second.image)


def test_an_error_names_the_sample_and_the_draw() -> None:
    broken = SegmentationDataset(SAMPLES, read, fail, seed=0)
    with pytest.raises(RuntimeError, match=r"ID002/image2_R\.png \(epoch 8, index 2\): out of range"):
        broken[8, 2]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_users_fault_reaches_the_user_in_its_own_sentence(workers: int) -> None:
    samples = SegmentationDataset(SAMPLES, read_but_one, add_noise, seed=0)
    loader = DataLoader(samples, sampler=EpochSampler(5, batch_size=1, seed=0), num_workers=workers)
    with pytest.raises(UserError) as error:
        list(iterate_loader(loader))
    assert not multiprocessing.active_children()
    assert str(error.value) == "ID003/image3_R.json: Ulna: 2 points, a polygon needs at least 3. Mend the label."


def test_seeds_of_draws_differ_and_never_change() -> None:
    seeds = {seed_of(seed, epoch, index) for seed in range(3) for epoch in range(5) for index in range(20)}
    assert len(seeds) == 300
    assert seed_of(42, 1, 7) == 2737586632


def draws(sampler: EpochSampler, epoch: int = 0, step: int = 0) -> list[tuple[int, int]]:
    sampler.set_epoch(epoch)
    sampler.start_at(step)
    assert len(sampler) == len(list(sampler))
    return list(sampler)


def test_an_epochs_order_follows_from_seed_and_epoch_alone() -> None:
    sampler = EpochSampler(20, batch_size=4, seed=3)
    first = draws(sampler, 5)
    draws(sampler, 6)
    assert draws(sampler, 5) == first == draws(EpochSampler(20, batch_size=4, seed=3), 5)
    assert {epoch for epoch, _ in first} == {5}
    assert sorted(index for _, index in first) == list(range(20))
    assert draws(sampler, 6) != [(6, index) for _, index in first]
    assert draws(EpochSampler(20, batch_size=4, seed=4), 5) != first


def test_an_interrupted_epoch_goes_on_at_its_step() -> None:
    sampler = EpochSampler(20, batch_size=4, seed=3)
    assert draws(sampler, 2, step=3) == draws(sampler, 2)[12:]
    assert draws(sampler, 2, step=9) == []


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_processes_share_each_global_batch(size: int, batch_size: int, world: int, drop_last: bool) -> None:
    def of(rank: int, world: int, batch_size: int) -> list[tuple[int, int]]:
        return draws(EpochSampler(size, batch_size=batch_size, seed=1, rank=rank, world=world, drop_last=drop_last))

    alone = of(0, 1, world * batch_size)
    shares = [of(rank, world, batch_size) for rank in range(world)]
    together = [
        draw
        for start in range(0, len(shares[0]), batch_size)
        for share in shares
        for draw in share[start : start + batch_size]
    ]
    assert together == alone


def test_without_drop_last_every_sample_is_drawn_once() -> None:
    sampler = EpochSampler(7, batch_size=4, seed=0, shuffle=False, drop_last=False)
    assert draws(sampler) == [(0, index) for index in range(7)]


def test_with_drop_last_only_whole_batches_are_drawn_and_at_least_one() -> None:
    assert len(draws(EpochSampler(7, batch_size=4, seed=0))) == 4
    few = [index for _, index in draws(EpochSampler(3, batch_size=6, seed=0))]
    assert sorted(few) == [0, 1, 2, 3, 4, 5]


def test_weights_draw_in_proportion_and_repetitions_are_told_apart() -> None:
    sampler = EpochSampler(400, batch_size=1, seed=0, weights=[3.0] * 200 + [1.0] * 200)
    indices = np.array([index for _, index in draws(sampler)])
    assert len(np.unique(indices)) == 400
    assert 0.7 < (indices % 400 < 200).mean() < 0.8


def rounds_of(steps: int, every: int, *, rank: int = 0, world: int = 1, batch_size: int = 4) -> list[tuple[int, int]]:
    """The draws of one process in all rounds of a training of `steps` steps of two batches each, over 10 samples."""
    rounds = Rounds(steps, every)
    sampler = RoundSampler(10, batch_size=batch_size, seed=3, rounds=rounds, accumulate=2, rank=rank, world=world)
    found = [draw for number in range(rounds.count) for draw in draws(sampler, number)]
    assert len(found) == sum(sampler.batches_in(number) for number in range(rounds.count)) * batch_size
    return found


def test_rounds_of_steps_go_through_pass_after_pass_and_leave_out_no_sample() -> None:
    found = rounds_of(steps=10, every=3)
    assert [number for number, _ in found] == [place // 10 for place in range(80)]
    passes = [[index for number, index in found if number == each] for each in range(8)]
    assert all(sorted(order) == list(range(10)) for order in passes)
    assert passes[0] != passes[1]


def test_where_rounds_end_changes_no_draw() -> None:
    assert rounds_of(steps=10, every=3) == rounds_of(steps=10, every=10) == rounds_of(steps=12, every=1)[:80]


def test_processes_share_the_batches_of_a_round() -> None:
    whole = rounds_of(steps=6, every=4)
    mine = [rounds_of(steps=6, every=4, rank=rank, world=2, batch_size=2) for rank in (0, 1)]
    assert [pair for place in range(0, 24, 2) for rank in (0, 1) for pair in mine[rank][place : place + 2]] == whole


def test_an_interrupted_round_goes_on_with_its_next_batch() -> None:
    sampler = RoundSampler(10, batch_size=4, seed=3, rounds=Rounds(10, 3))
    assert draws(sampler, 2, step=1) == draws(sampler, 2)[4:]


def test_weighted_rounds_number_repetitions_within_a_pass() -> None:
    sampler = RoundSampler(4, batch_size=4, seed=0, rounds=Rounds(50, 50), weights=[5.0, 1.0, 1.0, 1.0])
    found = draws(sampler)
    assert len(set(found)) == len(found) == 200
    assert sum(index % 4 == 0 for _, index in found) > 90
