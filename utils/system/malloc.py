"""Keep freed memory in the process, because the next image needs buffers of the same size.

By default glibc returns large blocks to the kernel as soon as they are freed. The kernel provides them again page by
page, each cleared and mapped anew: 4096 page faults for a packed mask of 2048 px. In a virtual machine with 8 µs per
fault, this took two thirds of an augmentation's time and a fifth of a training step on the CPU.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 1 << 30
"""How much may lie unused at the heap's end. A single block that is larger is still returned to the kernel."""


def keep_freed_memory() -> None:
    """Ask glibc to keep what this process frees, up to 1 GiB; without effect if the C library is another one.

    Forked worker processes inherit the setting, others call this function themselves. The environment variables
    MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ do the same for any program.
    """
    set_thresholds(_KEPT_BYTES, _KEPT_BYTES)


def return_freed_memory() -> None:
    """Return to the kernel what lies free in the heap, such as a hole that an array of hundreds of megabytes left."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def set_thresholds(trim_bytes: int, mmap_bytes: int) -> None:
    """Set how much may lie free at the heap's end, and from which size on a block has its own mapping (mallopt(3))."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, trim_bytes)
        library.mallopt(_MMAP_THRESHOLD, mmap_bytes)
