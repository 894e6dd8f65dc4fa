"""inference.py, and what a user may get wrong about images, run, weights and output: one sentence and exit code 2."""

from __future__ import annotations

import math
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

import inference
from data.hand_bone.classes import BONES
from data.submission.reader import read_submission
from tests.bad_input.damages import IMAGE_DAMAGES, draw
from tests.bad_input.programs import assert_refused, call
from tests.networks import UNET
from trainer.records.checkpoint import Weights, save_weights

PairOf = Callable[[Path], tuple[Path, Path]]
Arguments = Callable[..., list[object]]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "submission.csv"


@pytest.fixture
def arguments(run_folder: Path, root: Path, output: Path) -> Arguments:
    """The arguments of a prediction; keywords replace them."""

    def make(**changes: object) -> list[object]:
        values = {"run": run_folder, "images": root / "test" / "DCM", "output": output, **changes}
        return [part for name, value in values.items() if value is not None for part in (f"--{name}", value)]

    return make


@pytest.mark.parametrize("name", IMAGE_DAMAGES)
def test_a_damaged_image_is_reported(
    name: str, root: Path, arguments: Arguments, output: Path, pair_of: PairOf
) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(inference.main, *arguments(), sentence=rf"{sentence}.*\n1 of 4 images .* move them out of")
    assert not output.parent.exists()


def test_images_of_other_sizes_and_kinds_are_predicted_in_their_own_frame(
    root: Path, arguments: Arguments, output: Path
) -> None:
    first, second, *_ = sorted((root / "test" / "DCM").glob("*/*.png"))
    draw(first, np.zeros((100, 37, 4), np.uint8))
    draw(second, np.zeros((1, 1), np.uint8))
    ended = call(inference.main, *arguments())
    assert ended.code == 0, ended.told
    submission = read_submission(output, BONES)
    submission.of(first.name, (100, 37))
    submission.of(second.name, (1, 1))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


LAYOUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "test/DCM: no such file or folder"),
    "an empty folder": (empty, r"test/DCM: no image in it .* Put the images there, or name another folder"),
    "two of a name": (lambda images: double(images), r"image names must be unique.*Rename them"),
    "a comma": (
        lambda images: min(images.glob("*/*")).rename(images / "a,b.png"),
        r"which no CSV can hold: .*a,b",
    ),
}


def double(images: Path) -> None:
    image = min(images.glob("*/*"))
    shutil.copy(image, images / "ID008" / image.name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrong_layout_is_reported(name: str, root: Path, arguments: Arguments) -> None:
    spoil, sentence = LAYOUTS[name]
    spoil(root / "test" / "DCM")
    assert_refused(inference.main, *arguments(), sentence=sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"run": "runs/nothing"}, r"runs/nothing: no run here\. Name a run's folder or a \.safetensors file"),
        ({"run": "LICENSE"}, r"LICENSE: is not a readable safetensors file .* Name a run or its best\.safetensors"),
        ({"run": None}, "the following arguments are required: --run"),
        ({"images": "LICENSE"}, "LICENSE: is not called as an image is"),
        ({"images": "configs"}, "configs: no image in it"),
        ({"output": "configs"}, r"configs: is a folder\. Name a file, such as configs/submission\.csv"),
        ({"output": "LICENSE/s.csv"}, r"LICENSE/s\.csv.*: could not be written"),
        ({"output": "/proc/carpus/s.csv"}, r"/proc/carpus/s\.csv.*: could not be written"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(inference.main, *arguments(**changes), sentence=sentence)


def test_weights_without_a_run_need_a_name_for_the_output(run_folder: Path, arguments: Arguments) -> None:
    best = run_folder / "checkpoints" / "best.safetensors"
    assert_refused(inference.main, *arguments(run=best, output=None), sentence="Name the output with --output")


def test_a_run_without_weights_is_reported(run_folder: Path, arguments: Arguments, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    shutil.copy(run_folder / "config.yaml", tmp_path / "bare")
    assert_refused(inference.main, *arguments(run=tmp_path / "bare"), sentence="has no best weights yet. Let it finish")
    (tmp_path / "bare" / "finished.json").write_text("{}")
    assert_refused(
        inference.main, *arguments(run=tmp_path / "bare"), sentence="is missing, though this run has finished"
    )


def with_config(weights: Weights, **changes: object) -> Weights:
    return replace(weights, config={**weights.config, **changes})


FIT = r"w\.safetensors: its tensors do not fit the network .* Name the best\.safetensors of another run"
DAMAGED = r"w\.safetensors: its description is damaged\. Name the best\.safetensors of another run"
FPN = {**UNET, "name": "fpn", "decoder": None}
OTHER_WEIGHTS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "another architecture": (
        lambda w: with_config(w, model=FPN),
        FIT,
    ),
    "no tensors": (lambda w: replace(w, tensors={}), FIT),
    "other shapes": (lambda w: replace(w, tensors={k: v.flatten() for k, v in w.tensors.items()}), FIT),
    "other classes": (lambda w: replace(w, classes=("a",)), "was trained for other classes than task 'hand_bone'"),
    "unknown task": (
        lambda w: with_config(w, task="ribs"),
        r"w\.safetensors: task: 'ribs' is not a task\. Valid",
    ),
    "unknown key": (
        lambda w: with_config(w, trainr={}),
        r"w\.safetensors: trainr: unknown key\. Did you",
    ),
    "unknown model": (lambda w: with_config(w, model="u"), r"w\.safetensors: model.*: 'u' is not a model"),
    "enormous input": (
        lambda w: with_config(w, transform={"size_px": 10**9}),
        "size_px: expected a whole number",
    ),
    "moved pixels": (lambda w: with_config(w, transform={"evaluate": ["hflip"]}), "'hflip' moves pixels"),
    "config a number": (lambda w: replace(w, config=5), DAMAGED),  # type: ignore[arg-type]
    "epoch a word": (lambda w: replace(w, epoch="last"), DAMAGED),  # type: ignore[arg-type]
    "epoch infinite": (lambda w: replace(w, epoch=math.inf), DAMAGED),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", OTHER_WEIGHTS)
def test_weights_of_another_kind_are_reported(
    name: str, weights: Weights, arguments: Arguments, tmp_path: Path
) -> None:
    change, sentence = OTHER_WEIGHTS[name]
    save_weights(tmp_path / "w.safetensors", change(weights))
    assert_refused(inference.main, *arguments(run=tmp_path / "w.safetensors"), sentence=sentence)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


def description(text: str) -> bytes:
    return bytes(save({"a": torch.zeros(1)}, {"format": "carpus-weights-1", "carpus": text}))


NO_WEIGHTS = {
    "nothing": b"",
    "garbage": b"\xff" * 100,
    "an endless header": b"\xff" * 7 + b"\x7f{}",
    "a pickle that runs code": pickle.dumps(Evil()),
    "another's tensors": bytes(save({"a": torch.zeros(1)})),
    "a number as description": description("5"),
    "no JSON as description": description("{"),
    "endless nesting": description("[" * 100_000),
}


@pytest.mark.parametrize("name", NO_WEIGHTS)
def test_a_file_that_is_no_weights_is_reported_and_never_run(
    name: str, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.safetensors").write_bytes(NO_WEIGHTS[name])
    monkeypatch.chdir(tmp_path)
    assert_refused(inference.main, *arguments(run="w.safetensors"), sentence=r"^w\.safetensors: .*\. Name ")
    assert not (tmp_path / "owned").exists()


def test_a_state_is_not_taken_for_weights(arguments: Arguments, tmp_path: Path) -> None:
    torch.save({"evil": Evil()}, tmp_path / "state-00000001.pt")
    assert_refused(
        inference.main, *arguments(run=tmp_path / "state-00000001.pt"), sentence=r"pickled models are not opened"
    )
    torch.save({"stepper": {"model": {"a": torch.zeros(1)}}}, tmp_path / "state-00000002.pt")
    assert_refused(
        inference.main, *arguments(run=tmp_path / "state-00000002.pt"), sentence=r"holds neither .* best\.safetensors"
    )
    assert not Path("owned").exists()


def test_weights_cannot_make_a_program_read_other_files(
    weights: Weights, arguments: Arguments, tmp_path: Path, output: Path
) -> None:
    """Neither pretrained weights that a stranger's file names are read, nor the checkpoint of an encoder's options."""
    torch.save({"evil": Evil()}, tmp_path / "evil.pth")
    model = {**weights.config["model"], "encoder_weights": str(tmp_path / "evil.pth")}
    save_weights(tmp_path / "w.safetensors", with_config(weights, model=model))
    assert call(inference.main, *arguments(run=tmp_path / "w.safetensors")).code == 0
    options = {"checkpoint_path": str(tmp_path / "evil.pth")}
    save_weights(tmp_path / "w.safetensors", with_config(weights, model={**model, "encoder_options": options}))
    assert_refused(inference.main, *arguments(run=tmp_path / "w.safetensors"), sentence="reaches for files. Remove it")
    assert not Path("owned").exists()
