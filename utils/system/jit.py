"""Compile kernels with numba and keep their machine code on disk if the disk can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` without the interpreter lock.

    The compiled code is cached beside the source, or in the home folder. If neither can be written, numba refuses to
    cache; the kernel is then compiled anew in each process, which costs seconds and changes no result.
    """
    try:
        return cast(Kernel, njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Kernel, njit(nogil=True)(function))
