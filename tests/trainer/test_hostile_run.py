"""A stranger's run folder, weights, states, YAML, CSV and `.env`: nothing else is touched, and nothing in them runs."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from configs.loading.load import as_dict, dump, load
from configs.schema import Config
from data.hand_bone.task import hand_bone
from data.pseudo import write_pseudo_labels
from data.submission.vote import vote_files
from trainer.build import build_model
from trainer.compare.page import write_comparison
from trainer.ensemble.predict import predict_together
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.records.checkpoint import Weights, load_state, load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.report.report import write_report
from trainer.runs.run import train
from trainer.runs.stored_config import load_stored
from trainer.soup.soup import make_soup
from trainer.thresholds.tune_runs import tune_runs
from utils.errors import UserError

Make = Callable[..., Config]
opened: list[str] = []
watching = False


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every file that is opened, renamed or removed, and every program that is started."""
    if watching and event in ("open", "os.rename", "os.remove", "os.mkdir", "os.symlink", "subprocess.Popen"):
        opened.extend(os.path.abspath(os.fsdecode(one)) for one in arguments[:2] if isinstance(one, (str, bytes)))


sys.addaudithook(note)


@contextmanager
def nothing_touched(outside: Path) -> Iterator[None]:
    """Fail if a file below `outside` is opened, changed, made or removed in this block."""
    global watching
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    opened.clear()
    watching = True
    try:
        yield
    finally:
        watching = False
    assert [path for path in opened if path.startswith(str(outside))] == []
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


class Runs:
    """An object that runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of mine, with a file that nobody may read or change."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".bashrc").write_text("mine\n")
    return folder


@pytest.fixture
def stranger(make_config: Make, outside: Path) -> RunFolder:
    """A finished run whose config names files and folders of mine."""
    config = make_config(
        run={"name": "tiny", "folder": str(outside / "runs")},
        data={"root": str(outside / "data"), "fold_files": str(outside / "folds")},
        model={"encoder_weights": str(outside / "weights.safetensors")},
        services={"slack": {"base_url": "http://stranger.example/api/"}},
    )
    folder = RunFolder(outside.parent / "stranger")
    folder.checkpoints.mkdir(parents=True)
    bare = make_config()
    tensors = build_model(bare).state_dict()
    save_weights(folder.best_weights, Weights(tensors, hand_bone.classes, as_dict(config), 0, 0.0))
    folder.config.write_text(dump(config))
    return folder


def test_predicting_with_a_strangers_weights_touches_nothing_else(
    stranger: RunFolder, root: Path, outside: Path, tmp_path: Path
) -> None:
    with nothing_touched(outside):
        infer(stranger.path, root / "test" / "DCM", None)
        infer(stranger.best_weights, root / "test" / "DCM", tmp_path / "two.csv")
    assert stranger.output("submission.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_report_and_a_resume_of_a_strangers_run_touch_nothing_else(stranger: RunFolder, outside: Path) -> None:
    with nothing_touched(outside):
        write_report(stranger)
        with pytest.raises(UserError, match=r"base_url=http://stranger\.example/api/ decides where your tokens"):
            load_stored(stranger.path)


def test_programs_that_read_images_which_weights_name_say_from_where(
    stranger: RunFolder, outside: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Masks and weights that follow from these images are written to the user's own files alone."""
    caplog.set_level("INFO")
    twin = tmp_path / "twin.safetensors"
    twin.write_bytes(stranger.best_weights.read_bytes())
    for program in (
        lambda: infer(stranger.path, None, tmp_path / "a.csv"),
        lambda: make_soup([stranger.path, twin], tmp_path / "soup.safetensors", greedy=False),
        lambda: tune_runs([stranger.path], tmp_path / "thresholds.json"),
    ):
        caplog.clear()
        with nothing_touched(outside), pytest.raises(UserError, match=r"no folder|no such folder"):
            program()
        assert f"reading images from {outside / 'data'}" in caplog.text


def test_a_strangers_csv_is_only_data(root: Path, outside: Path, tmp_path: Path) -> None:
    """Cells that programs of tables would run, and names that lead elsewhere, are refused by each reader."""
    csv = tmp_path / "stranger.csv"
    csv.write_text(f"image_name,class,rle\n=HYPERLINK(1),Ulna,1 2\n{outside}/.bashrc,Radius,1 2\n")
    images, out = root / "test" / "DCM", tmp_path / "out"
    for program in (
        lambda: score_files(hand_bone, csv, root / "test", size_hw=None, json_file=out, gallery=None),
        lambda: write_comparison(hand_bone, csv, csv, out, truth=None, images=images, size_hw=(64, 64)),
        lambda: vote_files([csv, csv], out, hand_bone.classes),
        lambda: write_pseudo_labels(hand_bone, [csv], images, out),
    ):
        with nothing_touched(outside), pytest.raises(UserError, match=r"csv|out"):
            program()
        assert not out.exists()


def test_an_ensemble_with_a_strangers_run_touches_nothing_else(
    stranger: RunFolder, root: Path, outside: Path, tmp_path: Path
) -> None:
    with nothing_touched(outside):
        predict_together([stranger.path], root / "test" / "DCM", tmp_path / "together.csv")


def test_a_strangers_env_file_in_a_run_is_not_read(
    stranger: RunFolder, root: Path, outside: Path, tmp_path: Path
) -> None:
    (stranger.path / ".env").write_text("HTTPS_PROXY=http://stranger.example\nSLACK_BOT_TOKEN=xoxb-theirs\n")
    with nothing_touched(stranger.path / ".env"):
        infer(stranger.path, root / "test" / "DCM", tmp_path / "a.csv")
        write_report(stranger)
    assert "stranger.example" not in os.environ.get("HTTPS_PROXY", "")


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "pictures", "checkpoints/state-00000001.pt"])
def test_a_link_out_of_a_run_is_refused(name: str, make_config: Make, outside: Path) -> None:
    config = make_config()
    folder = RunFolder(config.folder)
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text(dump(config))
    (folder.path / name).symlink_to(outside / (".bashrc" if "." in name else ""))
    with nothing_touched(outside):
        with pytest.raises(UserError, match=r"is a link to .*, out of the run's folder"):
            train(config, resume=True, command="")
        with pytest.raises(UserError, match=r"is a link to .*, out of the run's folder"):
            write_report(folder)


def test_the_output_replaces_a_link_and_not_what_it_leads_to(stranger: RunFolder, root: Path, outside: Path) -> None:
    stranger.output("submission.csv").symlink_to(outside / ".bashrc")
    with nothing_touched(outside):
        infer(stranger.path, root / "test" / "DCM", None)
    assert not stranger.output("submission.csv").is_symlink()


def test_no_state_and_no_weights_file_runs_what_it_holds(tmp_path: Path) -> None:
    mark, state, weights = tmp_path / "ran", tmp_path / "state-00000001.pt", tmp_path / "best.safetensors"
    torch.save({"model": Runs(mark)}, state)
    weights.write_bytes(pickle.dumps(Runs(mark)))
    with pytest.raises(UserError, match="damaged or not a training state"):
        load_state(state)
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_weights(weights)
    with zipfile.ZipFile(state) as archive:
        assert archive.testzip() is None
    assert not mark.exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!include"])
def test_no_yaml_runs_what_its_tags_say(tag: str, tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "config.yaml"
    file.write_text(f"model: unet\nrun:\n  name: {tag} ['touch {mark}']\n")
    with pytest.raises(UserError, match=r"config\.yaml:3: run\.name: tags such as "):
        load(file)
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(file.read_text())
    assert not mark.exists()
