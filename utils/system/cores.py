"""How many processor cores there are for this process."""

from __future__ import annotations

import math
import os

from utils.system.cgroup import look_at_limits


def usable_cores() -> int:
    """The cores that this process may keep busy: by its affinity, and by the quota of its container or job."""
    quota = look_at_limits().cores
    affine = cores_by_affinity()
    return affine if quota is None else max(1, min(affine, math.ceil(quota)))


def cores_by_affinity() -> int:
    """The cores that this process may run on, which a batch system or taskset may have cut down."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
