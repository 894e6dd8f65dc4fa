from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from data.encoding import BITS
from data.masks.device import pack_masks
from loss import LOSSES
from models.precision import DTYPES, Name, choose_precision
from scheduler import OPTIMIZERS, SCHEDULERS, Horizon
from trainer.training.averages import Ema
from trainer.training.stepper import Stepper, TrainState, accumulation_group
from transform import Normalisation

CLASSES = 3
LR = 0.1


def make_stepper(
    *, precision: Name = "fp32", ema: bool = False, clip_norm: float | None = None, **options: int
) -> Stepper:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1))
    optimizer = OPTIMIZERS["sgd"](model, lr=LR, momentum=0.0, weight_decay=0.0)
    train_state = TrainState(
        accelerator=Accelerator(cpu=True, mixed_precision="no"),
        precision=choose_precision(precision, torch.device("cpu")),
        normalise=Normalisation(0.5, 0.5),
        model=model,
        network=model,
        loss=LOSSES["bce"](),
        unpack=BITS.unpack,
        optimizer=optimizer,
        schedule=SCHEDULERS["constant"](optimizer, Horizon(epochs=1, steps_per_epoch=10)),
        ema=Ema(model, 0.9) if ema else None,
    )
    return Stepper(train_state, clip_norm=clip_norm, **options)


def batch(size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (size, 16, 16), generator=generator, dtype=torch.uint8)
    masks = torch.rand((size, CLASSES, 16, 16), generator=generator) > 0.5
    return images, pack_masks(masks)


def weights(stepper: Stepper) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in stepper.train_state.model.parameters()])


def test_groups_cover_an_epoch_and_the_last_holds_what_is_left() -> None:
    assert [accumulation_group(index, 5, 2) for index in range(5)] == [
        (2, False), (2, True), (2, False), (2, True), (1, True),
    ]  # fmt: skip


def test_accumulating_two_batches_equals_one_of_twice_the_size() -> None:
    images, packed = batch(4)
    at_once, in_two = make_stepper(), make_stepper(accumulate=2)
    at_once.step(images, packed, 0, 1)
    in_two.step(images[:2], packed[:2], 0, 2)
    in_two.step(images[2:], packed[2:], 1, 2)
    torch.testing.assert_close(weights(at_once), weights(in_two))
    assert at_once.steps_done == in_two.steps_done == 1


@pytest.mark.parametrize("precision", DTYPES)
def test_every_precision_learns(precision: Name) -> None:
    stepper = make_stepper(precision=precision)
    images, packed = batch(2)
    losses = [float(stepper.step(images, packed, index, 30)["loss"]) for index in range(30)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("precision", DTYPES)
def test_gradients_are_clipped_after_unscaling(precision: Name) -> None:
    stepper = make_stepper(precision=precision, clip_norm=1e-3)
    before = weights(stepper)
    stepper.step(*batch(2), 0, 1)
    assert float((weights(stepper) - before).norm()) == pytest.approx(LR * 1e-3, rel=0.01)


def test_an_overflow_in_fp16_skips_the_step_and_the_schedule() -> None:
    stepper = make_stepper(precision="fp16")
    stepper.scaler.load_state_dict({**stepper.scaler.state_dict(), "scale": 1e30})
    steps: list[int] = []
    stepper.train_state.schedule.after_step = lambda: steps.append(1)  # type: ignore[method-assign]
    before = weights(stepper)
    stepper.step(*batch(2), 0, 1)
    assert torch.equal(weights(stepper), before)
    assert steps == []


def test_the_average_follows_the_weights_and_is_what_is_kept() -> None:
    stepper = make_stepper(ema=True)
    assert stepper.train_state.kept_model is not stepper.train_state.model
    start = weights(stepper)
    for index in range(5):
        stepper.step(*batch(2), index, 5)
    average = torch.cat([p.detach().flatten() for p in stepper.train_state.kept_model.parameters()])
    assert 0 < float((average - start).norm()) < float((weights(stepper) - start).norm())


def test_a_state_goes_on_bit_for_bit() -> None:
    def fresh() -> Stepper:
        return make_stepper(ema=True, precision="fp16")

    whole, first, second = fresh(), fresh(), fresh()
    for index in range(4):
        whole.step(*batch(2, seed=index), index, 4)
    for index in range(2):
        first.step(*batch(2, seed=index), index, 4)
    second.load_state_dict(first.state_dict())
    for index in range(2, 4):
        second.step(*batch(2, seed=index), index, 4)
    assert torch.equal(weights(whole), weights(second))
    assert second.state_dict()["steps_done"] == 4
