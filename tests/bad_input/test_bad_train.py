"""train.py, and what a user may get wrong about data, config, folder and arguments: one sentence and exit code 2."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import train
from configs.schema import Config
from data.films.reader import read_image
from tests.bad_input.damages import IMAGE_DAMAGES, LABEL_DAMAGES, draw
from tests.bad_input.programs import assert_refused, call
from trainer.records.folder import RunFolder

PairOf = Callable[[Path], tuple[Path, Path]]
Settings = Callable[..., list[object]]
DAMAGES = {
    **{f"image: {k}": v for k, v in IMAGE_DAMAGES.items()},
    **{f"label: {k}": v for k, v in LABEL_DAMAGES.items()},
}


@pytest.fixture
def settings(root: Path, tmp_path: Path) -> Settings:
    """The arguments of a small experiment on `root`, and more."""

    def arguments(*more: object) -> list[object]:
        data = (f"data.root={root}", f"run.folder={tmp_path / 'runs'}", "run.if_exists=refuse")
        return ["--config", "configs/smoke.yaml", *data, *more]

    return arguments


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_sample_is_reported_before_the_first_step(
    name: str, root: Path, settings: Settings, pair_of: PairOf, tmp_path: Path
) -> None:
    damage, sentence = DAMAGES[name]
    damage(*pair_of(root / "train"))
    assert_refused(train.main, *settings(), sentence=sentence)
    assert not (tmp_path / "runs").exists()


def test_all_damaged_samples_are_reported_at_once_with_what_leaves_them_out(root: Path, settings: Settings) -> None:
    first, second, *_ = sorted((root / "train" / "DCM").glob("*/*.png"))
    for image in (first, second):
        image.write_bytes(b"")
    keys = ", ".join(f"{image.parent.name}/{image.name}" for image in (first, second))
    assert_refused(train.main, *settings(), sentence=rf"2 of 6 images .* Fix them.*data\.exclude=\[{keys}\]")


def test_images_of_other_sizes_and_kinds_are_no_fault(root: Path, settings: Settings, pair_of: PairOf) -> None:
    grey = read_image(pair_of(root / "train")[0])
    first, second, third, *_ = sorted((root / "train" / "DCM").glob("*/*.png"))
    draw(first, np.dstack([grey, grey, grey, grey]))
    draw(second, grey)
    draw(third, np.pad(grey, ((0, 30), (0, 7))))
    ended = call(train.main, *settings("trainer.fast_dev_run=true"))
    assert (ended.code, "done after 1 epoch" in ended.told) == (0, True), ended.told


def flatten(split: Path) -> None:
    for image in list((split / "DCM").glob("*/*.png")):
        image.rename(split / "DCM" / image.name)


def deepen(split: Path) -> None:
    (split / "DCM").rename(split / "unpacked")
    (split / "DCM").mkdir()
    (split / "unpacked").rename(split / "DCM" / "DCM")


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


LAYOUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no data": (shutil.rmtree, r"data\.root=.*: there is no folder .*train\. Put the data there"),
    "no images": (lambda split: shutil.rmtree(split / "DCM"), "DCM: no such folder"),
    "no labels": (
        lambda split: shutil.rmtree(split / "outputs_json"),
        r"outputs_json: no such folder\. A split folder",
    ),
    "empty images": (lambda split: empty(split / "DCM"), "DCM: no image in it or in its patients' folders"),
    "empty labels": (lambda split: empty(split / "outputs_json"), "6 images but 0 label files; no label for ID001"),
    "flat": (flatten, r"lies in no patient's folder .6 such files.\. Move each image .*data\.group_pattern"),
    "too deep": (deepen, r"no image .* 6 lie deeper, such as .*DCM/DCM/"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_wrong_layout_is_reported(name: str, root: Path, settings: Settings) -> None:
    spoil, sentence = LAYOUTS[name]
    spoil(root / "train")
    assert_refused(train.main, *settings(), sentence=sentence)


ARGUMENTS = [
    (["nonsense"], r"'nonsense': expected key=value, for example trainer\.epochs=3"),
    (["trainer.epochs=many"], "trainer.epochs=many: expected a whole number from 1 to 1000000, or null, got 'many'"),
    (["trainer.epoch=3"], r"trainer\.epoch=3: unknown key\. Did you mean 'epochs'"),
    (["trainer.epochs=[1"], "not YAML: a bracket that opens here is never closed"),
    (["loss=dise"], "'dise' is not a loss. Did you mean 'dice'"),
    (["model.encoder_weights=nowhere.pth"], r"nowhere\.pth is not there; give an existing file"),
    (["model.decoder={channels: 1}"], r"decoder\.channels: unknown key"),
    (["model.decoder={decoder_channels: few}"], "these options do not go together"),
    (["fold=2"], "fold=2: expected 0 to 1, for data.folds is 2"),
    (["data.folds=50"], r"data\.folds: 50 folds of 3 patients\. Give at most one fold per patient"),
    (["data.exclude=[ID01]"], r"data\.exclude: no patient and no image is called ID01\. Did you mean 'ID001'"),
    (["data.exclude=[ID001, ID002, ID003]"], r"data\.exclude: leaves none of the images .* Exclude fewer"),
    (["transform.train=[{name: random_crop, size_px: 100}]"], "random_crop: a window of 100 x 100 px does not fit"),
    (["run.folder=LICENSE"], "LICENSE.*Choose another folder"),
    (["run.folder=/proc/carpus"], r"/proc/carpus.*Choose another folder"),
    (["data.root=LICENSE"], r"data\.root=LICENSE: there is no folder"),
    (["--bogus"], "unrecognized arguments: --bogus"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ARGUMENTS, ids=lambda value: str(value)[:40])
def test_arguments_that_cannot_be_are_reported(arguments: list[str], sentence: str, settings: Settings) -> None:
    assert_refused(train.main, *settings(*arguments), sentence=sentence)


CONFIGS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"c\.yaml:1: run\.name: required key is missing"),
    "a list": (b"- run\n", r"c\.yaml:1: expected keys such as 'trainer:' at the top"),
    "a tab": (b"run:\n\tname: x\n", r"c\.yaml:2: not YAML: a tab indents this line"),
    "no UTF-8": (b"run: {name: \xff}\n", r"c\.yaml: is not UTF-8 text; save it as UTF-8"),
    "wrong type": (b"run: 5\nmodel: unet\n", r"c\.yaml:1: run: expected a block of keys, got 5"),
    "wrong name": (b"run: {name: x}\nmodel: une\n", r"c\.yaml:2: model: 'une' is not a model\. Did you mean 'unet'"),
    "wrong key": (
        b"run: {name: x}\nmodel: unet\ntrainr: {}\n",
        r"c\.yaml:3: trainr: unknown key\. Did you mean 'trainer'",
    ),
    "a tag": (b"run: !!python/object/apply:os.mkdir [owned]\n", r"c\.yaml:1: run: tags such as .* remove it"),
    "twice": (b"run: {name: x}\nmodel: unet\nrun: {name: y}\n", r"c\.yaml:3: run: given twice, on lines 1 and 3"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_cannot_be_is_reported_with_its_line(name: str, tmp_path: Path) -> None:
    content, sentence = CONFIGS[name]
    (tmp_path / "c.yaml").write_bytes(content)
    assert_refused(train.main, "--config", tmp_path / "c.yaml", sentence=sentence)
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("configs", "configs: is a folder; expected a YAML file"),
        ("smoke.yaml", r"smoke\.yaml: no such file\. Did you mean 'configs/smoke\.yaml'"),
        ("docs/images/hands.jpg", r"hands\.jpg: is not UTF-8 text"),
    ],
)
def test_a_config_that_is_none_is_reported(path: str, sentence: str) -> None:
    assert_refused(train.main, "--config", path, sentence=sentence)


@pytest.fixture
def earlier(run_folder: Path, tmp_path: Path) -> RunFolder:
    """A run of the recipe's name that has got as far as a state."""
    folder = RunFolder(Path(shutil.copytree(run_folder, tmp_path / "runs" / "smoke")))
    (folder.checkpoints / "state-00000003.pt").write_bytes(b"state")
    return folder


def test_a_run_that_exists_already_is_reported_and_kept(earlier: RunFolder, settings: Settings) -> None:
    sentence = r"this run exists already\. Continue it with --resume, choose another run\.name, or replace it"
    assert_refused(train.main, *settings(), sentence=sentence)
    assert (earlier.checkpoints / "state-00000003.pt").read_bytes() == b"state"


def test_a_checkpoint_of_another_architecture_is_reported_and_kept(earlier: RunFolder, settings: Settings) -> None:
    sentence = r"--resume: this run was begun with other settings: .*model\.name \(was unet, now fpn\).*Give the same"
    assert_refused(train.main, *settings("--resume", "model.name=fpn"), sentence=sentence)
    assert earlier.best_weights.exists()


@pytest.mark.parametrize("content", [b"", b"- a\n", b"run: [\n", b"run: !!python/object/apply:os.mkdir [owned]\n"])
def test_a_damaged_config_of_the_run_to_resume_is_reported(
    earlier: RunFolder, settings: Settings, content: bytes, config: Config
) -> None:
    earlier.config.write_bytes(content)
    assert_refused(train.main, *settings("--resume"), sentence=r"runs/smoke/config\.yaml")
    assert not Path("owned").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_reported(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o500)
    assert_refused(train.main, *settings(), sentence="could not|cannot be written")
