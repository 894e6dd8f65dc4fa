"""Training continues from weights whose norms were folded without a jump of the loss, and parts of it may be frozen.

The network is a narrow U-2-Net that was trained on discs; its norms are folded, as in a file for inference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from configs.loading.load import from_mapping
from configs.schema import Config
from data.tasks import TASKS
from loss import LOSSES
from models import MODELS
from models.isnet import isnet_gt
from models.pretrained.fill import fill_network
from models.pretrained.folding import identity_of
from models.rsu import ConvNormRelu
from models.u2net import U2Net
from tests.second_task import cutout, write_images
from tests.trainer.runs.test_run import interrupt_after, same, weights_of
from trainer.build import Assembly, assemble, build_loss, build_model
from trainer.distributed.processes import start_accelerator
from trainer.records.checkpoint import load_weights
from trainer.records.history import fall_of, read_history
from trainer.runs.run import train
from trainer.split import find_split
from trainer.training.batch_norm import recompute_batch_norm
from trainer.training.engine import Engine
from utils.errors import Interrupted, UserError
from utils.metric import Metric

Make = Callable[..., Config]


def narrow(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    return fill_network(U2Net(classes, channels, ((4, 8),) * 11), weights, "narrow")


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "cutout", cutout)
        patch.setitem(MODELS, "narrow", narrow)
        yield


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    root = tmp_path_factory.mktemp("discs")
    write_images(root)

    def make_config(trainer: dict[str, Any] | None = None, **changes: Any) -> Config:
        values: dict[str, Any] = {
            "run": {"name": "finetuned"},
            "task": "cutout",
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 48},
            "model": {"name": "narrow"},
            "loss": {"name": "deep_supervision", "loss": "bce"},
            "optimizer": {"name": "adam", "lr": 1e-2},
            "scheduler": "constant",
            "trainer": {"batch_size": 4, "precision": "fp32"} | (trainer or {}),
        }
        return from_mapping(values | changes)

    return make_config


def assembled(config: Config) -> Assembly:
    return assemble(config, find_split(config), start_accelerator())


def losses(assembly: Assembly, steps: int) -> list[float]:
    """The losses of the prediction in the first steps, all on the first batch."""
    assembly.train_state.begin_training()
    images, masks = next(iter(assembly.loader.batches(0)))
    return [float(assembly.stepper.step(images, masks, 0, 1)["bce"]) for _ in range(steps)]


def folded(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of the same network after its norms were folded into its convolutions."""
    tensors = dict(model.state_dict())
    for name, block in model.named_modules():
        if isinstance(block, ConvNormRelu):
            conv, norm = block.conv_s1, block.bn_s1
            statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
            weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)  # type: ignore[arg-type]
            tensors |= {f"{name}.conv_s1.weight": weight.detach(), f"{name}.conv_s1.bias": bias.detach()}
            tensors |= {f"{name}.bn_s1.{part}": value for part, value in identity_of(norm).items()}
    return tensors


@pytest.fixture(scope="module")
def pretrained(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A file with folded norms of a network that has learned a batch, and the loss of its prediction for that batch."""
    assembly = assembled(make())
    for layer in assembly.train_state.model.modules():
        if isinstance(layer, nn.BatchNorm2d):  # scales and shifts as after a long training
            nn.init.uniform_(layer.weight, 0.3, 1.7)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    first, *_, last = losses(assembly, 17)  # so few that it still learns
    assert last < 0.6 * first
    state, (images, masks) = assembly.train_state, next(iter(assembly.loader.batches(0)))
    recompute_batch_norm(state.model, [images], state.normalise, state.precision)
    path = tmp_path_factory.mktemp("weights") / "folded.pth"
    torch.save(folded(state.model), path)
    with torch.no_grad():
        return path, float(LOSSES["bce"]()(state.model(state.normalise(images)), state.unpack(masks, 1)))


def finetuned(make: Make, path: Path, **trainer: Any) -> Assembly:
    model, optimizer = {"name": "narrow", "weights": str(path)}, {"name": "adam", "lr": 3e-4}
    return assembled(make(trainer, model=model, optimizer=optimizer))


def test_the_loss_does_not_jump_with_frozen_norms(make: Make, pretrained: tuple[Path, float]) -> None:
    path, at_rest = pretrained
    assembly = finetuned(make, path, freeze_norms=True)
    before = {name: value.clone() for name, value in assembly.train_state.model.state_dict().items()}
    first, second, *_, last = losses(assembly, 6)
    assert first == pytest.approx(at_rest, rel=1e-3)
    assert second < 1.1 * first
    assert last < first
    after = assembly.train_state.model.state_dict()
    changed = {name.rpartition(".")[2] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"weight", "bias"}, "the statistics stay, the other parameters learn"


def test_the_loss_does_not_jump_with_calibrated_norms(make: Make, pretrained: tuple[Path, float]) -> None:
    path, at_rest = pretrained
    first, second, *_, last = losses(finetuned(make, path, calibrate_norms=1), 6)
    assert first == pytest.approx(at_rest, rel=0.1)
    assert second < 1.1 * first
    assert last < first


def test_folded_norms_would_make_the_loss_jump_and_are_refused(
    make: Make, pretrained: tuple[Path, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, at_rest = pretrained
    with pytest.raises(UserError, match=r"^model.weights: the batch normalisations in this file are folded"):
        finetuned(make, path)
    monkeypatch.setattr("trainer.build.refuse_folded_norms", lambda *_: None)
    assert losses(finetuned(make, path), 1)[0] > 1.3 * at_rest


def test_frozen_parts_stay_and_have_no_learning_rate(make: Make, pretrained: tuple[Path, float]) -> None:
    assembly = finetuned(make, pretrained[0], freeze=["stage*"])
    before = {name: value.clone() for name, value in assembly.train_state.model.state_dict().items()}
    losses(assembly, 2)
    after = assembly.train_state.model.state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {f"side{number}" for number in range(1, 7)} | {"outconv"}


def test_isnet_learns_from_the_maps_of_its_encoder_of_masks(make: Make, tmp_path: Path) -> None:
    torch.save(isnet_gt(1, 1).state_dict(), tmp_path / "gt.pth")
    config = make(model={"name": "isnet", "gt_encoder": str(tmp_path / "gt.pth"), "feature_weight": 0.5})
    model = build_model(config)
    parts = build_loss(config, model).parts(model(torch.rand(2, 3, 32, 32)), torch.rand(2, 1, 32, 32))
    assert list(parts) == ["bce", *(f"bce_{number}" for number in range(1, 6)), "features"]
    parts["features"].backward()
    named = dict(model.named_parameters())
    assert named["stage1d.rebnconv1d.conv_s1.weight"].grad is not None
    assert named["side1.weight"].grad is None, "the maps are compared, not the logits"


def run_of(make: Make, path: Path, folder: Path, lr: float, name: str = "run", **trainer: Any) -> Config:
    """A training by steps that begins with the weights of `path`."""
    return make(
        {"steps": 6, "evaluate_every_steps": 2, "freeze_norms": True, **trainer},
        run={"name": name, "folder": str(folder)},
        model={"name": "narrow", "weights": str(path)},
        optimizer={"name": "adam", "lr": lr},
        services={"mlflow": {"local": False}},
    )


@pytest.mark.usefixtures("reports")
def test_the_start_is_scored_and_a_fall_below_it_is_said_once(
    make: Make, pretrained: tuple[Path, float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = run_of(make, pretrained[0], tmp_path, lr=0.03)
    folder = train(config, resume=False, command="")
    start, *rows = read_history(folder.metrics)
    assembly = assembled(config)
    score = assembly.validator.score(assembly.train_state.model, -1).table.mean
    assert (start["epoch"], start["step"], start["train_loss"]) == ("0", "0", "")
    assert float(start["iou"]) == pytest.approx(score, rel=1e-5)
    assert score > 0.5
    assert float(rows[0]["iou"]) < 0.9 * score
    sentence = f"IoU fell from {score:.4f} at the start to {float(rows[0]['iou']):.4f} at step 2: training destroys"
    assert [record.levelname for record in caplog.records if sentence in record.getMessage()] == ["WARNING"]
    assert caplog.text.count("fell from") == 1
    assert f"the weights that it began with are better: IoU {score:.4f} at the start" in caplog.text
    page = folder.report.read_text()
    assert sentence in page
    assert f"<b>{score:.4f}</b><span>validation IoU at the start" in page
    assert json.loads(folder.finished.read_text())["epochs_done"] == len(rows) == 3


def test_a_fall_is_found_however_late_it_comes() -> None:
    iou = Metric("iou", "IoU")
    rows = [
        {"epoch": str(epoch), "iou": str(score)} for epoch, score in enumerate((0.9, 0.92, 0.93, 0.94, 0.95, 0.2, 0.1))
    ]
    assert fall_of(rows, iou) == (rows[0], rows[5])
    assert fall_of(rows[:5], iou) is None


def test_a_start_that_is_kept_is_no_reason_to_warn(
    make: Make, pretrained: tuple[Path, float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = train(run_of(make, pretrained[0], tmp_path, lr=1e-5, swa_from_step=4), resume=False, command="")
    assert "fell from" not in caplog.text
    assert "weights that it began with" not in caplog.text
    rows = read_history(folder.metrics)
    # The norms of the average are those that it learnt with: they were frozen.
    swa, own = load_weights(folder.swa_weights), torch.load(pretrained[0], weights_only=True)
    assert all(torch.equal(own[name], tensor) for name, tensor in swa.tensors.items() if "running" in name)
    assert swa.score == pytest.approx(float(rows[0]["iou"]), abs=0.02)
    scratch = make(
        {"epochs": 1}, run={"name": "scratch", "folder": str(tmp_path)}, services={"mlflow": {"local": False}}
    )
    assert [row["epoch"] for row in read_history(train(scratch, resume=False, command="").metrics)] == ["1"]


def test_a_start_whose_scoring_was_interrupted_is_scored_again(
    make: Make, pretrained: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(run_of(make, pretrained[0], tmp_path, lr=0.03, name="whole"), resume=False, command="")
    config = run_of(make, pretrained[0], tmp_path, lr=0.03, name="parts")
    score = Engine.score

    def stop_first(engine: Engine, network: nn.Module, epoch: int) -> Any:
        engine.stop_requested = lambda: True
        return score(engine, network, epoch)

    # Once while the start is scored, once inside the first round.
    for stop in (partial(monkeypatch.setattr, Engine, "score", stop_first), partial(interrupt_after, 1, monkeypatch)):
        stop()
        with pytest.raises(Interrupted):
            train(config, resume=True, command="")
        monkeypatch.undo()
    parts = train(config, resume=True, command="")
    assert same(weights_of(whole), weights_of(parts))
    one, other = (
        [{key: cell for key, cell in row.items() if key not in ("seconds", "data_wait_share")} for row in rows]
        for rows in (read_history(whole.metrics), read_history(parts.metrics))
    )
    assert one == other
    assert one[0]["epoch"] == "0"
