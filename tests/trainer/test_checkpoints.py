"""The networks of a run are scored on the same images: a table, a chart and a contact sheet, of any task."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from configs.loading.load import as_dict, dump, from_mapping
from configs.schema import Config
from data.cutout.metrics.regions import dice
from data.cutout.task import foreground
from data.hand_bone.task import hand_bone
from data.image import read_grey, read_rgb
from models.pretrained.folding import ImageNetwork
from tests.bad_input.programs import assert_refused
from tests.networks import tiny_network
from trainer.checkpoints import __main__ as program
from trainer.checkpoints import compare
from trainer.checkpoints.compare import Request, compare_checkpoints
from trainer.checkpoints.scoring import Scored, score_network
from trainer.checkpoints.sheet import choose_images, choose_networks
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder
from trainer.report.report import write_report
from utils.errors import UserError

SIDE = 48
STEPS = (2, 10, 100)


class Brightness(ImageNetwork):
    """A network that takes what is brighter than its level for the foreground."""

    channels = 3

    def __init__(self, level: float = 0.5) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor([level]))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return 20 * (images_BCHW.mean(1, keepdim=True) - self.level)


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.trained.build_model", lambda config: Brightness())
    monkeypatch.setattr(compare, "write_report", lambda folder: folder.report)


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of discs of growing brightness, with their masks; in the darkest the disc is hardly to be seen."""
    folder = tmp_path_factory.mktemp("discs")
    for number in range(8):
        mask = np.zeros((SIDE, SIDE + number), np.uint8)
        cv2.circle(mask, (20, 24), 8 + number % 3, 255, -1)
        photo = np.where(mask[..., None] > 0, 110 + 15 * number, 60).astype(np.uint8).repeat(3, axis=2)
        for part, pixels in (("images", photo), ("masks", mask)):
            (folder / "train" / part).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "train" / part / f"d{number}.png"), pixels)
    return folder


@pytest.fixture
def run(discs: Path, tmp_path: Path) -> RunFolder:
    """A run that has kept networks of three steps; the best is that of step 10, and one file began it."""
    torch.save(Brightness(0.9).state_dict(), tmp_path / "start.pth")
    config = from_mapping(
        {
            "task": "foreground",
            "run": {"name": "discs", "folder": str(tmp_path / "runs")},
            "data": {"root": str(discs), "folds": 2, "workers": 0},
            "transform": {"size_px": [SIDE, SIDE], "mean": 0.0, "std": 1.0},
            "model": {"name": "u2netp", "weights": str(tmp_path / "start.pth")},
        }
    )
    folder = RunFolder(config.folder)
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text(dump(config), encoding="utf-8")
    for step, level in zip(STEPS, (0.7, 0.4, 0.5), strict=True):
        save(folder.checkpoints / f"step-{step:08d}.safetensors", config, level)
    save(folder.best_weights, config, 0.4)
    return folder


def save(path: Path, config: Config, level: float) -> None:
    tensors = Brightness(level).state_dict()
    save_weights(path, Weights(tensors, foreground.classes, as_dict(config), 0, 0.5, "iou"))


def request(run: RunFolder, discs: Path, **options: Any) -> Request:
    return Request(run.path, discs / "train" / "images", discs / "train" / "masks", **options)


def test_each_network_is_scored_and_shown_everywhere(
    run: RunFolder, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "write_report", write_report)
    files = {"json": tmp_path / "t.json", "markdown": tmp_path / "t.md", "out": tmp_path / "page.html"}
    found = compare_checkpoints(request(run, discs, **files))
    rows = {row["name"]: row for row in found["checkpoints"]}
    assert list(rows) == ["start", "step 2", "step 10", "step 100", "best"]
    assert [row["step"] for row in rows.values()] == [0, *STEPS, None] or rows["best"]["step"] == 10
    assert rows["best"]["same_as"] == "step 10"
    assert rows["best"]["scores"] == rows["step 10"]["scores"]
    assert found["best_here"] == "step 10"
    assert found["columns"] == {"iou": "IoU", "dice": "Dice", "mae": "MAE", "boundary_accuracy": "boundary"}
    for row in rows.values():
        its = row["scores"]["iou"]
        assert its["low"] <= its["mean"] <= its["high"]
        assert its["mean"] == pytest.approx(np.mean([image["iou"] for image in row["per_image"].values()]))
    assert json.loads(files["json"].read_text()) == json.loads(run.checkpoint_scores.read_text())
    iou = f"{rows['step 2']['scores']['iou']['mean']:.4f}"
    assert re.search(rf"\| step 2 \| {iou} \| [\d.–]+ \| [\d.]+ \|", files["markdown"].read_text())
    assert re.search(rf"step 2 +│ {iou}", capsys.readouterr().out)
    for page in (files["out"], run.report):
        text = page.read_text(encoding="utf-8")
        assert iou in text
        assert "IoU is best at step 10" in text
        assert text.count("data:image/jpeg") >= 6 * (2 + 4)
        assert "optimizer steps" in text


def test_the_scores_are_those_of_finished_predictions(run: RunFolder, discs: Path, tmp_path: Path) -> None:
    found = compare_checkpoints(request(run, discs))
    row = next(row for row in found["checkpoints"] if row["name"] == "step 10")
    cutouts = infer(run.checkpoints / "step-00000010.safetensors", discs / "train" / "images", tmp_path / "cutouts")
    options: dict[str, Any] = {"size_hw": None, "gallery": None, "json_file": tmp_path / "s.json", "details": True}
    score_files(foreground, cutouts, discs / "train", **options)
    details = json.loads((tmp_path / "s.json").read_text())["details"]
    for name in found["columns"]:
        assert row["scores"][name] == pytest.approx(details[name])


def test_a_protocol_is_shown_beside_with_what_it_does_otherwise(run: RunFolder, discs: Path, tmp_path: Path) -> None:
    files = {"markdown": tmp_path / "t.md", "out": tmp_path / "page.html"}
    found = compare_checkpoints(request(run, discs, protocol="mediseg", **files))
    # By hand: 320 px, divided by 255 alone, the level of 0.4 as threshold of the probability 0.5.
    expected = []
    for path in sorted((discs / "train" / "images").iterdir()):
        photo, truth = (read_rgb(path), read_grey(discs / "train" / "masks" / path.name))
        resized, mask = (cv2.resize(pixels, (320, 320)) for pixels in (photo, truth))
        alpha = 1 / (1 + np.exp(-20 * (resized.mean(axis=2) / 255 - 0.4)))
        expected.append(dice(alpha, mask / 255))
    row = next(row for row in found["checkpoints"] if row["name"] == "step 10")
    assert list(row["other"]) == ["iou", "dice", "mae"]
    assert row["other"]["dice"]["mean"] == pytest.approx(np.mean(expected), abs=0.01)
    assert row["other"]["dice"]["mean"] != pytest.approx(row["scores"]["dice"]["mean"], abs=1e-4)
    for path in files.values():
        assert "without the mean" in path.read_text(encoding="utf-8")
    assert "Dice, mediseg" in files["markdown"].read_text()


def test_a_killed_call_keeps_what_was_scored(
    run: RunFolder, discs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scored: list[str] = []
    score = score_network

    def stop_at_the_third(name: str, *arguments: Any) -> Scored:
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(name)
        return score(name, *arguments)

    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        patch.setattr(compare, "score_network", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            compare_checkpoints(request(run, discs))
    assert "2 of 5 are scored; the same command continues" in caplog.text

    def go_on(name: str, *arguments: Any) -> Scored:
        scored.append(name)
        return score(name, *arguments)

    monkeypatch.setattr(compare, "score_network", go_on)
    compare_checkpoints(request(run, discs))
    assert scored == ["start", "step 2", "step 10", "step 100"]
    assert "2 of 5 are scored by an interrupted call, continuing" in caplog.text
    assert not list(run.path.glob("*.part"))
    compare_checkpoints(request(run, discs))
    assert len(scored) == 8, "a finished table is made anew"


def test_without_images_those_that_the_run_held_out_are_taken(run: RunFolder) -> None:
    found = compare_checkpoints(Request(run.path))
    assert found["images"] == 4
    assert "held out" in found["data"]


def test_a_task_of_hard_masks_is_compared_by_its_own_metric(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    monkeypatch.setattr("trainer.trained.build_model", tiny_network)
    folder = RunFolder(config.folder)
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text(dump(config), encoding="utf-8")
    for step in (1, 2):
        torch.manual_seed(step)
        tensors = tiny_network(config).state_dict()
        weights = Weights(tensors, hand_bone.classes, as_dict(config), 0, 0.0, "dice")
        save_weights(folder.checkpoints / f"step-{step:08d}.safetensors", weights)
    found = compare_checkpoints(Request(folder.path, Path(config.data.root) / "train"))
    assert found["columns"] == {"dice": "Dice"}
    assert [row["name"] for row in found["checkpoints"]] == ["step 1", "step 2"]
    assert len(list(folder.pictures.glob("checkpoints_*.jpg"))) == 6 * (2 + 2)
    with pytest.raises(UserError, match=r"task 'hand_bone' are no masks in a folder.*\(DCM/, outputs_json/\)"):
        compare_checkpoints(Request(folder.path, Path(config.data.root), Path(config.data.root)))
    with pytest.raises(UserError, match=r"task 'hand_bone' has no protocol 'mediseg'\. It has none"):
        compare_checkpoints(Request(folder.path, protocol="mediseg"))


def row_of(name: str, scores: dict[str, float], same_as: str | None = None) -> Scored:
    return Scored(name, 0, 0, name, {image: {"iou": score} for image, score in scores.items()}, None, same_as)


def test_the_sheet_goes_from_hard_to_easy_images_and_over_the_training() -> None:
    images = {f"i{number:02}": number / 20 for number in range(20)}
    rows = [row_of("start", images)]
    rows += [row_of(f"step {step}", {name: its / 2 for name, its in images.items()}) for step in range(1, 40)]
    better = {name: its + 1e-3 for name, its in images.items()}
    rows[17] = row_of("step 17", better)
    rows.append(row_of("best", rows[9].scores, same_as="step 9"))  # type: ignore[arg-type]
    assert choose_images(foreground, rows) == ["i00", "i04", "i08", "i11", "i15", "i19"]
    columns = choose_networks(foreground, rows)
    assert len(columns) == 6
    assert {"start", "step 9", "step 17", "step 39"} <= {*columns}
    assert columns == sorted(columns, key=[row.name for row in rows].index)
    assert choose_networks(foreground, rows[:3]) == ["start", "step 1", "step 2"]


def test_weights_that_began_the_run_and_have_gone_are_named(
    run: RunFolder, discs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "start.pth").unlink()
    found = compare_checkpoints(request(run, discs))
    assert found["checkpoints"][0]["name"] == "step 2"
    assert "start.pth: has gone, so the network that the run began with is not compared" in caplog.text


def without_weights(run: RunFolder) -> Path:
    shutil.rmtree(run.checkpoints)
    return run.path


FAULTS: dict[str, tuple[Callable[[RunFolder, Path], Sequence[object]], str]] = {
    "no run": (lambda run, discs: ["--run", discs], "no run here"),
    "no weights": (
        lambda run, discs: ["--run", without_weights(run)],
        r"this run has no weights yet\. Let it finish an epoch",
    ),
    "no images": (lambda run, discs: ["--run", run.path, "--images", discs / "none"], "no such file or folder"),
    "masks alone": (lambda run, discs: ["--run", run.path, "--masks", discs], "Name it with --images"),
    "no pairs": (
        lambda run, discs: ["--run", run.path, "--images", discs / "train/images", "--masks", run.path],
        "no image has a mask in",
    ),
    "unknown protocol": (
        lambda run, discs: ["--run", run.path, "--protocol", "medseg"],
        r"has no protocol 'medseg'\. Valid: mediseg",
    ),
    "output a folder": (lambda run, discs: ["--run", run.path, "--markdown", discs], "is a folder"),
    "output read": (lambda run, discs: ["--run", run.path, "--json", run.best_weights], "would be overwritten"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_is_refused(name: str, run: RunFolder, discs: Path) -> None:
    arguments, sentence = FAULTS[name]
    assert_refused(program.main, *arguments(run, discs), sentence=sentence)
    assert not run.checkpoint_scores.exists()


def test_a_damaged_table_is_named_by_the_report(run: RunFolder, discs: Path) -> None:
    compare_checkpoints(request(run, discs))
    found = json.loads(run.checkpoint_scores.read_text())
    del found["checkpoints"][0]["scores"]
    run.checkpoint_scores.write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"checkpoints\.json: is damaged \(KeyError\)\. Delete it"):
        write_report(run)


def test_a_sheet_whose_pictures_have_gone_is_left_out_of_the_report(run: RunFolder, discs: Path) -> None:
    compare_checkpoints(request(run, discs))
    next(run.pictures.glob("checkpoints_*.jpg")).unlink()
    text = write_report(run).read_text(encoding="utf-8")
    assert "Checkpoints" in text
    assert "Contact sheet" not in text
