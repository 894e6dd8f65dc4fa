"""Kernels are compiled when they are first called, with the kernels that they call."""

from __future__ import annotations

import numpy as np

from utils.system.jit import LazyKernel, kernel


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
