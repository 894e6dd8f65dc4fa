"""How many processor cores there are for this process."""

from __future__ import annotations

import math
import os

from utils.system.cgroup import look_at_limits


def usable_cores() -> int:
    """Return how many cores this process may use, by its affinity and by the quota of its container or job."""
    quota = look_at_limits().cores
    affine = cores_by_affinity()
    return affine if quota is None else max(1, min(affine, math.ceil(quota)))


def cores_by_affinity() -> int:
    """Return on how many cores this process may run; a batch system or taskset may have reduced them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
