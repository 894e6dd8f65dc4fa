from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from utils.parallel import lag, map_ahead


def test_results_keep_the_order_of_the_items() -> None:
    def slow_when_small(number: int) -> int:
        time.sleep(0.02 / (number + 1))
        return number * number

    assert list(map_ahead(slow_when_small, range(20), workers=4, ahead=8)) == [n * n for n in range(20)]


def test_no_more_items_are_drawn_than_may_be_in_flight() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    results = map_ahead(lambda number: number, items(), workers=2, ahead=3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(drawn) <= 5 + 3


def test_an_error_is_raised_at_its_own_place() -> None:
    results = map_ahead(lambda number: 1 // (number - 2), range(5), workers=2, ahead=2)
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_work_runs_beside_the_consumer() -> None:
    threads = set(map_ahead(lambda _: threading.get_ident(), range(8), workers=2, ahead=4))
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(("count", "order"), [(0, "aAbBcC"), (1, "abAcBC"), (2, "abcABC"), (9, "abcABC")])
def test_the_next_items_are_begun_before_one_is_used(count: int, order: str) -> None:
    seen: list[str] = []

    def begun() -> Iterator[str]:
        for letter in "abc":
            seen.append(letter)
            yield letter

    for letter in lag(begun(), count):
        seen.append(letter.upper())
    assert "".join(seen) == order
