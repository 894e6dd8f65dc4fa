"""The threads that run all networks: images that wait for the same network are computed together.

While a batch is computed the next images arrive, so batches form by themselves, and no image waits for others.
"""

# Shapes: N images, C channels or classes, h/w the network's input or output.
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from utils.arrays import Floats32
from web.engine.models import ServedModel


@dataclass(frozen=True, eq=False)
class Job:
    """An image that is prepared for a network; `logits` will be float32[C, h, w]."""

    model: ServedModel
    image_CHW: Floats32
    logits: Future[Floats32] = field(default_factory=Future)


class Batcher:
    """Computes `runners` batches at a time, of at most `largest` images each.

    `watch` is called with the number of images of each batch.
    """

    def __init__(self, largest: int, runners: int = 1, watch: Callable[[int], None] = lambda _: None) -> None:
        self._largest, self._watch = largest, watch
        self._jobs: deque[Job] = deque()
        self._arrived = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._run, name="networks", daemon=True) for _ in range(runners)]
        for thread in self._threads:
            thread.start()

    def submit(self, model: ServedModel, image_CHW: Floats32) -> Future[Floats32]:
        """Queue an image; a future that is cancelled before its turn is not computed."""
        job = Job(model, image_CHW)
        with self._arrived:
            self._jobs.append(job)
            self._arrived.notify()
        return job.logits

    def close(self) -> None:
        """Compute what is queued, and end the threads."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._watch(len(batch))
            try:
                images_NCHW = np.stack([job.image_CHW for job in batch])
                for job, logits_Chw in zip(batch, batch[0].model.predictor.logits_of_batch(images_NCHW), strict=True):
                    job.logits.set_result(logits_Chw)
            except Exception as error:
                for job in batch:
                    job.logits.set_exception(error)

    def _next(self) -> list[Job]:
        """Wait for images, and return the next ones of one network; none if there are no more and it is closed."""
        with self._arrived:
            while True:
                batch = self._take()
                if batch or self._closed:
                    return batch
                self._arrived.wait()

    def _take(self) -> list[Job]:
        batch: list[Job] = []
        others: deque[Job] = deque()
        while self._jobs and (not batch or len(batch) < self._size_for(batch[0].model)):
            job = self._jobs.popleft()
            if batch and job.model is not batch[0].model:
                others.append(job)
            elif job.logits.set_running_or_notify_cancel():
                batch.append(job)
        self._jobs.extendleft(reversed(others))
        return batch

    def _size_for(self, model: ServedModel) -> int:
        return min(self._largest, model.predictor.network.batch or self._largest)
