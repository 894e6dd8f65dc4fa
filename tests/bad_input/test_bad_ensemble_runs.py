"""K-fold_ensemble.py --runs, and what a user may get wrong about runs, weights and thresholds."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import inference
from configs.loading.load import as_dict, dump, from_mapping
from configs.schema import Config
from data.hand_bone.classes import BONES
from tests.bad_input.damages import IMAGE_DAMAGES
from tests.bad_input.programs import assert_refused, call
from tests.networks import tiny_network
from trainer import build, trained
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder

PairOf = Callable[[Path], tuple[Path, Path]]
Arguments = Callable[..., list[object]]
program = importlib.import_module("K-fold_ensemble")


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_model", tiny_network)
    monkeypatch.setattr(trained, "build_model", tiny_network)


@pytest.fixture
def weights(config: Config) -> Weights:
    return Weights(tiny_network(config).state_dict(), BONES, as_dict(config), 0, 0.0)


@pytest.fixture
def run_folder(config: Config, weights: Weights, tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text(dump(config), encoding="utf-8")
    save_weights(folder.best_weights, weights)
    return folder.path


@pytest.fixture
def other(config: Config, tmp_path: Path) -> Path:
    """A second network."""
    tensors = tiny_network(config).state_dict()
    save_weights(tmp_path / "other.safetensors", Weights(tensors, BONES, as_dict(config), 0, 0.0))
    return tmp_path / "other.safetensors"


@pytest.fixture
def arguments(run_folder: Path, other: Path, root: Path, tmp_path: Path) -> Arguments:
    """The arguments of an ensemble of two; keywords replace them."""

    def make(**changes: object) -> list[object]:
        values: dict[str, object] = {
            "runs": [run_folder, other],
            "images": root / "test" / "DCM",
            "output": tmp_path / "out" / "o.csv",
            **changes,
        }
        given = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
        return [part for name, value in given.items() if value != [None] for part in (f"--{name}", *value)]

    return make


def test_two_runs_make_a_submission(arguments: Arguments, tmp_path: Path) -> None:
    ended = call(program.main, *arguments(weights=["1", "0.5"], threshold=0.4), "predict.tta.hflip=true")
    assert ended.code == 0, ended.told
    assert len((tmp_path / "out" / "o.csv").read_text().splitlines()) == 1 + 4 * 29


def test_settings_may_stand_right_behind_the_runs(arguments: Arguments, run_folder: Path, other: Path) -> None:
    ended = call(program.main, *arguments(runs=[run_folder, other, "predict.tta.hflip=true"]))
    assert ended.code == 0, ended.told


def test_settings_may_stand_right_behind_the_weights(arguments: Arguments) -> None:
    ended = call(program.main, *arguments(weights=["1", "2", "predict.tta.hflip=true"]))
    assert ended.code == 0, ended.told
    wrong = arguments(weights=["1", "2", "predict.tta.hflip=often"])
    assert_refused(program.main, *wrong, sentence="command line: predict.tta.hflip=often: expected true or false")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"runs": None}, r"one of the arguments --runs --csv is required"),
        ({"runs": ["runs/nothing"]}, r"runs/nothing: no run here\. Name a run's folder or a \.safetensors file"),
        ({"runs": ["predict.threshold=0.5"]}, "--runs: name at least one run before the settings"),
        ({"runs": ["LICENSE"]}, r"LICENSE: is not a readable safetensors file"),
        ({"images": "configs"}, "configs: no image in it"),
        ({"output": None}, "the following arguments are required: --output"),
        ({"output": "configs"}, r"configs: is a folder\. Name a file in it"),
        ({"output": "LICENSE/o.csv"}, r"LICENSE: is a file, not a folder\. Name another place"),
        ({"weights": ["1"]}, "--weights: expected a number for each of the 2 runs, or one file; got 1"),
        ({"weights": ["1", "much"]}, "--weights: 'much': expected a weight of 0 or more"),
        ({"weights": ["nowhere.json"]}, "nowhere.json: cannot be read"),
        ({"weights": ["LICENSE"]}, "LICENSE: is not JSON"),
        ({"weights": ["0", "0"]}, "--weights: no run counts for finger-1"),
        ({"csv": ["a.csv"]}, "not allowed with argument"),
        ({"vote": "2"}, "--vote: does not go with --runs"),
        ({"prefer": ["Ulna=a.csv"]}, "--prefer: does not go with --runs"),
        ({"bogus": 1}, "unrecognized arguments: --bogus"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_reported(changes: dict[str, Any], sentence: str, arguments: Arguments) -> None:
    assert_refused(program.main, *arguments(**changes), sentence=sentence)


def test_what_belongs_to_runs_is_not_ignored_in_silence(tmp_path: Path) -> None:
    files = ("--csv", "a.csv", "b.csv", "--output", tmp_path / "o.csv")
    assert_refused(program.main, *files, "--images", "x", sentence="--images: does not go with --csv")
    assert_refused(program.main, *files, "--threshold", "0.5", sentence="--threshold: does not go with --csv")
    assert_refused(program.main, *files, "predict.tta.hflip=true", sentence="hflip=true: does not go with --csv")


def test_runs_of_different_settings_say_which_ones(weights: Weights, arguments: Arguments, tmp_path: Path) -> None:
    paths = []
    for name, settings in (("a", {}), ("b", {"postprocess": ["fill_holes"]})):
        paths.append(tmp_path / f"{name}.safetensors")
        save_weights(paths[-1], replace(weights, config={**weights.config, "predict": settings}))
    assert_refused(
        program.main,
        *arguments(runs=paths),
        sentence=r"a\.safetensors and .*b\.safetensors: differ in predict\.postprocess: \[\] and .*fill_holes.*\. Say",
    )


def test_a_run_of_other_classes_is_reported(
    weights: Weights, arguments: Arguments, other: Path, tmp_path: Path
) -> None:
    save_weights(tmp_path / "w.safetensors", replace(weights, classes=("a",)))
    runs = [other, tmp_path / "w.safetensors"]
    assert_refused(program.main, *arguments(runs=runs), sentence=r"w\.safetensors: was trained for other classes than")


def test_a_run_without_weights_is_reported(run_folder: Path, arguments: Arguments, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    shutil.copy(run_folder / "config.yaml", tmp_path / "bare")
    runs = [run_folder, tmp_path / "bare"]
    assert_refused(program.main, *arguments(runs=runs), sentence="bare: this run has no best weights yet. Let it")


@pytest.mark.parametrize("name", IMAGE_DAMAGES)
def test_a_damaged_image_is_reported(
    name: str, root: Path, arguments: Arguments, pair_of: PairOf, tmp_path: Path
) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    damage(*pair_of(root / "test"))
    assert_refused(program.main, *arguments(), sentence=rf"{sentence}.*\n1 of 4 images .* move them out of")
    assert not list((tmp_path / "out").iterdir())


HALF = dict.fromkeys(BONES, 0.5)
THRESHOLDS: dict[str, tuple[Any, str]] = {
    "no file": (None, r"t\.json: cannot be read"),
    "no JSON": ("{", r"t\.json: is not JSON"),
    "another form": ({"Ulna": 0.5}, r't\.json: expected \{"thresholds"'),
    "a list": ([0.5] * 29, r't\.json: expected \{"thresholds"'),
    "an unknown class": ({"thresholds": {**HALF, "Ulma": 0.5}}, r"'Ulma' is not a class of this task\. .*'Ulna'"),
    "a missing class": ({"thresholds": {"Ulna": 0.5}}, r"t\.json: lacks a threshold for finger-1"),
    "a percentage": ({"thresholds": {**HALF, "Ulna": 45}}, r"thresholds\.Ulna: expected a number above 0 and below 1"),
    "a word": ({"thresholds": {**HALF, "Ulna": "low"}}, r"thresholds\.Ulna: expected a number above 0 and below 1"),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_thresholds_that_cannot_be_are_reported(
    name: str, arguments: Arguments, run_folder: Path, tmp_path: Path
) -> None:
    content, sentence = THRESHOLDS[name]
    file = tmp_path / "t.json"
    if content is not None:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert_refused(program.main, *arguments(threshold=file), sentence=sentence)
    assert_refused(inference.main, "--run", run_folder, "--threshold", file, sentence=sentence)


@pytest.mark.parametrize("number", ["0", "1", "-0.5", "45", "nan"])
def test_a_threshold_outside_0_to_1_is_reported(number: str, arguments: Arguments, run_folder: Path) -> None:
    sentence = rf"--threshold: expected a number above 0 and below 1, or a file of thresholds; got {number}"
    assert_refused(program.main, *arguments(), f"--threshold={number}", sentence=sentence)
    assert_refused(inference.main, "--run", run_folder, f"--threshold={number}", sentence=sentence)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("predict.tta.flip=true", r"command line: predict\.tta\.flip=true: unknown key\. Did you mean 'hflip'"),
        ("predict.tta.scales=big", r"predict\.tta\.scales=big: expected a list of numbers from 0\.1 to 4, got 'big'"),
        ("predict.windows.stride_px=0", r"predict\.windows\.stride_px=0: expected a whole number from 1 to 16384"),
        ("predict.threshold", r"expected key=value, for example"),
        ("model.name=fpn", r"model\.name: cannot be changed in a trained run\. What can: .*predict\.tta\.hflip=true"),
        ("trainer.epochs=3", r"trainer\.epochs: cannot be changed in a trained run\. What can: "),
        ("predictions.x=3", r"predictions\.x: cannot be changed in a trained run"),
    ],
)
def test_settings_that_cannot_be_changed_are_reported(
    override: str, sentence: str, arguments: Arguments, run_folder: Path
) -> None:
    assert_refused(program.main, *arguments(), override, sentence=sentence)
    assert_refused(inference.main, "--run", run_folder, override, sentence=sentence)


def test_a_window_that_the_network_cannot_take_is_reported(
    weights: Weights, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the key of the window, not that of the image."""
    monkeypatch.undo()
    config = {**weights.config, "model": {"name": "linknet", "encoder": "resnet18"}}
    tensors = build.build_model(from_mapping(config)).state_dict()
    save_weights(tmp_path / "w.safetensors", replace(weights, tensors=tensors, config=config))
    sentence = r"multiples of 32 px, but its input has 40 x 40; set predict\.windows\.size_px to"
    window = "predict.windows.size_px=40"
    weights_file, output = tmp_path / "w.safetensors", tmp_path / "o.csv"
    given = ("--output", output, "--images", root / "test" / "DCM", window)
    assert_refused(inference.main, "--run", weights_file, *given, sentence=sentence)
