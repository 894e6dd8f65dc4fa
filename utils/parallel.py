"""Work ahead of the consumer, in order: a map over threads, and items that are begun before earlier ones are used."""

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
    """Yield `function(item)` for each item in order, computed on `workers` threads, at most `ahead` items at a time.

    While the consumer handles one result, the next are computed. `items` is iterated in the consumer's thread, so it
    may itself be a `map_ahead`. An error of `function` is raised when its item's turn comes.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # the consumer stopped early or an item failed
            for future in pending:
                future.cancel()


def lag(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield `items` in order, each only after the next `count` are there; the last ones when there are no more.

    For items that begin work elsewhere: `for result in lag(started, 1): wait(result)` begins each before it waits for
    the one before. With a `count` of 0 nothing is held.
    """
    held: deque[Item] = deque()
    for item in items:
        held.append(item)
        # Nothing else may refer to an item that the consumer has finished with.
        del item
        if len(held) > count:
            yield held.popleft()
    while held:
        yield held.popleft()
