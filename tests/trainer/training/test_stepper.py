from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from data.encoding import BITS
from data.masks.device import pack_masks
from loss import LOSSES, Loss
from loss.custom import FunctionLoss
from loss.mix import WeightedSum
from models.precision import DTYPES, Name, choose_precision
from scheduler import OPTIMIZERS, SCHEDULERS, Horizon
from tests.losses import DeepSupervision, ssim_like
from tests.networks import FirstOutput, ThreeOutputs
from tests.waits import NumbersRead
from trainer.training.averages import Ema, Swa
from trainer.training.batch_norm import recompute_batch_norm
from trainer.training.stepper import Stepper, TrainState, accumulation_group
from transform import Normalisation

CLASSES = 3
LR = 0.1


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1))


def make_stepper(
    *,
    precision: Name = "fp32",
    ema: bool = False,
    clip_norm: float | None = None,
    make_model: Callable[[], nn.Module] = two_layers,
    loss: Loss | None = None,
    fused: bool = False,
    **options: int,
) -> Stepper:
    torch.manual_seed(0)
    model = make_model()
    optimizer = OPTIMIZERS["sgd"](model, lr=LR, momentum=0.0, weight_decay=0.0)
    if fused:  # as on a GPU
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)
    train_state = TrainState(
        accelerator=Accelerator(cpu=True, mixed_precision="no"),
        precision=choose_precision(precision, torch.device("cpu")),
        normalise=Normalisation(0.5, 0.5),
        model=model,
        network=model,
        loss=loss or LOSSES["bce"](),
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


@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_in_fp16_leaves_the_weights_and_counts_as_a_step(fused: bool) -> None:
    stepper = make_stepper(precision="fp16", fused=fused)
    stepper.scaler.load_state_dict({**stepper.scaler.state_dict(), "scale": 1e30})
    steps: list[int] = []
    stepper.train_state.schedule.after_step = lambda: steps.append(1)  # type: ignore[method-assign]
    before = weights(stepper)
    stepper.step(*batch(2), 0, 1)
    assert torch.equal(weights(stepper), before)
    assert stepper.scaler.get_scale() < 1e30
    assert (steps, stepper.steps_done) == ([1], 1)


@pytest.mark.parametrize("precision", DTYPES)
def test_no_step_waits_for_the_device(precision: Name) -> None:
    stepper = make_stepper(precision=precision, ema=True, clip_norm=1.0, accumulate=2, fused=True)
    with NumbersRead() as read:
        for index in range(4):
            stepper.step(*batch(2), index, 4)
    assert read.count == 0
    assert stepper.steps_done == 2


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


@pytest.mark.parametrize("precision", DTYPES)
def test_a_loss_from_a_function_is_learned_from_in_every_precision(precision: Name) -> None:
    stepper = make_stepper(precision=precision, loss=WeightedSum([(LOSSES["dice"](), 1.0), (ssim_like(), 1.0)]))
    images, packed = batch(2)
    losses = [stepper.step(images, packed, index, 30) for index in range(30)]
    assert list(losses[0]) == ["loss", "dice", "ssim"]
    assert all(float(losses[-1][name]) < float(losses[0][name]) for name in losses[0])


def test_a_loss_of_the_batch_accumulates_like_any_other() -> None:
    images, packed = batch(4)
    loss = FunctionLoss("l1", lambda logits, target: (logits.sigmoid() - target).abs().mean())
    at_once, in_two = make_stepper(loss=loss), make_stepper(loss=loss, accumulate=2)
    at_once.step(images, packed, 0, 1)
    in_two.step(images[:2], packed[:2], 0, 2)
    in_two.step(images[2:], packed[2:], 1, 2)
    torch.testing.assert_close(weights(at_once), weights(in_two))


def test_the_first_of_several_outputs_is_learned_as_if_it_were_the_only_one() -> None:
    several = make_stepper(make_model=lambda: ThreeOutputs(CLASSES), ema=True)
    alone = make_stepper(make_model=lambda: FirstOutput(ThreeOutputs(CLASSES)), ema=True)
    for index in range(3):
        losses = [stepper.step(*batch(2, seed=index), index, 3) for stepper in (several, alone)]
        assert losses[0] == losses[1]
    assert torch.equal(weights(several), weights(alone))
    assert several.train_state.kept_model.state_dict().keys() == several.train_state.model.state_dict().keys()


@pytest.mark.parametrize("precision", DTYPES)
def test_a_loss_that_reads_all_outputs_moves_every_head(precision: Name) -> None:
    stepper = make_stepper(make_model=lambda: ThreeOutputs(CLASSES), loss=DeepSupervision(3), precision=precision)
    model = stepper.train_state.model
    assert isinstance(model, ThreeOutputs)
    heads = list(model.decoder.parameters()) + list(model.side_heads.parameters())
    before = [parameter.detach().clone() for parameter in heads]
    losses = [stepper.step(*batch(2), index, 20) for index in range(20)]
    assert list(losses[0]) == ["loss", "dice_at_0", "dice_at_1", "dice_at_2"]
    assert float(losses[-1]["loss"]) < float(losses[0]["loss"])
    assert not any(torch.equal(parameter, start) for parameter, start in zip(heads, before, strict=True))


def test_a_network_of_several_outputs_is_averaged_and_gets_statistics_of_its_own() -> None:
    stepper = make_stepper(make_model=lambda: ThreeOutputs(CLASSES), loss=DeepSupervision(3), ema=True)
    state, swa = stepper.train_state, Swa(first_epoch=0)
    for epoch in range(2):
        stepper.step(*batch(2, seed=epoch), 0, 1)
        swa.after_epoch(state.model, epoch)
    averaged = swa.network(state.model)
    recompute_batch_norm(averaged, [batch(2, seed=7)[0]], state.normalise, state.precision)
    for network in (averaged, state.kept_model.eval()):
        shapes = [tuple(output.shape) for output in network(torch.zeros(1, 1, 16, 16))]
        assert shapes == [(1, CLASSES, 16, 16), (1, CLASSES, 8, 8), (1, CLASSES, 4, 4)]


def test_a_run_begun_without_loss_scaling_goes_on_in_fp16() -> None:
    """`precision: auto` is bf16 on one card and fp16 on another, and a scaler that is off has an empty state."""
    saved = make_stepper(precision="bf16").state_dict()
    assert saved["scaler"] == {}
    resumed = make_stepper(precision="fp16")
    resumed.load_state_dict(saved)
    assert resumed.scaler.is_enabled()
    make_stepper(precision="bf16").load_state_dict(resumed.state_dict())
