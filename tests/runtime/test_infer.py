"""`inference.py --run FILE.onnx` writes what a run would, and loads no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import inference
from models.pretrained.recognise import recognise
from runtime.infer import infer_onnx
from tests.root import ROOT
from tests.runtime.networks import small_for, write_described
from tests.runtime.test_predictor import photo
from utils.errors import UserError

CODE = """
import sys, inference
sys.argv = ["inference.py", *{arguments!r}]
inference.main()
heavy = ("torch", "numba", "sklearn", "pandas", "matplotlib", "services", "rich")
print([name for name in heavy if name in sys.modules])
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_described(tmp_path / "a.onnx", small_for("foreground"), "foreground")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), photo(number)[..., ::-1])
    return folder


def test_the_command_writes_cut_outs_and_loads_neither_torch_nor_numba(
    model: Path, images: Path, tmp_path: Path
) -> None:
    arguments = ["--run", str(model), "--images", str(images), "--output", str(tmp_path / "out"), "predict.refine=soft"]
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(arguments=arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
    expected = infer_onnx(model, images, tmp_path / "again", overrides=["predict.refine=soft"])
    for number in range(2):
        written = cv2.imread(str(tmp_path / "out" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        assert written is not None
        assert written.shape == (90, 131, 4)
        np.testing.assert_array_equal(written, cv2.imread(str(expected / f"{number}.png"), cv2.IMREAD_UNCHANGED))


def test_what_is_missing_is_named(model: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--images: .*a\.onnx is of no run, so it names none"):
        infer_onnx(model, None, tmp_path / "out")
    with pytest.raises(UserError, match=r"--output: .*a\.onnx is a file, so there is no run folder"):
        infer_onnx(model, images, None)
    with pytest.raises(UserError, match="--threshold: the masks of task 'foreground' are soft"):
        infer_onnx(model, images, tmp_path / "out", threshold="0.4")
    with pytest.raises(UserError, match="lies in the folder of the images"):
        infer_onnx(model, images, images / "out")


def test_bones_become_rows_of_a_csv(images: Path, tmp_path: Path) -> None:
    model = write_described(tmp_path / "b.onnx", small_for("hand_bone"), "hand_bone")
    person = images / "ID001"
    person.mkdir()
    for number in range(2):
        (images / f"{number}.png").unlink()
        cv2.imwrite(str(person / f"image{number}.png"), photo(number)[..., 0])
    written = infer_onnx(model, images, tmp_path / "rows.csv", threshold="0.4")
    assert written.read_text().splitlines()[0] == "image_name,class,rle"
    assert len(written.read_text().splitlines()) == 1 + 2 * 29


def test_a_network_of_ours_is_not_converted_to_torch(model: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be converted to torch, which --gallery, .* need: .* Leave these out"):
        recognise(model)


def test_a_network_is_named_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["inference.py", "--model", "a.onnx", "--run", "runs/b"])
    with pytest.raises(SystemExit):
        inference.main()
    assert "--run and --model are one option; give it once" in capsys.readouterr().err
