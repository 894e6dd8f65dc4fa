"""The figures of a server in the format of Prometheus, for `/metrics`."""

from __future__ import annotations

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The figures of one application; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("carpus_requests", "Answered requests.", ("path", "status"), registry=self.registry)
        self.seconds = Histogram(
            "carpus_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "carpus_stage_seconds",
            "Time of one image in a stage, its waiting included.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "carpus_batch_images",
            "Images that a network computed at a time.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.refused = Counter(
            "carpus_overload", "Images that were refused, as too many waited.", registry=self.registry
        )
        self.in_work = Gauge("carpus_images_in_work", "Images in work or waiting.", registry=self.registry)
        self.memory = Gauge("carpus_resident_bytes", "Memory of the process.", registry=self.registry)
        process = psutil.Process()
        self.memory.set_function(lambda: process.memory_info().rss)

    def text(self) -> bytes:
        """Return all figures as they are now."""
        return generate_latest(self.registry)
