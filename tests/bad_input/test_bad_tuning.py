"""Thresholds, soups and searches, and what a user may get wrong about them: one sentence and exit code 2."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from configs.loading.load import dump
from configs.schema import Config
from tests.bad_input.damages import IMAGE_DAMAGES
from tests.bad_input.programs import assert_refused
from trainer.records.checkpoint import Weights, save_weights
from trainer.search.__main__ import main as search_main
from trainer.search.trial import Outcome
from trainer.soup import __main__ as soup
from trainer.thresholds.__main__ import main as tune_main


@pytest.fixture
def own_weights(weights: Weights, root: Path, tmp_path: Path) -> Path:
    """A weights file whose data may be damaged."""
    path = tmp_path / "own.safetensors"
    config = {**weights.config, "data": {**weights.config["data"], "root": str(root)}}
    save_weights(path, replace(weights, config=config))
    return path


@pytest.fixture
def experiment(config: Config, tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    run = config.run.model_copy(update={"folder": tmp_path / "runs"})
    path.write_text(dump(config.model_copy(update={"run": run})))
    return path


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text("optimizer.lr: {low: 1e-4, high: 1e-3}\n")
    return path


def test_thresholds_of_what_is_no_run(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.safetensors").write_text("no weights")
    for run, sentence in (
        (tmp_path / "none", "none: no run here"),
        (tmp_path / "empty", "empty: no run here"),
        (tmp_path / "text.safetensors", "is not a readable safetensors file"),
    ):
        assert_refused(tune_main, "--runs", run_folder, run, "--output", tmp_path / "t.json", sentence=sentence)
    assert_refused(tune_main, "--runs", run_folder, "--output", tmp_path, sentence="is a folder. Name a file")
    assert_refused(tune_main, "--output", tmp_path / "t.json", sentence="required: --runs")
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize("name", sorted(IMAGE_DAMAGES)[:4])
def test_thresholds_on_a_damaged_image(name: str, own_weights: Path, root: Path) -> None:
    damage, sentence = IMAGE_DAMAGES[name]
    for image in (root / "train" / "DCM").glob("*/*.png"):
        damage(image, root / "train" / "outputs_json" / image.parent.name / f"{image.stem}.json")
    assert_refused(tune_main, "--runs", own_weights, "--output", own_weights.with_name("t.json"), sentence=sentence)
    assert not own_weights.with_name("t.json").exists()


def test_thresholds_of_one_patient_cannot_be_tried_on_another(own_weights: Path, root: Path) -> None:
    shutil.rmtree(root / "train" / "DCM" / "ID003")
    shutil.rmtree(root / "train" / "outputs_json" / "ID003")
    assert_refused(tune_main, "--runs", own_weights, sentence="images of one patient are held out in all")


def test_soups_of_what_does_not_mix(run_folder: Path, weights: Weights, tmp_path: Path) -> None:
    best, output = run_folder / "checkpoints" / "best.safetensors", tmp_path / "soup.safetensors"
    (tmp_path / "text").write_text("no weights")
    fewer = {name: tensor for name, tensor in weights.tensors.items() if "decoder" not in name}
    save_weights(tmp_path / "fewer", replace(weights, tensors=fewer))
    for arguments, sentence in (
        ((best,), "one file is no average. Name two or more"),
        ((best, tmp_path / "none"), "none: no run here. Name a run.s folder or a .safetensors file"),
        ((best, tmp_path / "text"), "is not a readable safetensors file"),
        ((best, tmp_path / "fewer"), "fewer: holds another network than .*only one of them has decoder"),
    ):
        assert_refused(soup.main, "--weights", *arguments, "--output", output, sentence=sentence)
    assert_refused(soup.main, "--weights", best, best, "--output", best, sentence="would be overwritten")
    assert not output.exists()


def test_searches_that_cannot_begin(experiment: Path, space: Path, tmp_path: Path) -> None:
    wrong: tuple[tuple[dict[str, object], str], ...] = (
        ({"config": tmp_path / "none.yaml"}, "none.yaml: no such file"),
        ({"space": tmp_path / "none.yaml"}, "none.yaml: no such file"),
        ({"trials": 0}, "expected a whole number from 1 to 100000, got '0'"),
        ({"trials": "many"}, "expected a whole number from 1 to 100000, got 'many'"),
    )
    for changes, sentence in wrong:
        values = {"config": experiment, "space": space, "trials": 1, **changes}
        arguments = [part for name, value in values.items() for part in (f"--{name}", value)]
        assert_refused(search_main, *arguments, sentence=sentence)
    given = ("--config", experiment, "--space", space, "--trials", 1)
    assert_refused(search_main, *given, "trainer.epoch=1", sentence="trainer.epoch=1: unknown key. Did you mean")
    assert_refused(search_main, *given, "fold=all", sentence="fold: all are several, but trials are compared on one")
    assert_refused(search_main, *given, "data.root=/nowhere", sentence="^data.root=/nowhere: there is no folder")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run-search").write_text("in the way")
    assert_refused(search_main, *given, sentence="run-search: is a file. Choose another run.name")


def test_a_search_in_which_all_trials_fail_ends_after_three(
    experiment: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.search.plan.run_trial", lambda *_, **__: Outcome("failed", reason="too little memory"))
    given = ("--config", experiment, "--space", space, "--trials", 9)
    assert_refused(search_main, *given, sentence="all 3 trials failed, the last with: too little memory")
