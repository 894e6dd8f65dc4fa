from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from configs.loading.load import as_dict, dump
from configs.schema import Config
from data.hand_bone.task import hand_bone
from data.sample import Sample
from trainer.build import build_model
from trainer.evaluate import score_files
from trainer.inference import infer, load_for_prediction, origin_of
from trainer.one_image import ImagePredictor
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from trainer.split import find_split
from trainer.trained import Trained, load_trained
from utils.errors import UserError

Make = Callable[..., Config]


@pytest.fixture(scope="module")
def trained_once(make_config_in: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is trained once for all tests."""
    config = make_config_in(tmp_path_factory.mktemp("once"), trainer={"epochs": 1})
    return train(config, resume=False, command="").path


@pytest.fixture
def trained(trained_once: Path, make_config: Make) -> tuple[Config, RunFolder]:
    """A copy of it, which a test may change."""
    config = make_config(trainer={"epochs": 1})
    return config, RunFolder(shutil.copytree(trained_once, config.folder))


@pytest.fixture
def untrained(make_config: Make) -> RunFolder:
    """A run whose network has learned nothing: on every processor its masks are full of specks."""
    config = make_config()
    folder = RunFolder(config.folder)
    tensors = build_model(config).state_dict()
    save_weights(folder.best_weights, Weights(tensors, hand_bone.classes, as_dict(config), 0, 0.0))
    folder.config.write_text(dump(config))
    return folder


def test_the_score_that_a_run_shows_is_that_of_a_submission(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    config, folder = trained
    held_out = tmp_path / "held_out"
    for sample in find_split(config).valid:
        assert sample.label is not None
        for part, path in (("DCM", sample.image), ("outputs_json", sample.label)):
            (held_out / part / sample.group).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, held_out / part / sample.group / path.name)
    submission = infer(folder.path, held_out / "DCM", tmp_path / "held_out.csv")
    scores = score_files(hand_bone, submission, held_out, size_hw=(64, 64), json_file=None, gallery=None)
    validation = json.loads(folder.validation.read_text())
    assert scores.table.per_image == pytest.approx(validation["images"], abs=1e-12)


def test_the_weights_file_alone_is_enough(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    _, folder = trained
    first = infer(folder.path, None, None)
    alone = shutil.move(folder.best_weights, tmp_path / "alone.safetensors")
    second = infer(Path(alone), None, tmp_path / "second.csv")
    assert first == folder.output("submission.csv")
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_text().splitlines()) == 1 + 4 * 29


@pytest.mark.parametrize("batch_size", [1, 3])
def test_an_interrupted_call_continues_at_the_first_missing_image(
    batch_size: int,
    make_config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = make_config(trainer={"fast_dev_run": True, "evaluate_batch_size": batch_size})
    run = train(config, resume=False, command="").path
    whole = infer(run, None, tmp_path / "whole.csv").read_bytes()
    predicted: list[str] = []
    masks = Predictor.masks

    def stop_before_the_last(predictor: Predictor, samples: list[Sample]) -> Iterator[Any]:
        for sample, mask in masks(predictor, samples):
            if sample == last:
                raise KeyboardInterrupt
            predicted.append(sample.name)
            yield sample, mask

    last = hand_bone.layout.find_images(Path(config.data.root) / "test" / "DCM")[-1]
    parts = tmp_path / "parts.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "masks", stop_before_the_last)
        with pytest.raises(KeyboardInterrupt):
            infer(run, None, parts)
    assert "parts.csv: 3 of 4 images are there; the same command continues" in caplog.text
    assert not parts.exists()
    assert len(predicted) == 3
    caplog.clear()
    infer(run, None, parts)
    assert f"parts.csv: {3 - 3 % batch_size} of 4 images are there" in caplog.text
    assert parts.read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "whole.csv", "parts.csv"}


def test_what_another_network_had_done_is_not_taken_over(
    make_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [
        train(
            make_config(run={"name": f"s{seed}"}, seed=seed, trainer={"fast_dev_run": True}), resume=False, command=""
        )
        for seed in (1, 2)
    ]
    whole = [infer(run.path, None, tmp_path / f"{run.path.name}.csv").read_bytes() for run in runs]
    output = tmp_path / "both.csv"
    for run, rows in zip(runs, whole, strict=True):
        trained = load_trained(run.best_weights, torch.device("cpu"))
        samples = hand_bone.layout.find_images(Path(trained.config.data.root) / "test" / "DCM")
        with pytest.raises(ValueError, match="ended after 2 of 4 images"):
            write_two(trained, samples, output)
        if run is runs[1]:
            assert infer(run.path, None, output).read_bytes() == rows
            assert "2 of 4 images are there" in caplog.text


def write_two(trained: Trained, samples: list[Sample], output: Path) -> None:
    with hand_bone.output.open(output, samples, origin_of(trained), 1) as writer:
        assert writer.done == 0
        for sample, mask in trained.predictor.masks(samples[:2]):
            writer.write_mask(sample.name, mask)


def test_a_folder_without_a_run_is_refused_with_those_that_are_there(
    trained: tuple[Config, RunFolder], tmp_path: Path
) -> None:
    _, folder = trained
    with pytest.raises(UserError, match=r"no run here.*there is .*tiny"):
        infer(folder.path.parent / "tyni", None, None)


def test_of_several_folds_one_is_to_be_named(tmp_path: Path) -> None:
    for fold in (0, 1):
        (tmp_path / "mine" / f"fold{fold}").mkdir(parents=True)
        (tmp_path / "mine" / f"fold{fold}" / "config.yaml").touch()
    with pytest.raises(UserError, match=r"mine: no run here.*there is .*mine/fold0, .*mine/fold1"):
        infer(tmp_path / "mine", None, None)


def test_images_that_are_not_there_are_named(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder\. Name one that holds images.*--images"):
        infer(trained[1].path, tmp_path / "nowhere", None)


def test_a_run_can_be_used_with_other_settings(untrained: RunFolder, tmp_path: Path) -> None:
    run = untrained.path
    plain = infer(run, None, tmp_path / "plain.csv").read_bytes()
    seen = infer(run, None, tmp_path / "tta.csv", overrides=["predict.tta.hflip=true"]).read_bytes()
    assert seen != plain
    covered = ["predict.windows.size_px=64", "predict.windows.stride_px=8"]
    assert infer(run, None, tmp_path / "one.csv", overrides=covered).read_bytes() == plain
    parts = infer(run, None, tmp_path / "parts.csv", overrides=["predict.windows.size_px=32"]).read_bytes()
    assert parts not in (plain, seen)


def test_what_was_done_with_other_settings_is_not_taken_over(
    trained: tuple[Config, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = trained
    origins = {
        origin_of(load_for_prediction(folder.best_weights, torch.device("cpu"), overrides))
        for overrides in ([], ["predict.tta.hflip=true"], ["predict.threshold=0.4"], ["transform.size_px=96"])
    }
    assert len(origins) == 4


def test_a_file_of_equal_thresholds_is_that_threshold(untrained: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"thresholds": dict.fromkeys(hand_bone.classes, 0.45)}))
    for name, threshold in (("number", "0.45"), ("file", str(file))):
        infer(untrained.path, None, tmp_path / f"{name}.csv", threshold=threshold)
    assert (tmp_path / "number.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    other = infer(untrained.path, None, tmp_path / "other.csv", threshold="0.55")
    assert other.read_bytes() != (tmp_path / "number.csv").read_bytes()


def test_one_image_is_an_answer_to_which_images(untrained: RunFolder, root: Path, tmp_path: Path) -> None:
    image = root / "test" / "DCM" / "ID007" / "image0007_0.png"
    infer(untrained.path, image, tmp_path / "one.csv")
    assert {line.split(",")[0] for line in (tmp_path / "one.csv").read_text().splitlines()[1:]} == {image.name}
    text = tmp_path / "one.txt"
    text.touch()
    with pytest.raises(UserError, match=r"one\.txt: is not called as an image is\. Expected PNG, JPEG"):
        infer(untrained.path, text, tmp_path / "two.csv")


def test_what_is_wrong_is_refused_before_the_network_is_built(
    untrained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.trained.build_model", lambda config: pytest.fail("a network was built"))
    with pytest.raises(UserError, match="no such folder"):
        infer(untrained.path, tmp_path / "nothing", None)
    with pytest.raises(UserError, match="is a folder"):
        infer(untrained.path, None, tmp_path)


def test_a_processor_predicts_in_fp32_what_was_trained_in_fp16_and_says_so(
    make_config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = make_config(trainer={"precision": "fp16"})
    weights = RunFolder(config.folder).best_weights
    tensors = build_model(config).state_dict()
    save_weights(weights, Weights(tensors, hand_bone.classes, as_dict(config), 0, 0.0))
    cpu = torch.device("cpu")
    trained = load_trained(weights, cpu)
    assert trained.predictor.precision.name == "fp32"
    assert "trainer.precision=fp16: a processor only emulates it, so the network predicts in fp32 here" in caplog.text
    dtypes: set[torch.dtype] = set()

    def note_dtype(part: nn.Module, given: object, made: object) -> None:
        dtypes.update({made.dtype} if isinstance(made, torch.Tensor) else ())

    for part in trained.predictor.network.modules():
        part.register_forward_hook(note_dtype)
    ImagePredictor(trained).logits(np.zeros((64, 64), np.uint8))
    assert dtypes == {torch.float32}
    caplog.clear()
    assert load_trained(weights, cpu, ["trainer.precision=fp16"]).predictor.precision.name == "fp16"
    assert "only emulates" not in caplog.text


def test_a_run_on_crops_is_scored_and_predicted_through_windows(make_config: Make, tmp_path: Path) -> None:
    config = make_config(
        transform={"size_px": 128, "train": ["hflip", {"name": "foreground_crop", "size_px": 64}]},
        predict={"windows": {"size_px": 64}},
        trainer={"epochs": 1},
    )
    folder = train(config, resume=False, command="")
    assert json.loads(folder.validation.read_text())["images"]
    assert len(infer(folder.path, None, None).read_text().splitlines()) == 1 + 4 * 29
