from __future__ import annotations

import pytest

from utils.rounds import Rounds, amount, counted_in, done_after, done_of


@pytest.mark.parametrize(("steps", "every"), [(1000, 400), (1000, 250), (7, 10), (1, 1)])
def test_rounds_hold_all_steps_once_and_end_with_the_last(steps: int, every: int) -> None:
    rounds = Rounds(steps, every)
    lengths = [rounds.length(number) for number in range(rounds.count)]
    assert sum(lengths) == steps
    assert [rounds.first_step(number) + length for number, length in enumerate(lengths)] == [
        rounds.end(number) for number in range(rounds.count)
    ]
    assert (rounds.end(-1), rounds.end(rounds.count - 1)) == (0, steps)


def test_a_round_after_the_last_one_is_whole() -> None:
    assert Rounds(1000, 400).length(3) == 400


def test_what_people_read() -> None:
    rounds = Rounds(1000, 400)
    assert (counted_in(None), counted_in(rounds)) == ("epoch", "step")
    assert (done_after(2, None), done_after(2, rounds)) == (3, 1000)
    assert (done_of(2, 3, None), done_of(2, 3, rounds)) == ("2/3", "800/1000")
    assert (amount(1, "epoch"), amount(2, "step")) == ("1 epoch", "2 steps")
