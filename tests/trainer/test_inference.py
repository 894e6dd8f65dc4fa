from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.schema import Config
from data.task import hand_bone
from trainer.build import find_split
from trainer.folder import RunFolder
from trainer.inference import infer
from trainer.run import train
from trainer.score import score_files
from utils.errors import UserError

Make = Callable[..., Config]


@pytest.fixture
def trained(make_config: Make) -> tuple[Config, RunFolder]:
    config = make_config(trainer={"epochs": 1})
    return config, train(config, resume=False, command="")


def test_the_score_that_a_run_shows_is_that_of_a_submission(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    config, folder = trained
    held_out = tmp_path / "held_out"
    for sample in find_split(config).valid:
        assert sample.label is not None
        for part, path in (("DCM", sample.image), ("outputs_json", sample.label)):
            (held_out / part / sample.patient).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, held_out / part / sample.patient / path.name)
    submission = infer(folder.path, held_out / "DCM", tmp_path / "held_out.csv")
    scores = score_files(hand_bone, submission, held_out, size_hw=(64, 64), json_file=None, gallery=None)
    validation = json.loads(folder.validation.read_text())
    assert scores.dice.per_image == pytest.approx(validation["images"], abs=1e-12)


def test_the_weights_file_alone_is_enough(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    _, folder = trained
    first = infer(folder.path, None, None)
    alone = shutil.move(folder.best_weights, tmp_path / "alone.safetensors")
    second = infer(Path(alone), None, tmp_path / "second.csv")
    assert first == folder.submission
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_text().splitlines()) == 1 + 4 * 29


def test_a_folder_without_a_run_is_refused_with_those_that_are_there(
    trained: tuple[Config, RunFolder], tmp_path: Path
) -> None:
    _, folder = trained
    with pytest.raises(UserError, match=r"no run here.*there is .*tiny"):
        infer(folder.path.parent / "tyni", None, None)


def test_images_that_are_not_there_are_named(trained: tuple[Config, RunFolder], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        infer(trained[1].path, tmp_path / "nowhere", None)
