"""Two processes learn what one with the whole batch learns, stop together, go on together, and fail together."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from configs.loading.load import dump
from configs.schema import Config
from loss import LOSSES
from loss.base import total
from loss.custom import FunctionLoss
from models import MODELS
from models.sync_batch_norm import SharedBatchNorm, share_batch_statistics
from tests.forkserver import ForkServer
from tests.losses import DeepSupervision, as_if_gathered, ssim_like
from tests.networks import ThreeOutputs
from tests.trainer.runs.test_resume import differences, newest_state, results
from tests.trainer.scenes import play
from trainer.distributed.failure import GONE
from trainer.distributed.processes import refuse_to_share_gpus, unreached
from trainer.records.folder import RunFolder
from trainer.runs.resume import refuse_changes
from utils.errors import AlreadyReported, UserError
from utils.processes import ProcessRanks, launcher, process_ranks, report_once
from utils.program import exit_code_of

Make = Callable[..., Config]


@dataclass(frozen=True)
class Played:
    """What the scenes of together.py left."""

    runs: Path
    ends: dict[str, dict[str, Any]]

    def run(self, name: str) -> RunFolder:
        return RunFolder(self.runs / name)

    def codes(self, scene: str) -> list[int]:
        codes: list[int] = self.ends[scene]["codes"]
        return codes

    def told(self, scene: str, rank: int) -> str:
        return (self.runs / f"{scene}.{rank}.txt").read_text()


@pytest.fixture(scope="module")
def played(root: Path, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Played:
    runs = tmp_path_factory.mktemp("together")
    done = play(fork_server, "tests.trainer.together", root, runs)
    assert done.stdout == "", "what Gloo prints when it connects"
    return Played(runs, json.loads((runs / "ends.json").read_text()))


def numbers(run: RunFolder) -> list[dict[str, float]]:
    """Losses, their parts, Dice, learning rates of each epoch."""
    return [{name: float(cell) for name, cell in row.items() if cell and name != "is_best"} for row in results(run)]


def test_two_processes_have_the_losses_and_scores_of_one_with_the_whole_batch(played: Played) -> None:
    assert played.codes("one") + played.codes("two") == [0, 0, 0]
    one, two = (numbers(played.run(name)) for name in ("one", "two"))
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two, strict=True):
        assert two[0].keys() >= {"train_loss", "train_dice", "train_focal_tversky", "valid_loss", "dice"}
        for name in ("train_loss", "train_dice", "train_bce", "train_focal_tversky", "valid_loss"):
            assert theirs[name] == pytest.approx(ours[name], rel=5e-6), name
        assert theirs["dice"] == pytest.approx(ours["dice"], abs=1e-3)


def test_two_processes_learn_the_weights_of_one_with_the_whole_batch(played: Played) -> None:
    one, two = (newest_state(played.run(name))["stepper"] for name in ("one", "two"))
    for part in ("model", "ema"):
        ours, theirs = (state[part] if part == "model" else state[part]["model"] for state in (one, two))
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert torch.allclose(theirs[name], ours[name], rtol=1e-4, atol=1e-5), name
    assert one["steps_done"] == two["steps_done"] == 4


def test_every_held_out_image_is_scored_once(played: Played) -> None:
    one, two = (json.loads(played.run(name).validation.read_text()) for name in ("one", "two"))
    assert len(one["images"]) == 4
    assert one["images"].keys() == two["images"].keys()


def test_one_process_logs_and_writes(played: Played) -> None:
    assert "8 images to train on, 4 held out; 2 epochs on 2 x cpu" in played.told("two", 0)
    assert played.told("two", 1) == ""
    with played.run("two").metrics.open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert json.loads(played.run("two").environment.read_text())["processes"] == 2


def test_a_signal_to_one_stops_both_after_the_same_step_and_both_go_on(played: Played) -> None:
    assert played.codes("stopped") == [130, 130]
    assert "stopped in epoch 2 after" in played.told("stopped", 0)
    assert played.codes("resumed") == [0, 0]
    assert "continuing in epoch 2 after" in played.told("resumed", 0)
    whole, parts = (newest_state(played.run(name)) for name in ("two", "parts"))
    assert len(whole["random_of_others"]) == 1
    assert differences(whole, parts) == []
    assert results(played.run("two")) == results(played.run("parts"))


def test_a_fault_in_one_ends_both_with_one_sentence(played: Played) -> None:
    assert played.codes("faulty") == [2, 2]
    assert played.told("faulty", 1) == "image.png: is broken.\n"
    assert "is broken" not in played.told("faulty", 0)
    assert "image.png: is broken." in played.run("faulty").log.read_text()


def test_no_process_waits_for_one_that_was_killed(played: Played) -> None:
    assert played.codes("killed") == [2, -9]
    assert played.told("killed", 0).endswith(f"{GONE}\n")
    assert "continue with: go on" in played.told("killed", 0)
    assert GONE in played.run("killed").log.read_text()


def test_processes_that_see_other_images_do_not_begin(played: Played) -> None:
    assert played.codes("unequal") == [2, 2]
    told = played.told("unequal", 0) + played.told("unequal", 1)
    assert told.count("do not have the same images") == 1
    assert not played.run("unequal").path.exists()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"mix", "deep_supervision"}))  # of which the parts are tested
def test_a_gathered_loss_is_that_of_the_whole_batch(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((4, 3, 8, 8), generator=generator)
    target = (torch.rand((4, 3, 8, 8), generator=generator) > 0.7).byte()
    loss = LOSSES[name]()
    shared = total(as_if_gathered(loss, (logits[:2], target[:2]), (logits[2:], target[2:])))
    torch.testing.assert_close(shared, loss(logits, target))
    assert not torch.isclose(shared, loss(logits[:2], target[:2]))


def test_shared_batch_norm_keeps_names_activations_and_the_network() -> None:
    torch.manual_seed(0)
    model = MODELS["unet"](2, 1, encoder="tu-mobilenetv3_small_050", encoder_weights=None)
    names, before = list(model.state_dict()), model.eval()(torch.ones(1, 1, 64, 64))
    shared = share_batch_statistics(model)
    assert list(shared.state_dict()) == names
    assert torch.equal(shared(torch.ones(1, 1, 64, 64)), before)
    layers = [module for module in shared.modules() if isinstance(module, _BatchNorm)]
    assert layers
    assert all(isinstance(layer, SharedBatchNorm) for layer in layers)


def test_parameters_that_no_gradient_reaches_are_known_without_computing() -> None:
    model = MODELS["unet"](2, 1, encoder="efficientnet-b0", encoder_weights=None)
    left_out = {id(parameter) for parameter in unreached(model, (1, 64, 64), LOSSES["dice_bce"]())}
    model(torch.ones(2, 1, 64, 64)).sum().backward()
    names = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert "encoder._conv_head.weight" in names
    assert left_out == {id(parameter) for name, parameter in model.named_parameters() if name in names}


class SidesInTraining(ThreeOutputs):
    """Returns its side outputs in training alone."""

    def forward(self, images_B1HW: Tensor) -> list[Tensor]:
        outputs = super().forward(images_B1HW)
        return outputs if self.training else outputs[:1]


def needs_numbers(logits: Tensor, target: Tensor) -> Tensor:
    return logits.mean() if float(logits.sum()) > 0 else -logits.mean()


@pytest.mark.parametrize("network", [ThreeOutputs, SidesInTraining])
def test_heads_that_the_loss_does_not_read_are_known_without_computing(network: type[ThreeOutputs]) -> None:
    model = network(3)
    heads = [list(head.parameters()) for head in model.side_heads]
    for loss, unread in (
        (LOSSES["dice"](), heads[0] + heads[1]),
        (ssim_like(), heads[0] + heads[1]),
        (DeepSupervision(2), heads[1]),
        (DeepSupervision(3), []),
        (FunctionLoss("sign", needs_numbers), []),
    ):
        found = unreached(model.eval(), (1, 64, 64), loss)
        assert list(map(id, found)) == list(map(id, unread))
        assert not model.training


def test_two_processes_learn_an_open_loss_on_several_outputs_as_one_does(played: Played) -> None:
    assert played.codes("one_open") + played.codes("two_open") == [0, 0, 0], played.told("two_open", 1)
    one, two = (numbers(played.run(name)) for name in ("one_open", "two_open"))
    names = ("train_loss", "train_dice", "train_ssim", "train_dice_at_0", "train_dice_at_1", "valid_loss")
    for ours, theirs in zip(one, two, strict=True):
        for name in names:
            assert theirs[name] == pytest.approx(ours[name], rel=5e-6), name
    one, two = (newest_state(played.run(name))["stepper"]["model"] for name in ("one_open", "two_open"))
    for name in one:
        assert torch.allclose(two[name], one[name], rtol=1e-4, atol=1e-5), name


def test_more_processes_than_gpus_are_refused() -> None:
    refuse_to_share_gpus(ProcessRanks(1, 2, 1, 2), 0)
    refuse_to_share_gpus(ProcessRanks(1, 8, 1, 2), 2)
    with pytest.raises(UserError, match=r"4 processes were started on this machine, which has 1 GPU\."):
        refuse_to_share_gpus(ProcessRanks(1, 4, 1, 4), 1)


def test_a_process_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process_ranks() == ProcessRanks()
    for name, value in {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert process_ranks() == ProcessRanks(5, 8, 1, 4)
    assert not process_ranks().is_main
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UserError, match="RANK=first"):
        process_ranks()


def test_the_first_process_of_a_machine_reports_what_all_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.processes.wait_for_report", lambda: None)
    for rank, kind in (("0", UserError), ("1", AlreadyReported)):
        for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match="not there") as caught, report_once():
            raise UserError("mine.yaml: is not there.")
        assert type(caught.value) is kind


def test_an_error_that_another_process_has_reported_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise AlreadyReported("image.png: is broken.", 2)

    assert exit_code_of(main) == 2
    assert capsys.readouterr().err == ""


def test_the_command_that_continues_starts_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launcher() == ["python"]
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert launcher() == ["torchrun", "--nnodes", "2", "--nproc-per-node", "4"]
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert launcher() == ["accelerate", "launch", "--num_processes", "8", "--num_machines", "2"]


def test_another_number_of_processes_goes_on_where_the_whole_batch_stays(make_config: Make, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.environment.write_text('{"processes": 4}')
    folder.config.write_text(dump(make_config(trainer={"batch_size": 2})))
    refuse_changes(make_config(trainer={"batch_size": 4}), folder, 2)
    with pytest.raises(UserError, match=r"trainer\.batch_size=2 in 4 processes, now it is 2 in 1 process"):
        refuse_changes(make_config(trainer={"batch_size": 2}), folder, 1)


def test_a_single_process_exchanges_nothing() -> None:
    from trainer.distributed.processes import from_main, random_states, refuse_difference

    alone = Accelerator(cpu=True, mixed_precision="no")
    refuse_difference(alone, images=["a"])
    assert from_main(alone, lambda: 7) == 7
    assert list(random_states(alone)) == ["random"]
