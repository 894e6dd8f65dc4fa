"""Kernels are compiled when they are first called, with the kernels that they call."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from utils.system import jit
from utils.system.jit import LazyKernel, kernel

SOURCE = """
def inner(number):
    return number + 1

def outer(number):
    return inner(number) if type(inner).__name__ == "function" else None
"""


@kernel
def _outer(values: np.ndarray) -> float:
    """The sum of squares."""
    total = 0.0
    for value in values:
        total += _square(value)
    return total


@kernel
def _square(value: float) -> float:
    return value * value


def test_a_kernel_calls_another_that_is_defined_below_it() -> None:
    outer, square = _outer, _square
    assert isinstance(outer, LazyKernel)
    assert outer(np.array([1.0, 2.0, 3.0])) == 14.0
    assert not isinstance(_square, LazyKernel), "compiled code calls compiled code"
    assert isinstance(square, LazyKernel)
    assert square(3.0) == 9.0, "who imported it before can still call it"
    assert outer.__doc__ == "The sum of squares."


def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
    time.sleep(0.02)
    return function


def test_a_kernel_that_two_threads_call_first_calls_compiled_ones_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_compile", slowly)
    names: dict[str, Any] = {}
    exec(SOURCE, names)
    for name in ("outer", "inner"):
        names[name] = kernel(names[name])
    outer, together = names["outer"], Barrier(4)

    def call(number: int) -> object:
        together.wait()
        time.sleep(number * 0.01)
        return outer(number)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [1, 2, 3, 4]
