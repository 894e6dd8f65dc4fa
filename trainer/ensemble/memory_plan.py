"""Which networks of an ensemble are in memory together, and over how many images those that are not take turns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from utils.doctor.machine import available_mib, look_at_memory
from utils.system.cgroup import look_at_limits

log = logging.getLogger(__name__)

NETWORKS_SHARE = 0.5
"""Of the device's free memory; the rest is for what a network computes and the sum of an image."""
SUMS_SHARE = 0.25
"""Of the machine's free memory, for the sums of images that wait for the next turn."""
LARGEST_CHUNK = 32
"""Images between two turns; loading a network then costs little beside its work on so many."""
MIB = 2**20


@dataclass(frozen=True)
class MemoryPlan:
    """Groups of members, by number, that are in memory together; with several, each passes over `chunk` images."""

    groups: tuple[tuple[int, ...], ...]
    chunk: int


def plan_memory(network_bytes: Sequence[int], sum_bytes: int, device: torch.device) -> MemoryPlan:
    """Plan one pass with all networks if they fit; else several passes, each over as many images as may wait."""
    free, free_host = free_bytes(device), free_bytes(torch.device("cpu"))
    plan = grouped(network_bytes, sum_bytes, NETWORKS_SHARE * free, SUMS_SHARE * free_host)
    if len(plan.groups) == 1:
        log.info("%d networks, all in memory together", len(network_bytes))
    else:
        log.info(
            "%d networks do not fit into memory together: %d groups take turns, each over %d images",
            *(len(network_bytes), len(plan.groups), plan.chunk),
        )
    return plan


def grouped(network_bytes: Sequence[int], sum_bytes: int, room: float, sums_room: float) -> MemoryPlan:
    """Consecutive networks of at most `room` bytes together, each group at least one; sums of at most `sums_room`."""
    groups: list[list[int]] = [[]]
    taken = 0
    for index, size in enumerate(network_bytes):
        if groups[-1] and taken + size > room:
            groups.append([])
            taken = 0
        groups[-1].append(index)
        taken += size
    return MemoryPlan(tuple(map(tuple, groups)), max(1, min(LARGEST_CHUNK, int(sums_room // sum_bytes))))


def free_bytes(device: torch.device) -> float:
    """Return the free memory of a device in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return available_mib(look_at_memory(), look_at_limits()) * MIB
