from __future__ import annotations

import json
import logging
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loading.load import as_dict, from_mapping
from configs.schema import Config
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.masks.packed import unpack_planes
from data.masks.rle import decode
from data.sample import Sample
from data.submission.reader import read_submission
from tests.networks import tiny_network
from trainer import build, trained
from trainer.ensemble import memory_plan, predict
from trainer.ensemble.memory_plan import MemoryPlan
from trainer.ensemble.predict import Ensemble, predict_together
from trainer.inference import infer
from trainer.prediction.decode import BitDecoder, probabilities
from trainer.records.checkpoint import Weights, save_weights
from trainer.trained import load_trained
from utils.errors import UserError

Runs = dict[str, Path]

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"transform": {"size_px": 64}},
    "large": {"transform": {"size_px": 96}},
    "parts": {
        "transform": {"size_px": 64},
        "predict": {"windows": {"size_px": 32}, "tta": {"hflip": True, "scales": [0.5]}},
        "model": "fpn",
    },
}


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_model", tiny_network)
    monkeypatch.setattr(trained, "build_model", tiny_network)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Weights of networks that have learned nothing, each of another kind."""
    folder = tmp_path / "networks"
    return {name: save(config_of(**changes), folder / f"{name}.safetensors") for name, changes in SETTINGS.items()}


def config_of(**changes: Any) -> Config:
    return from_mapping({"run": {"name": "x"}, "model": "unet", "trainer": {"precision": "fp32"}, **changes})


def save(config: Config, path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    tensors = tiny_network(config).state_dict()
    save_weights(path, Weights(tensors, BONES, as_dict(config), 0, 0.0))
    return path


@pytest.fixture
def images(root: Path) -> Path:
    return root / "test" / "DCM"


def mean_of(paths: list[Path], sample: Sample, weights: list[float]) -> np.ndarray:
    """The usual way: every network's probabilities at native size, all held at once, float64[C, H, W]."""
    total = np.zeros((29, 64, 64))
    for path, weight in zip(paths, weights, strict=True):
        predictor = load_trained(path, torch.device("cpu")).predictor
        (prediction,) = predictor.predict([sample])
        for classes, octet in probabilities(prediction.logits_Chw, (64, 64)):
            total[classes] += weight * octet.numpy()
    return total / sum(weights)


def masks_of(path: Path, sample: Sample) -> np.ndarray:
    """bool[C, H, W] of a CSV's image."""
    return unpack_planes(decode(read_submission(path, BONES).of(sample.name, (64, 64)), (64, 64)), 29)


def test_one_run_is_written_as_inference_writes_it_and_so_is_a_run_with_itself(
    runs: Runs, images: Path, tmp_path: Path
) -> None:
    alone = infer(runs["parts"], images, tmp_path / "alone.csv").read_bytes()
    assert predict_together([runs["parts"]], images, tmp_path / "one.csv").read_bytes() == alone
    copy = shutil.copy(runs["parts"], tmp_path / "copy.safetensors")
    twice = predict_together([runs["parts"], Path(copy)], images, tmp_path / "two.csv", weights=["0.3", "1.1"])
    assert twice.read_bytes() == alone


def test_runs_of_any_kind_are_averaged_at_native_size(runs: Runs, images: Path, tmp_path: Path) -> None:
    paths = list(runs.values())
    output = predict_together(paths, images, tmp_path / "all.csv", weights=["1", "2", "3.5"])
    for sample in hand_bone.layout.find_images(images):
        mean = mean_of(paths, sample, [1, 2, 3.5])
        sure = np.abs(mean - 0.5) > 1e-5
        assert np.array_equal(masks_of(output, sample)[sure], (mean > 0.5)[sure])


def test_weights_may_differ_between_classes(runs: Runs, images: Path, tmp_path: Path) -> None:
    """The Radius of one run and all else of the other."""
    plain, large = runs["plain"], runs["large"]
    said = {str(plain): {"default": 1, "Radius": 0}, str(large): {"default": 0, "Radius": 2}}
    (tmp_path / "weights.json").write_text(json.dumps(said))
    weights = [str(tmp_path / "weights.json")]
    output = predict_together([plain, large], images, tmp_path / "both.csv", weights=weights)
    alone = {run: infer(run, images, tmp_path / f"{run.stem}.csv") for run in (plain, large)}
    for sample in hand_bone.layout.find_images(images):
        for index, bone in enumerate(BONES):
            run = large if bone == "Radius" else plain
            different = masks_of(output, sample)[index] != masks_of(alone[run], sample)[index]
            assert different.mean() < 0.001


def test_a_run_without_weight_is_not_asked(runs: Runs, images: Path, tmp_path: Path) -> None:
    paths = [runs["plain"], runs["parts"]]
    output = predict_together(paths, images, tmp_path / "both.csv", weights=["1", "0"])
    assert output.read_bytes() == infer(runs["plain"], images, tmp_path / "alone.csv").read_bytes()


def test_networks_that_take_turns_give_the_same_bytes(
    runs: Runs, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = list(runs.values())
    together = predict_together(paths, images, tmp_path / "together.csv").read_bytes()
    loads: list[str] = []
    load = predict.Member.load

    def counted(member: predict.Member, device: torch.device) -> Any:
        loads.append(member.weights_file.stem)
        return load(member, device)

    monkeypatch.setattr(predict.Member, "load", counted)
    plan = MemoryPlan(groups=((0, 1), (2,)), chunk=3)
    monkeypatch.setattr(predict, "plan_memory", lambda *_: plan)
    assert predict_together(paths, images, tmp_path / "turns.csv").read_bytes() == together
    assert loads == ["plain", "large", "parts"] * 2  # four images, three at a time


def test_a_mean_in_boxes_and_a_sum_of_all_classes_give_the_same_bytes(
    runs: Runs, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = list(runs.values())
    boxes = predict_together(paths, images, tmp_path / "boxes.csv", weights=["1", "2", "3.5"]).read_bytes()
    monkeypatch.setattr(predict, "HELD_LOGITS_PX", 64**2 + 96**2 + 64**2 - 1)
    monkeypatch.delattr("trainer.prediction.mean_mask.Source.counted")
    assert predict_together(paths, images, tmp_path / "sums.csv", weights=["1", "2", "3.5"]).read_bytes() == boxes


@pytest.mark.parametrize("groups", [((0, 1, 2),), ((0, 1), (2,))])
def test_no_more_sums_are_held_than_images_wait_for_a_turn(
    groups: tuple[tuple[int, ...], ...], runs: Runs, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many networks and images there are, where their logits are too many to be held instead."""
    monkeypatch.setattr(predict, "HELD_LOGITS_PX", 0)
    made: list[weakref.ref[torch.Tensor]] = []
    held: list[int] = []
    begin, chunk = predict.zeros, len(groups)

    def begun(*arguments: Any) -> torch.Tensor:
        total = begin(*arguments)
        if all(earlier() is not total for earlier in made):
            made.append(weakref.ref(total))
        held.append(sum(earlier() is not None for earlier in made))
        return total

    monkeypatch.setattr(predict, "zeros", begun)
    members, _ = predict.find_members(list(runs.values()), [], (), own_threshold=True)
    together = Ensemble(members, MemoryPlan(groups, chunk), torch.device("cpu"), BitDecoder(), hand_bone.read_image)
    assert len(list(together.masks(hand_bone.layout.find_images(images)))) == len(held) == 4
    assert max(held) <= chunk + (chunk > 1)


def test_an_interrupted_call_goes_on_at_the_first_missing_image(
    runs: Runs, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = list(runs.values())
    whole = predict_together(paths, images, tmp_path / "whole.csv").read_bytes()
    masks = Ensemble.masks

    def stop_before_the_last(self: Ensemble, samples: list[Sample]) -> Iterator[Any]:
        for sample, mask in masks(self, samples):
            if sample.group == "ID008" and sample.name.endswith("_1.png"):
                raise KeyboardInterrupt
            yield sample, mask

    parts = tmp_path / "parts.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "masks", stop_before_the_last)
        with pytest.raises(KeyboardInterrupt):
            predict_together(paths, images, parts)
    with caplog.at_level(logging.INFO):
        assert predict_together(paths, images, parts).read_bytes() == whole
    assert "parts.csv: 3 of 4 images are there" in caplog.text


def test_other_weights_or_thresholds_take_nothing_over(runs: Runs, images: Path, tmp_path: Path) -> None:
    paths = list(runs.values())
    members, first = predict.find_members(paths, ["1", "1", "1"], (), own_threshold=True)
    others, _ = predict.find_members(paths, ["1", "1", "2"], (), own_threshold=True)
    plan, cpu = MemoryPlan(((0, 1, 2),), 1), torch.device("cpu")
    origins = {
        predict.origin_together(Ensemble(chosen, plan, cpu, BitDecoder(threshold), hand_bone.read_image), first)
        for chosen in (members, others)
        for threshold in (0.5, 0.4, (0.5,) * 29)
    }
    assert len(origins) == 6


def test_thresholds_of_a_file_hold_for_the_mean(runs: Runs, images: Path, tmp_path: Path) -> None:
    thresholds = {bone: 0.3 + 0.01 * index for index, bone in enumerate(BONES)}
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"thresholds": thresholds, "gain": 0.001}))
    paths = [runs["plain"], runs["large"]]
    output = predict_together(paths, images, tmp_path / "both.csv", threshold=str(file))
    cuts = np.array(list(thresholds.values()))[:, None, None]
    for sample in hand_bone.layout.find_images(images):
        mean = mean_of(paths, sample, [1, 1])
        sure = np.abs(mean - cuts) > 1e-5
        assert np.array_equal(masks_of(output, sample)[sure], (mean > cuts)[sure])


def test_settings_may_be_changed_for_all_runs(runs: Runs, images: Path, tmp_path: Path) -> None:
    paths = [runs["plain"], runs["large"]]
    plain = predict_together(paths, images, tmp_path / "plain.csv")
    seen = predict_together(paths, images, tmp_path / "tta.csv", overrides=["predict.tta.gammas=[0.7,1.4]"])
    assert plain.read_bytes() != seen.read_bytes()


def test_runs_that_say_different_things_of_the_mean_are_refused(images: Path, tmp_path: Path) -> None:
    paths = [
        save(
            config_of(predict={"threshold": threshold}, **SETTINGS["plain"]),
            tmp_path / f"t{threshold}.safetensors",
            seed,
        )
        for seed, threshold in enumerate((0.4, 0.5))
    ]
    with pytest.raises(UserError, match=r"t0\.4.* and .*t0\.5.*: differ in predict\.threshold: 0\.4 and 0\.5\. Say"):
        predict_together(paths, images, tmp_path / "o.csv")
    predict.find_members(paths, [], (), own_threshold=False)
    predict.find_members(paths, [], ("predict.threshold=0.5",), own_threshold=True)


def test_a_cross_validations_folder_stands_for_its_folds(tmp_path: Path) -> None:
    for fold in (0, 1):
        folder = tmp_path / "cv" / f"fold{fold}"
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text("")
        save(config_of(), folder / "checkpoints" / "best.safetensors", seed=fold)
    members, _ = predict.find_members([tmp_path / "cv"], ["3"], (), own_threshold=True)
    assert [member.weights_file.parts[-3] for member in members] == ["fold0", "fold1"]
    assert [float(member.weight_C[0]) for member in members] == [0.5, 0.5]


def test_what_fits_is_planned_from_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_plan, "free_bytes", lambda device: 100.0)
    assert memory_plan.plan_memory([30, 30, 30], 5, torch.device("cpu")) == MemoryPlan(((0,), (1,), (2,)), 5)
