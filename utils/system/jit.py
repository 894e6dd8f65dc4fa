"""Compile kernels with numba, which is loaded at the first call, and keep their machine code on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from threading import RLock
from typing import Any, TypeVar, cast

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_COMPILING = RLock()


def kernel(function: Kernel) -> Kernel:
    """Compile `function` without the interpreter lock, at its first call.

    Importing numba takes as long as cutting out a photograph, and many programs call no kernel.
    """
    return cast(Kernel, LazyKernel(function))


class LazyKernel:
    """A function that is compiled when it is first called, with all kernels of its module that it may call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self._code: Callable[..., Any] | None = None
        self._ready: Callable[..., Any] | None = None
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        return self.compiled()(*args)

    def compiled(self) -> Callable[..., Any]:
        """Return the compiled function, when all kernels that it may call are compiled too; several threads may ask."""
        if self._ready is None:
            with _COMPILING:
                self._ready = self._linked()
        return self._ready

    def _linked(self) -> Callable[..., Any]:
        """Return the compiled function, and replace the kernels among its module's globals by theirs.

        Compiled code calls compiled code only.
        """
        if self._code is None:
            self._code = _compile(self.py_func)
            names = self.py_func.__globals__
            names.update({name: of._linked() for name, of in list(names.items()) if isinstance(of, LazyKernel)})
        return self._code


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function; its code is cached beside the source, or in the home folder.

    If neither can be written, numba refuses to cache; the kernel is then compiled anew in each process, which costs
    seconds and changes no result.
    """
    from numba import njit

    try:
        return cast(Callable[..., Any], njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Callable[..., Any], njit(nogil=True)(function))
