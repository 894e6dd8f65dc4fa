"""Scoring and prediction of whole films beside the usual way, and the parts of one prediction.

All ways compute the recipe's network and get its logits from `Recognising`, so that their scores and files are equal.
"""

# Shapes: N images, C classes (29), h/w the network's input.
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import usual, usual_csv
from benchmarks.gpu.bench import BASE, WINDOWS, Bench
from benchmarks.gpu.clock import GIB
from benchmarks.gpu.part import Measurement, Row
from benchmarks.gpu.parts.recognising import Autocast, Known, Recognising, answers, thumbnails
from benchmarks.gpu.parts.usual_loop import usual_network
from benchmarks.pair import must_agree
from configs.schema import Config
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.masks import rle
from data.sample import Sample
from trainer.build import build_predictor, build_validator
from trainer.inference import accelerated, write_predictions
from trainer.prediction.predictor import Prediction, Predictor
from trainer.records.checkpoint import Weights
from trainer.trained import Trained
from trainer.training.stepper import TrainState
from transform.base import as_size
from utils.arrays import Floats, Size
from utils.errors import UserError
from utils.system.gpu import choose_kernels

USUAL_IMAGES = 4
"""Images of the usual way, which needs seconds for each, after as many as fill a batch."""
FIRST = 5
"""Images after which a network is replayed from what was recorded."""
TIMES = 3
"""How often each image is given to ours."""
DICE = 1e-4
"""Difference of a Dice: the usual way adds an epsilon to both sides of the fraction, and computes in floats."""
PIXELS = 1e-6
"""Share of pixels that may differ, by the rounding of logits at the threshold."""
NOT_SQUEEZED = "transform.pad=false"
"""Both ways squeeze images that are not square, as the usual one does."""


class Films:
    """The images, what the network answers to them, and the results of each way."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.usual_ms: dict[str, float] = {}
        choose_kernels(bench.device.type, deterministic=False)
        self.dice: Floats | None = None
        self.csv: Path | None = None

    def config(self, *overrides: str) -> Config:
        keys = (f"trainer.precision={self.bench.half}", NOT_SQUEEZED, "trainer.ema_decay=null")
        return self.bench.config(BASE, *keys, "model.checkpoint_gradients=false", *overrides)

    @cached_property
    def answers_NChw(self) -> Tensor:
        assert self.bench.material is not None
        return answers(self.bench.material, self.input_hw).to(self.bench.device)

    @cached_property
    def input_hw(self) -> Size:
        return as_size(self.config().transform.size_px)

    @cached_property
    def samples(self) -> list[Sample]:
        """The images several times, by other names, so that the start of a pass is a small part of it."""
        times = 1 if self.bench.tiny else TIMES
        again = [replace(each, name=f"{turn}_{each.name}") for turn in range(1, times) for each in self.bench.samples]
        return [*self.bench.samples, *again]

    @property
    def scratch(self) -> Path:
        assert self.bench.material is not None
        return self.bench.material.scratch

    @property
    def native_hw(self) -> Size:
        assert self.bench.material is not None
        return self.bench.material.size_hw

    @cached_property
    def state(self) -> TrainState:
        return self.bench.stepper(self.config()).train_state

    @cached_property
    def ours(self) -> Recognising:
        """Our network, with images as our path gives them."""
        predictor = self.predictor_of(self.config(), self.state.model)
        seen = (torch.from_numpy(predictor.load(sample).views[0])[None, None] for sample in self.bench.samples)
        return Recognising(self.state.model, self.known(seen)).eval()

    @cached_property
    def theirs(self) -> Autocast:
        """The usual network, with images as the usual way gives them, in mixed precision as the better copies do."""
        images = usual.Radiographs(self.bench.samples, self.input_hw, labelled=False)
        seen = (images[index][0][None] for index in range(len(images)))
        network = Recognising(usual_network(self.bench, BASE).to(self.bench.device), self.known(seen))
        return Autocast(network, torch.float16 if self.bench.clock.on_gpu else torch.bfloat16).eval()

    def known(self, seen_1Xhw: Iterable[Tensor]) -> Known:
        """Return the images as a network sees them, with what it answers to them."""
        thumbnails_NP = torch.cat([thumbnails(image) for image in seen_1Xhw]).to(self.bench.device)
        return Known(thumbnails_NP, self.answers_NChw)

    def predictor_of(self, config: Config, network: torch.nn.Module) -> Predictor:
        return build_predictor(config, network, self.bench.device)

    def row(self, name: str, kind: str, image_ms: float) -> Row:
        """Return the row of a way, beside the usual one of its kind if that was timed."""
        if image_ms <= 0 and not self.bench.tiny:
            raise UserError("fewer images took longer than all. Measure again while no other program computes.")
        image_ms = max(image_ms, 1e-6)
        ratio = self.usual_ms[kind] / image_ms if kind in self.usual_ms else None
        known_gib = self.answers_NChw.nbytes / GIB  # what only these measurements hold
        peaks = {key: None if peak is None else peak - known_gib for key, peak in self.bench.clock.peaks_gib().items()}
        return Row(name, {"image_ms": image_ms, "images_s": 1e3 / image_ms, "ratio": ratio, **peaks})

    def forget_theirs(self) -> None:
        """Free the usual network, so that ours is measured alone."""
        self.__dict__.pop("theirs", None)


OTHERS: dict[str, tuple[str, ...]] = {
    "masks alone, ours": (),
    "masks alone, four images at once": ("trainer.evaluate_batch_size=4",),
    "masks alone, mirrored too": ("predict.tta.hflip=true",),
}
"""Further ways to predict, and the keys that they change."""


def films(bench: Bench) -> Iterator[Measurement]:
    """Score and predict the images in the usual way and in ours, and compare what comes out."""
    shared = Films(bench)
    yield Measurement("scoring, the usual way", lambda: usual_scoring(shared))
    yield Measurement("images → CSV, the usual way", lambda: usual_prediction(shared))
    shared.forget_theirs()
    yield Measurement("scoring, ours", lambda: our_scoring(shared))
    yield Measurement("images → CSV, ours", lambda: our_prediction(shared))
    yield Measurement("parts of a prediction", lambda: parts_of_one(shared))
    for name, keys in OTHERS.items():
        yield Measurement(name, partial(_our_masks, shared, name, BASE, keys))
    yield Measurement("masks alone, in windows", partial(_our_masks, shared, "masks alone, in windows", WINDOWS, ()))


class Feed:
    """The batches of a usual loader on the device, and the time of all but the first, which is not counted."""

    def __init__(self, batches: Iterable[tuple[Tensor, Any]], device: torch.device) -> None:
        self.batches, self.device = batches, device
        self.begun_s, self.images = 0.0, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        for number, (images, others) in enumerate(self.batches):
            if number:
                self.images += len(images)
            yield images.to(self.device), others.to(self.device) if isinstance(others, Tensor) else others
            if not number:
                self.begun_s = time.perf_counter()

    @property
    def image_ms(self) -> float:
        """Milliseconds of an image until now."""
        return 1e3 * (time.perf_counter() - self.begun_s) / self.images


def usual_feed(shared: Films, *, labelled: bool) -> Feed:
    samples = shared.bench.samples[: usual.BATCH + USUAL_IMAGES]
    return Feed(usual.loader(samples, shared.input_hw, labelled=labelled), shared.bench.device)


def usual_scoring(shared: Films) -> Iterable[Row]:
    network, feed = shared.theirs, usual_feed(shared, labelled=True)
    _, dice_NC = usual.validate(network, feed)
    shared.usual_ms["scoring"], shared.dice = feed.image_ms, dice_NC
    return [shared.row("scoring, the usual way", "scoring", shared.usual_ms["scoring"])]


def our_scoring(shared: Films) -> Iterable[Row]:
    """Score all images, and compare those that the usual way has scored too.

    What is done once in each scoring, such as a copy of the network, has a row of its own: a scoring of fewer images
    takes that time too, so the difference of both is the time of the others.
    """
    config, network, samples = shared.config(), shared.ours, shared.samples
    validator = build_validator(config, replace(shared.state, model=network), samples, emit=lambda event: None)
    fewer = samples[: len(samples) // 3 or 1]
    replace(validator, samples=fewer).score(network, 0)
    few_ms = 1e3 * shared.bench.clock.seconds(lambda: replace(validator, samples=fewer).score(network, 0))
    begun_s = time.perf_counter()
    table = validator.score(network, 0).table
    all_ms = 1e3 * (time.perf_counter() - begun_s)
    if shared.dice is not None:
        dice_NC = np.stack([table.rows[sample.name] for sample in samples[: len(shared.dice)]])
        apart = float(np.abs(dice_NC - shared.dice).max())
        must_agree(apart < DICE, f"Dice by {apart:.1e}")
    image_ms = (all_ms - few_ms) / (len(samples) - len(fewer))
    row = shared.row("scoring, ours", "scoring", image_ms)
    once = Row("scoring, ours: once in each scoring", {"image_ms": few_ms - len(fewer) * image_ms})
    return [replace(row, holds=None if shared.dice is None else True), once]


def usual_prediction(shared: Films) -> Iterable[Row]:
    network, feed, scratch = shared.theirs, usual_feed(shared, labelled=False), shared.scratch
    usual.write_rows([], scratch / "empty.csv")  # loads pandas
    csv = usual.predict(network, feed, shared.native_hw, scratch / "usual.csv")
    shared.usual_ms["prediction"], shared.csv = feed.image_ms, csv
    return [shared.row("images → CSV, the usual way", "prediction", shared.usual_ms["prediction"])]


def our_prediction(shared: Films) -> Iterable[Row]:
    """Predict all images, and compare the rows that the usual way has written too.

    The first images have a row of their own: operations are recorded.
    """
    config, samples, scratch = shared.config(), shared.samples, shared.scratch
    weights = Weights({}, BONES, config.model_dump(mode="json"), epoch=0, score=0.0)
    trained = accelerated(Trained(hand_bone, config, weights, shared.predictor_of(config, shared.ours)))
    trained = replace(trained, predictor=trained.predictor.replayed())
    times_s = []
    for some, csv in ((samples[:FIRST], scratch / "first.csv"), (samples, scratch / "ours.csv")):
        begun_s = time.perf_counter()
        write_predictions(trained, some, csv)
        times_s.append((time.perf_counter() - begun_s) / len(some))
    if shared.csv is not None:
        differing = usual_csv.differences(shared.csv, scratch / "ours.csv", shared.native_hw)
        share = float(differing.sum()) / (len(differing) * shared.native_hw[0] * shared.native_hw[1])
        must_agree(share <= PIXELS, f"masks in {share:.1e} of their pixels")
    row = shared.row("images → CSV, ours", "prediction", 1e3 * times_s[1])
    start = Row("images → CSV, ours: the first images", {"image_ms": 1e3 * times_s[0]})
    return [replace(row, holds=None if shared.csv is None else True), start]


def parts_of_one(shared: Films) -> Iterable[Row]:
    """Time each part of the prediction of one image, alone and in one thread."""
    one_by_one, sample = shared.predictor_of(shared.config(), shared.ours).accelerated(), shared.samples[0]
    predictor, loaded = one_by_one.replayed(), one_by_one.load(sample)
    prediction = Prediction(loaded, one_by_one.logits([loaded])[0])
    mask = predictor.decode(prediction)
    parts: dict[str, Callable[[], Any]] = {
        "decode and resize": lambda: predictor.load(sample),
        "the same with its label": lambda: predictor.load_with_truth(sample, hand_bone.read),
        "network": lambda: predictor.logits([loaded]),
        "network, its operations one by one": lambda: one_by_one.logits([loaded]),
        "mask at native size": lambda: predictor.decode(prediction),
        "29 masks → RLE": lambda: list(map(rle.to_text, rle.encode(mask, len(BONES)))),
    }
    clock = shared.bench.clock
    return [Row(f"one image: {name}", {"image_ms": clock.ms(work, warm=FIRST)}) for name, work in parts.items()]


def _our_masks(shared: Films, name: str, recipe: str, keys: Iterable[str]) -> Iterable[Row]:
    """Predict all images without writing them; in windows with the plain network, which answers noise."""
    own_keys = (f"trainer.precision={shared.bench.half}", NOT_SQUEEZED, *keys)
    network = shared.ours.body if recipe == WINDOWS else shared.ours
    config = shared.bench.config(recipe, *own_keys)
    predictor = shared.predictor_of(config, network).accelerated().replayed()
    samples = shared.samples[: USUAL_IMAGES if recipe == WINDOWS else None]
    for _ in predictor.masks(samples[:FIRST] * config.trainer.evaluate_batch_size):
        pass
    begun_s = time.perf_counter()
    for _ in predictor.masks(samples):
        pass
    return [shared.row(name, "masks", 1e3 * (time.perf_counter() - begun_s) / len(samples))]
