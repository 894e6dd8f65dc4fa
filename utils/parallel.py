"""Work done beside the consumer: a map over threads, in order, with a bounded number of items in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 2, ahead: int = 4
) -> Iterator[Result]:
    """`map(function, items)` on `workers` threads, at most `ahead` items in flight; results keep the order of `items`.

    While the consumer handles one result, the next are computed. Stages compose: the items of one may be the results
    of another, and are drawn in the consumer's thread. An error of `function` is raised at its item's place.
    """
    with ThreadPoolExecutor(workers) as pool:
        flying: deque[Future[Result]] = deque()
        try:
            for item in items:
                flying.append(pool.submit(function, item))
                if len(flying) >= ahead:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()
