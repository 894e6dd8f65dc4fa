"""Whether training on the device is training on the CPU, goes on after a resume, and learns in every format."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.gpu.bench import BASE, SMALL_NETWORK, Bench
from benchmarks.gpu.part import Measurement, Row, compared
from benchmarks.gpu.parts.equality import without_tf32
from benchmarks.material import CLASSES
from configs.schema import Config
from models.sync_batch_norm import SharedBatchNorm
from scheduler import OPTIMIZERS
from trainer.training.engine import are_finite
from trainer.training.stepper import Stepper, TrainState
from utils.bit_tensor import unpack_bits

STEPS = 3
RATE, DECAY = 0.01, 0.9
WEIGHTS = 1e-3
"""Difference of weights after some steps in fp32, relative to how far they have moved, for the order of sums alone."""
OPTIMIZED = 1e-4
"""The same of an optimizer on equal gradients."""
RECOMPUTED = 1e-3
"""Difference of gradients and statistics when activations are computed again, relative to their norm."""
NORMALISED = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Difference of outputs and gradients of batch normalisation from fp64, relative to their norm."""
ONE_BATCH = (*SMALL_NETWORK, "transform.size_px=128", "trainer.batch_size=2", "trainer.accumulate=1")
PLAIN = (
    *("optimizer=sgd", f"optimizer.lr={RATE}", "optimizer.momentum=0", "optimizer.nesterov=false"),
    *("optimizer.weight_decay=0", "scheduler=constant", "trainer.clip_norm=null", f"trainer.ema_decay={DECAY}"),
)
LEARNING_STEPS = 12
NEEDED = {"timm": {"opt": "nadamw"}}
"""Parameters of optimizers that have no default."""


def training(bench: Bench) -> Iterator[Measurement]:
    """Train small networks for a few steps."""
    yield Measurement(f"{STEPS} steps of SGD, beside a plain loop on the CPU", lambda: beside_cpu(bench))
    for name in OPTIMIZERS:
        yield Measurement(f"optimizer {name} on equal gradients", partial(_optimized, bench, name))
    yield Measurement("shared batch normalisation", lambda: shared_norms(bench))
    yield Measurement("numbers that are not finite", lambda: not_finite(bench))
    yield Measurement("a resumed training, bit for bit", lambda: resumed(bench))
    yield Measurement("activations computed again", lambda: recomputed(bench))
    for precision in ("fp32", "fp16", "bf16") if bench.clock.on_gpu else ("fp32",):
        yield Measurement(f"learns in {precision}", partial(_learns, bench, precision))


def beside_cpu(bench: Bench) -> Iterable[Row]:
    """Train in fp32 with the stepper, and by a loop of the plainest kind on the CPU; compare loss, weights, average."""
    config = bench.config(BASE, *ONE_BATCH, *PLAIN, "trainer.precision=fp32")
    with without_tf32():
        stepper = bench.stepper(config)
        state, (images, packed) = stepper.train_state, bench.batch(config)
        start = parameters_of(state.model)
        wanted_loss, wanted, average = train_plainly(state, images, packed)
        loss = [float(stepper.step(images, packed, number, 99)["loss"]) for number in range(STEPS)][-1]
    moved = float((wanted - start).norm())
    weights, averaged = parameters_of(state.model), parameters_of(state.kept_model)
    return [
        compared("loss after 3 steps, beside the CPU", abs(loss - wanted_loss) / wanted_loss, WEIGHTS),
        compared("weights after 3 steps, beside the CPU", float((weights - wanted).norm()) / moved, WEIGHTS),
        compared("moving average, beside the CPU", float((averaged - average).norm()) / moved, WEIGHTS),
    ]


def train_plainly(state: TrainState, images: Tensor, packed: Tensor) -> tuple[float, Tensor, Tensor]:
    """Train a copy of the model on the CPU: the last loss, all weights, and their moving average."""
    model = copy.deepcopy(state.model).cpu().train()
    target = unpack_bits(packed, CLASSES)
    average, value = parameters_of(model), torch.zeros(())
    for step in range(1, STEPS + 1):
        model.zero_grad()
        value = state.loss(model(state.normalise(images)), target)
        value.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=RATE)
        average = average.lerp(parameters_of(model), 1 - min(DECAY, (1 + step) / (10 + step)))
    return float(value.detach()), parameters_of(model), average


def parameters_of(model: nn.Module) -> Tensor:
    """Return all weights in one row, on the CPU."""
    return torch.cat([parameter.detach().flatten().cpu() for parameter in model.parameters()])


def _optimized(bench: Bench, name: str) -> Iterable[Row]:
    """Take steps with the same gradients on both devices."""
    generator = torch.Generator().manual_seed(0)
    start = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    models = [copy.deepcopy(start), copy.deepcopy(start).to(bench.device)]
    optimizers: list[Optimizer] = [OPTIMIZERS[name](model, **NEEDED.get(name, {})) for model in models]
    for _ in range(STEPS):
        gradients = [torch.randn(each.shape, generator=generator) for each in start.parameters()]
        for model, optimizer in zip(models, optimizers, strict=True):
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.grad = gradient.to(bench.device if model is models[1] else "cpu")
            optimizer.step()
    wanted, found = map(parameters_of, models)
    apart = float((wanted - found).norm() / (wanted - parameters_of(start)).norm())
    return [compared(f"optimizer {name} on equal gradients", apart, OPTIMIZED)]


def shared_norms(bench: Bench) -> Iterable[Row]:
    """Normalise as several processes do, in a group of one, and as torch does in fp64; compare all that results."""
    with bench.group_of_one():
        for dtype, allowed in NORMALISED.items():
            generator = torch.Generator().manual_seed(0)
            values, slope = (torch.randn(2, 8, 20, 12, generator=generator).to(dtype) for _ in range(2))
            plain = nn.BatchNorm2d(8)
            shared = SharedBatchNorm(copy.deepcopy(plain)).to(bench.device)
            own = values.to(bench.device).contiguous(memory_format=torch.channels_last)
            wanted = normalised(plain.double(), values.double(), slope.double())
            found = normalised(shared, own, slope.to(bench.device))
            pairs = zip(wanted, found, strict=True)
            apart = max(float((mine.double().cpu() - right).norm() / right.norm()) for right, mine in pairs)
            yield compared(f"shared batch normalisation, {str(dtype).removeprefix('torch.')}", apart, allowed)


def normalised(norm: nn.Module, values: Tensor, slope: Tensor) -> list[Tensor]:
    """Return the output of one batch, the gradient of its values, and statistics and gradients of the layer."""
    leaf = values.detach().requires_grad_()
    result = norm(leaf)
    result.backward(slope)
    statistics = [buffer for buffer in norm.buffers() if buffer.is_floating_point()]
    gradients = [tensor.grad for tensor in (leaf, *norm.parameters()) if tensor.grad is not None]
    return [result.detach(), *gradients, *statistics]


def not_finite(bench: Bench) -> Iterable[Row]:
    """Put a number that is not finite into one of many weights: it must be found, and nothing without one."""
    model = nn.Sequential(*(nn.Linear(300, 300) for _ in range(9))).to(bench.device)
    found = [bool(are_finite(model))]
    weights = [tensor.view(-1) for tensor in model.state_dict().values()]
    for number, value in enumerate((math.nan, math.inf, -math.inf)):
        kept = float(weights[6 * number][-1 - number])
        weights[6 * number][-1 - number] = value
        found.append(bool(are_finite(model)))
        weights[6 * number][-1 - number] = kept
    return [Row("numbers that are not finite", {}, holds=found == [True, False, False, False])]


def resumed(bench: Bench) -> Iterable[Row]:
    """Compare a training that goes on after its state was saved with one that begins with the state.

    A card gives the same bits with trainer.deterministic alone; else the difference is shown.
    """
    for deterministic in (True, False) if bench.clock.on_gpu else (True,):
        keys = (f"trainer.precision={bench.half}", f"trainer.deterministic={str(deterministic).lower()}")
        config = bench.config(BASE, *ONE_BATCH, *keys)
        whole, second = (parameters_of(stepper.train_state.model) for stepper in whole_and_resumed(bench, config))
        differing = float((whole != second).float().mean())
        if deterministic:
            yield compared("weights after a resume, trainer.deterministic", differing, 0.0)
        else:
            yield Row("weights after a resume, fastest kernels", {"difference": differing})


def whole_and_resumed(bench: Bench, config: Config) -> Sequence[Stepper]:
    """Train for two steps, save the state, and train for two more: in the same stepper, and in a new one."""
    images, packed = bench.batch(config)
    whole, second = bench.stepper(config), bench.stepper(config)
    train(whole, images, packed, range(2))
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    for stepper in (whole, second):
        train(stepper, images, packed, range(2, 4))
    return whole, second


def train(stepper: Stepper, images: Tensor, packed: Tensor, numbers: Iterable[int]) -> list[float]:
    """Take steps on one batch; return the loss of each."""
    return [float(stepper.step(images, packed, number, 99)["loss"]) for number in numbers]


def recomputed(bench: Bench) -> Iterable[Row]:
    """Compare gradients and statistics of norms with and without checkpointing."""
    found = [gradients_and_statistics(bench, spared) for spared in (False, True)]
    for name, kept, again in zip(("gradients", "statistics of norms"), *found, strict=True):
        apart = float((kept - again).norm() / kept.norm())
        yield compared(f"{name}, activations computed again", apart, RECOMPUTED)


def gradients_and_statistics(bench: Bench, spared: bool) -> tuple[Tensor, Tensor]:
    """Compute both once in fp32, each in one row."""
    keys = (*ONE_BATCH, *PLAIN, "trainer.precision=fp32", f"model.checkpoint_gradients={str(spared).lower()}")
    config = bench.config(BASE, *keys)
    with without_tf32():
        stepper = bench.stepper(config)
        start = parameters_of(stepper.train_state.model)
        train(stepper, *bench.batch(config), range(1))
    model = stepper.train_state.model
    statistics = [buffer.flatten().float().cpu() for buffer in model.buffers() if buffer.is_floating_point()]
    return parameters_of(model) - start, torch.cat(statistics)


def _learns(bench: Bench, precision: str) -> Iterable[Row]:
    """Train on one batch: the loss must fall."""
    config = bench.config(BASE, *ONE_BATCH, f"trainer.precision={precision}", "scheduler.warmup=1")
    stepper = bench.stepper(config)
    losses = train(stepper, *bench.batch(config), range(4 if bench.tiny else LEARNING_STEPS))
    told = f"loss {losses[0]:.3f} → {losses[-1]:.3f}"
    return [Row(f"learns in {precision}", {"difference": told}, holds=losses[-1] < losses[0])]
