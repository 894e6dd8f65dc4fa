"""An exported file predicts what its run does, says what it is, and appears only if it is proven equal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

import carpus
import export
from configs.schema import Config
from data.masks import rle
from data.tasks import TASKS
from runtime.model.metadata import metadata_from
from tests.root import ROOT
from tests.trainer.export.conftest import Smooth, config_of_pills, write_run
from trainer.export.export import Request, export_network
from trainer.export.graph import Probability
from trainer.inference import infer
from utils.errors import UserError

PREDICT = """
import sys, inference
sys.argv = ["inference.py", *{arguments!r}]
inference.main()
print([name for name in ("torch", "trainer.export", "onnx") if name in sys.modules])
"""


def properties_of(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_the_options_of_the_program_are_what_an_export_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export.py", "--run", "a", "--output", "b.onnx"])
    assert vars(export.parse()).keys() == {field.name for field in fields(Request)}


def test_a_file_says_what_it_is(exported_pills: Path) -> None:
    model = onnx.load(exported_pills)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    (image,), (output,) = model.graph.input, model.graph.output
    assert [one.dim_param or one.dim_value for one in image.type.tensor_type.shape.dim] == ["N", 3, "H", "W"]
    assert [one.dim_param or one.dim_value for one in output.type.tensor_type.shape.dim] == ["N", 1, "H", "W"]
    about = metadata_from(properties_of(exported_pills))
    assert about is not None
    assert (about.task, about.run, about.output, about.score) == ("foreground", "pills", "probability", {"iou": 0.25})
    assert about.transform["divide_by_maximum"] is True
    assert about.transform["mean"] == [0.485, 0.456, 0.406]
    assert about.licence == "CC0-1.0 (pills); Apache-2.0 (u2netp.safetensors)"
    assert about.attributions == ("the painter", "the authors")


def test_the_card_names_sources_scores_proof_and_limits(exported_pills: Path) -> None:
    card = exported_pills.with_suffix(".md").read_text()
    for part in (
        "| u2netp.safetensors | Apache-2.0 | the authors | a \\| b |",
        "| glass | CC BY 4.0 | nobody | not used: labels are too coarse |",
        "after 120 optimizer steps",
        "| iou, when the network was chosen | 0.2500 |",
        "over batches of 1 x 64 x 64, 3 x 64 x 64, 2 x 49 x 41",
        "- Predict.tta: an ONNX file predicts each image in one view, not in several as the run does.",
        "3 images that the run held out",
    ):
        assert part in card


def test_the_csv_of_bones_is_that_of_the_run_without_torch(
    bones: Path, exported_bones: Path, root: Path, tmp_path: Path
) -> None:
    images, output = root / "test" / "DCM", tmp_path / "file.csv"
    arguments = ["--model", str(exported_bones), "--images", str(images), "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT.format(arguments=arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
    read = TASKS["hand_bone"].output.read
    ours, theirs = read(infer(bones, images, tmp_path / "run.csv")), read(output)
    assert ours.names == theirs.names
    pairs = [pair for name in ours.names for pair in zip(ours.runs[name], theirs.runs[name], strict=True)]
    differing = sum(rle.area(a) + rle.area(b) - 2 * rle.intersection(a, b) for a, b in pairs)
    assert differing <= 1e-4 * sum(rle.area(a) for a, _ in pairs)  # ties: a logit within rounding of the threshold


def test_pictures_differ_by_one_grey_level_at_most(pill_set: Path, pills: Path, exported_pills: Path) -> None:
    photo = next((pill_set / "train" / "images").iterdir())
    by_file, by_run = carpus.load(exported_pills), carpus.load(pills, settings=["predict.tta.hflip=false"])
    ours, theirs = by_run.cutout(photo).alpha, by_file.cutout(photo).alpha
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert 0.02 < (ours > 127).mean() < 0.98


def test_bones_of_the_library_are_those_of_the_run(bones: Path, exported_bones: Path, root: Path) -> None:
    image = next((root / "test" / "DCM").rglob("*.png"))
    ours, theirs = carpus.load(bones).predict(image), carpus.load(exported_bones).predict(image)
    assert (ours.packed != theirs.packed).mean() < 1e-3
    assert any(mask.any() for mask in ours.masks.values())


@pytest.mark.usefixtures("small_networks")
def test_a_network_that_is_too_different_is_refused_and_the_file_before_it_stays(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(Probability):
        """Computes what the network does, a thousandth off."""

        def forward(self, images_BCHW: Tensor) -> Tensor:
            logits: Tensor = self.network(images_BCHW)
            return logits.mul(1.001).sigmoid()

    monkeypatch.setattr("trainer.export.graph.Probability", Other)
    output = tmp_path / "a.onnx"
    output.write_bytes(b"the one before")
    with pytest.raises(
        UserError, match=r"a\.onnx: not written, because .* than that of torch: its graph differs by more"
    ):
        export_network(Request(small, output))
    assert output.read_bytes() == b"the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.usefixtures("small_networks")
def test_a_network_that_gives_no_numbers_is_refused(pill_set: Path, tmp_path: Path) -> None:
    def spoilt(_: Config) -> nn.Module:
        network = Smooth()
        nn.init.constant_(network.head.weight, float("nan"))
        return network

    run = write_run(config_of_pills(pill_set, tmp_path / "runs"), spoilt).path
    with pytest.raises(UserError, match=r"a\.onnx: not written, .* gives values that are no numbers"):
        export_network(Request(run, tmp_path / "a.onnx"))
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.usefixtures("small_networks")
def test_without_the_images_of_its_run_a_file_is_proven_on_rendered_ones(pill_set: Path, tmp_path: Path) -> None:
    run = write_run(config_of_pills(tmp_path / "gone", tmp_path / "runs"), lambda _: Smooth()).path
    card = export_network(Request(run, tmp_path / "a.onnx")).with_suffix(".md").read_text()
    assert "6 images that are rendered" in card
    assert "They say that the file equals the network, not how good it is." in card


def test_weights_of_a_newer_version_are_refused_in_a_sentence(tmp_path: Path) -> None:
    weights = tmp_path / "best.safetensors"
    weights.write_bytes(save({"a": torch.zeros(1)}, {"format": "carpus-weights-2", "carpus": "{}"}))
    with pytest.raises(UserError, match=r"best\.safetensors: was written by another version .* \(carpus-weights-2"):
        export_network(Request(weights, tmp_path / "a.onnx"))
