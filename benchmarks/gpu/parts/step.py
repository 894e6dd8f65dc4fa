"""The throughput of training beside the usual loop, which computes the same: first that is checked, then the times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import BASE, SMALL, Bench
from benchmarks.gpu.part import Measurement, Row
from benchmarks.gpu.parts.usual_loop import UsualLoop, usual_batch, usual_loop, usual_network, with_weights_of
from benchmarks.pair import must_agree
from trainer.training.stepper import Stepper

GROUPS = 2
"""Optimizer steps that are timed, after one that allocates memory and loads kernels."""
USUAL_STEPS = 4
SAME_LOSS, SAME_STEP = 1e-6, 1e-4
"""Relative differences of the loss, and of the step that the weights take, in fp64: a deep network in training mode
enlarges the differences of the order of sums by up to a million."""
SAME = (
    *("transform.size_px=128", "transform.mean=0", "transform.std=1", "loss=bce", "trainer.precision=fp32"),
    *("trainer.batch_size=2", "trainer.accumulate=1", "trainer.clip_norm=null", "trainer.ema_decay=null"),
    *("optimizer=sgd", "optimizer.lr=0.01", "optimizer.momentum=0", "optimizer.nesterov=false"),
    *("optimizer.weight_decay=0", "scheduler=constant"),
)


class Throughputs:
    """Images a second of each way of a recipe, so that later rows can be set beside the usual loop's."""

    def __init__(self, bench: Bench, recipe: str) -> None:
        self.bench, self.recipe = bench, recipe
        self.usual: dict[str, float] = {}

    def usual_way(self, name: str, key: str, size: int) -> Iterable[Row]:
        """Time the usual loop on `size` images; in fp16 as its better copies are, with pinned memory too."""
        better = key == "fp16"
        pinned = better and self.bench.clock.on_gpu
        loop = usual_loop(self.bench, usual_network(self.bench, self.recipe), half=better, pinned=pinned)
        batch = usual_batch(*self.bench.batch(self.bench.config(self.recipe), size), pinned=pinned)
        batch_ms = self.bench.clock.ms(lambda: loop.step(*batch), warm=2, rounds=USUAL_STEPS)
        self.usual[key] = batch_ms / size
        return [self.row(name, batch_ms, size)]

    def our_way(self, name: str, *overrides: str, size: int | None = None) -> Iterable[Row]:
        """Time our training on batches of the recipe's size, or of `size` images."""
        config = self.bench.config(self.recipe, *overrides)
        stepper, batch = self.bench.stepper(config), self.bench.batch(config, size)
        batch_ms, launch_ms = time_steps(self.bench, stepper, *batch)
        return [self.row(name, batch_ms, len(batch[0]), launch_ms)]

    def row(self, name: str, batch_ms: float, size: int, launch_ms: float | None = None) -> Row:
        """Return the row of a way, with its throughput as a multiple of the usual loop's, as far as that was timed."""
        image_ms = batch_ms / size
        ratios = {f"beside_{key}": usual_ms / image_ms for key, usual_ms in self.usual.items()}
        times = {"image_ms": image_ms, "images_s": 1e3 / image_ms, "batch": float(size), "launch_ms": launch_ms}
        return Row(name, {**times, **ratios, **self.bench.clock.peaks_gib()})


def time_steps(bench: Bench, stepper: Stepper, images: Tensor, packed: Tensor) -> tuple[float, float]:
    """Return the milliseconds of a batch over whole optimizer steps, and those until it is launched."""
    accumulate, clock = stepper.accumulate, bench.clock

    def steps(groups: int) -> None:
        for number in range(groups * accumulate):
            stepper.step(images, packed, number, groups * accumulate)

    steps(1)
    batch_ms = 1e3 * clock.seconds(lambda: steps(GROUPS)) / (GROUPS * accumulate)
    return batch_ms, clock.launch_ms(lambda: steps(1), rounds=1) / accumulate


def of_base(bench: Bench) -> Iterator[Measurement]:
    """The contest recipe, as it is and with one thing changed at a time; the usual loop with less if it must."""
    ways = Throughputs(bench, BASE)
    size = bench.config(BASE).trainer.batch_size
    half = f"trainer.precision={bench.half}"
    yield same("the same loss and step as the usual loop", bench, BASE)
    for name, key in (("the usual loop", "fp32"), ("the usual loop in fp16, pinned", "fp16")):
        yield _usual(ways, name, key, size)
        if key not in ways.usual:
            yield _usual(ways, f"{name}, one image", key, 1)
    yield _ours(ways, "ours, as the recipe is", half)
    if bench.tiny:  # the roads are the same
        return
    yield _ours(ways, "ours, activations computed again", half, "model.checkpoint_gradients=true")
    if bench.has_bf16:
        yield _ours(ways, "ours in bf16", "trainer.precision=bf16")
    yield _ours(ways, "ours, twice the batch", half, size=2 * size)


def of_small(bench: Bench) -> Iterator[Measurement]:
    """The recipe for trying ideas, in which launches may cost more than arithmetic."""
    ways = Throughputs(bench, SMALL)
    size = bench.config(SMALL).trainer.batch_size
    yield same("the same loss and step as the usual loop", bench, SMALL)
    yield _usual(ways, "the usual loop", "fp32", size)
    yield _usual(ways, "the usual loop in fp16, pinned", "fp16", size)
    yield _ours(ways, "ours, as the recipe is")
    if not bench.tiny:
        yield _ours(ways, "ours without a moving average", "trainer.ema_decay=null")


def _usual(ways: Throughputs, name: str, key: str, size: int) -> Measurement:
    return Measurement(name, partial(ways.usual_way, name, key, size))


def _ours(ways: Throughputs, name: str, *overrides: str, size: int | None = None) -> Measurement:
    return Measurement(name, partial(ways.our_way, name, *overrides, size=size))


def same(name: str, bench: Bench, recipe: str) -> Measurement:
    """Compare one step of both loops, with the same weights on the same images, in fp64."""
    return Measurement(name, lambda: [Row(name, {}, holds=steps_agree(bench, recipe))])


def steps_agree(bench: Bench, recipe: str) -> bool:
    """Raise `Disagreement` unless both loops compute the same loss and move the weights alike."""
    config = bench.config(recipe, *SAME)
    stepper, (images, packed) = bench.stepper(config), bench.batch(config)
    ours = stepper.train_state.model.double()
    theirs = with_weights_of(usual_network(bench, recipe, *SAME).double(), ours).to(bench.device).train()
    ours.register_forward_pre_hook(lambda _, given: (given[0].double(),))
    starts = {name: parameter.detach().clone() for name, parameter in theirs.named_parameters()}
    # Both with plain SGD: Adam's first step has the same length for all gradients, also for those near 0.
    optimizer = torch.optim.SGD(theirs.parameters(), lr=config.optimizer.as_dict()["lr"])
    no_scaler = torch.amp.grad_scaler.GradScaler(bench.device.type, enabled=False)
    floats, masks = usual_batch(images, packed)
    theirs_loss = UsualLoop(theirs, optimizer, no_scaler, bench.device).step(floats.double(), masks.double())
    ours_loss = float(stepper.step(images, packed, 0, 1)["loss"])
    must_agree(abs(ours_loss / theirs_loss - 1) < SAME_LOSS, f"losses {theirs_loss} and {ours_loss}")
    apart = step_apart(starts, theirs, ours)
    must_agree(apart < SAME_STEP, f"steps of the weights by {apart:.1e}")
    return True


def step_apart(starts: Mapping[str, Tensor], theirs: nn.Module, ours: nn.Module) -> float:
    """Return the difference of two steps from the same start, relative to theirs.

    The first convolution is left out: of its three equal channels each moves as ours, so together thrice as far.
    """
    own = dict(ours.named_parameters())
    same_shape = [(name, after) for name, after in theirs.named_parameters() if own[name].shape == after.shape]
    moved = torch.cat([(after - starts[name]).flatten() for name, after in same_shape])
    apart = torch.cat([(after - own[name]).flatten() for name, after in same_shape])
    return float((apart.norm() / moved.norm()).detach())
