from __future__ import annotations

import torch

from trainer.ensemble.memory_plan import LARGEST_CHUNK, free_bytes, grouped, plan_memory


def test_networks_that_fit_are_all_in_memory_together() -> None:
    assert grouped([10, 10, 10], 1, room=30, sums_room=5).groups == ((0, 1, 2),)


def test_others_take_turns_in_their_order_as_many_as_fit_at_a_time() -> None:
    assert grouped([10, 10, 10, 25], 1, room=25, sums_room=5).groups == ((0, 1), (2,), (3,))


def test_one_that_is_larger_than_the_room_has_its_turn_alone() -> None:
    assert grouped([99, 1], 1, room=10, sums_room=5).groups == ((0,), (1,))


def test_images_that_wait_are_bounded_by_memory_and_by_number() -> None:
    assert grouped([1], 10, room=1, sums_room=35).chunk == 3
    assert grouped([1], 10, room=1, sums_room=5).chunk == 1
    assert grouped([1], 1, room=1, sums_room=1e9).chunk == LARGEST_CHUNK


def test_a_few_small_networks_fit_on_this_machine() -> None:
    assert free_bytes(torch.device("cpu")) > 0
    assert len(plan_memory([1000] * 3, 1000, torch.device("cpu")).groups) == 1
