"""Memory that has been freed stays with the process: an image's buffers are needed again for the next one.

glibc gives large blocks back to the kernel as soon as they are freed, and the kernel hands them out again page by page,
each cleared and mapped anew: 4096 faults for a packed mask of 2048 px. In a virtual machine, where a fault costs
8 µs, that was two thirds of an augmentation's time and a fifth of a training step on the CPU.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 1 << 30
"""So much may lie unused at the heap's end; a single block of more than this is still given back."""


def keep_freed_memory() -> None:
    """Ask glibc to keep what this process frees, up to 1 GiB; without effect where the C library is another one.

    Worker processes that are forked inherit it, others call it themselves. The environment's
    MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ do the same for any program.
    """
    set_thresholds(_KEPT_BYTES, _KEPT_BYTES)


def set_thresholds(trim_bytes: int, mmap_bytes: int) -> None:
    """What may lie free at the heap's end, and from what size on a block gets a mapping of its own (mallopt(3))."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, trim_bytes)
        library.mallopt(_MMAP_THRESHOLD, mmap_bytes)
