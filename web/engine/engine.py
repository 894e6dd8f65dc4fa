"""The engine of a server: images → predictions → pictures, in bounded queues; the API and the page both use it.

async with engine.turn(content, "u2netp") as image:      # admitted, and waits until there is memory for it
    prediction = await engine.predict(image)             # decoded, and the network run, once
    answer = await engine.run(prediction.cutout, look)   # refined, drawn, encoded; as often as one likes

Decoding, refining and encoding run in a pool of threads beside those that run the networks. The numbers of threads
are chosen, and an image is in memory only during its turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from PIL import UnidentifiedImageError
from PIL.Image import DecompressionBombError

from data.cutout.photos.reader import read_photo
from data.cutout.task import image_size
from runtime.given_images import photograph_of
from transform.base import size_of
from utils.arrays import Image, Size
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import file_in_memory
from utils.system.cores import usable_cores
from utils.system.malloc import return_freed_memory
from web.engine.batcher import Batcher
from web.engine.budget import Budget
from web.engine.models import ServedModel, load_models
from web.engine.prediction import Prediction
from web.engine.providers import choose
from web.faults import Refused
from web.metrics import Metrics
from web.settings import Serve

Params = ParamSpec("Params")
Result = TypeVar("Result")
GPU_BATCH = 8
CPU_RUNNERS = 2
"""Batches that a processor computes at a time, which share its cores: each has steps in which one thread waits."""
IDLE_S = 0.5
"""After so long without work, memory that is free goes back to the kernel; it costs the next image milliseconds."""
RECENT = 0.1
"""The weight of the newest image in the running mean of seconds an image."""


@dataclass(frozen=True)
class Upload:
    """The bytes of an image file that has been looked at."""

    content: bytes
    model: ServedModel
    size_hw: Size


class Engine:
    """Holds the models and the threads. `start` and `close` are called once each."""

    def __init__(self, settings: Serve, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        cores = usable_cores()
        self.choice = choose(settings.provider, strict=settings.strict_provider)
        self.runners = 1 if self.choice.on_gpu else min(CPU_RUNNERS, cores)
        self.threads, self.workers = settings.threads or max(1, cores // self.runners), settings.workers or cores
        self.models = load_models(
            settings.models,
            self.choice,
            threads=self.threads,
            wanted=settings.provider,
            strict=settings.strict_provider,
        )
        self.batch = settings.batch or (GPU_BATCH if self.choice.on_gpu else 1)
        self.in_work = 0
        """Images in work or waiting."""
        self.seconds_each = 0.5
        """The running mean of an image's time, without waiting; the first value is a guess."""

    def start(self) -> None:
        """Start the threads; called in the event loop."""
        self._idle = asyncio.get_running_loop().call_later(0, return_freed_memory)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="images")
        self._batcher = Batcher(self.batch, self.runners, self.metrics.batches.observe)
        self._pixels = Budget(self.settings.limits.megapixels_at_once)
        self._slots = Budget(self.workers + self.batch * self.runners)

    def close(self) -> None:
        """Finish what is queued and end the threads."""
        self._idle.cancel()
        self._pool.shutdown()
        self._batcher.close()

    @property
    def warnings(self) -> list[str]:
        """What is not as it was asked for, a sentence each."""
        return list(dict.fromkeys(one.warning for one in self.models.values() if one.warning))

    def model(self, name: str | None = None) -> ServedModel:
        """Return a model by its name; the first without one. Raises `UserError` for another name."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise UserError(f"model: '{name[:60]}' is not served here. {did_you_mean_of_all(name[:60], self.models)}")
        return self.models[name]

    def model_for(self, name: str | None, *, cuts_out: bool) -> ServedModel:
        """Return a model by its name; without one the first that cuts out, or the first that does not."""
        fitting = (one.name for one in self.models.values() if one.cuts_out == cuts_out)
        return self.model(name or next(fitting, None))

    @asynccontextmanager
    async def turn(self, content: bytes, model: str | None = None) -> AsyncIterator[Upload]:
        """Admit an image, and wait until there is memory for it; during the block it is in work.

        Raises `Refused` if too many wait, if the image is too large or unreadable, or if the block takes too long.
        """
        served = self.model(model)
        with self._admitted():
            try:
                async with asyncio.timeout(self.settings.timeout_s):
                    image = await self.run(self._looked_at, content, served)
                    pixels = math.prod(image.size_hw) / 1e6
                    async with self._slots.share(1), self._pixels.share(pixels):
                        begun_s = time.perf_counter()
                        yield image
                        self.seconds_each += RECENT * (time.perf_counter() - begun_s - self.seconds_each)
            except TimeoutError:
                sentence = f"The image was not finished within {self.settings.timeout_s:g} s. Try again later."
                raise Refused(503, sentence, retry_after_s=self.retry_after_s) from None

    async def predict(self, image: Upload) -> Prediction:
        """Decode an image and run its network. Raises `Refused` for an image that is damaged."""
        photo, prepared = await self.run(_decoded, image)
        with self.metrics.stages.labels("network").time():
            try:
                logits = await _finished(self._batcher.submit(image.model, prepared))
            except UserError as error:  # It may be this image that an inexact network overflows at.
                sentence = str(error).replace(str(image.model.predictor.network.path), f"model '{image.model.name}'")
                raise Refused(422, sentence) from error
        return Prediction(image.model, photo, image.model.predictor.own_part(logits, size_of(photo.pixels)))

    async def run(self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        """Call a function in the pool of threads."""
        return await _finished(self._pool.submit(function, *args, **kwargs))

    @property
    def retry_after_s(self) -> int:
        """After how many seconds the images that wait now will be finished, at least 1."""
        return max(1, math.ceil(self.in_work * self.seconds_each / max(1, self.workers)))

    def refuse_if_full(self) -> None:
        """Raise `Refused` if too many images are in work or waiting."""
        if self.in_work >= self.settings.queue:
            self.metrics.refused.inc()
            sentence = f"{self.in_work} images are in work already. Try again later."
            raise Refused(503, sentence, retry_after_s=self.retry_after_s)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        self.refuse_if_full()
        self.in_work += 1
        try:
            yield
        finally:
            self.in_work -= 1
            if self.in_work == 0:
                self._idle.cancel()
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._give_memory_back)

    async def ground(self, content: bytes) -> Image:
        """Decode a picture to lay objects on, RGB in sRGB. Raises `Refused` for one that is too large or no image."""

        def decoded() -> Image:
            with file_in_memory(content) as path, _in_sentences(path, "background_file"):
                self._check_size(image_size(path), "background_file")
                return read_photo(path).in_srgb.pixels

        return await self.run(decoded)

    def _give_memory_back(self) -> None:
        """Return what the last images have left to the kernel, if there is still nothing to do."""
        if self.in_work == 0:
            self._pool.submit(return_freed_memory)

    def _looked_at(self, content: bytes, model: ServedModel) -> Upload:
        """Read the size of an image from its head. Raises `Refused` for one that is too large or no image."""
        if not content:
            raise Refused(422, "file: is empty. Send an image.")
        with file_in_memory(content) as path, _in_sentences(path):
            size_hw = model.task.image_size(path)
            self._check_size(size_hw)
        return Upload(content, model, size_hw)

    def _check_size(self, size_hw: Size, called: str = "file") -> None:
        most = self.settings.limits.megapixels
        if math.prod(size_hw) > most * 1e6:
            raise Refused(413, f"{called}: {size_hw[1]} x {size_hw[0]} px, expected at most {most:g} megapixels.")


def _decoded(image: Upload) -> Any:
    """Return the photograph, and what is given to the network, float32[C, h, w]."""
    with file_in_memory(image.content) as path, _in_sentences(path):
        photo = photograph_of(image.model.task, path)
    return photo, image.model.predictor.prepare(photo.pixels)


@contextmanager
def _in_sentences(path: Path, called: str = "file") -> Iterator[None]:
    """Raise what is wrong with an uploaded image as `Refused`, without a path."""
    try:
        yield
    except UserError as error:
        sentence = str(error).replace(str(path), called)
        cause = error.__cause__
        status = 415 if isinstance(cause, UnidentifiedImageError) else 422
        if isinstance(cause, DecompressionBombError):
            status = 413
        raise Refused(status, sentence) from None


async def _finished(future: Future[Result]) -> Result:
    """Wait for a future of a thread. If nobody needs it any more and it runs already, its end is waited for.

    What it holds in memory is counted until then.
    """
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not future.cancel():
            with suppress(Exception):
                await asyncio.shield(waiting)
        raise
