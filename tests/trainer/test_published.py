"""Networks that others have published predict without a training, as their authors do, into a folder or one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inference
from models import MODELS
from models.pretrained.recognise import CHANNELS, CLASSES, RECOGNISED, recognise
from tests.bad_input.programs import assert_refused, call
from tests.onnx_files import write_onnx
from trainer.trained import read_description
from utils.arrays import Bytes
from utils.errors import UserError

AUTHORS = {
    "u2netp": (320, True, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "u2net": (320, True, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "isnet": (1024, False, 0.5, 1.0),
    "maskrcnn": ((800, 1333), False, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
WRITERS: dict[str, Callable[[nn.Module, Path], object]] = {
    "n.safetensors": lambda network, path: save_file(network.state_dict(), path),
    "n.pth": lambda network, path: torch.save({"model_state_dict": network.state_dict()}, path),
    "n.onnx": lambda network, path: write_onnx(path, network),
}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A network that has learned nothing, with such a bias that its alphas are neither all 0 nor all 255."""
    torch.manual_seed(0)
    return MODELS["u2netp"](CLASSES, CHANNELS).eval()


@pytest.fixture(scope="module")
def files(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for name, write in WRITERS.items():
        write(network, folder / name)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph of 64 px whose brightest value is not 255."""
    pixels = np.random.default_rng(0).integers(0, 180, (64, 64, 3)).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), pixels)
    return tmp_path / "photos" / "a.png"


def read(path: Path) -> Bytes:
    """The pixels of a file, blue first."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def by_hand(network: nn.Module, photo: Path) -> Bytes:
    """The alpha as the authors' own script computes it, but for the resizing: this photograph has the right size."""
    rgb = read(photo)[..., ::-1].astype(np.float64)
    planes = (rgb / rgb.max() - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.inference_mode():
        logits = network(torch.from_numpy(planes.transpose(2, 0, 1)[None]).float())
    return np.asarray(np.round(torch.sigmoid(logits)[0, 0].numpy() * 255), np.uint8)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_its_authors_predicts_as_they_do(
    name: str, network: nn.Module, files: Path, photo: Path, tmp_path: Path
) -> None:
    output = tmp_path / "cut.png"
    settings = ["transform.size_px=64", "predict.refine=plain"]
    ended = call(inference.main, "--run", files / name, "--images", photo, "--output", output, *settings)
    assert ended.code == 0, ended.told
    assert "u2netp, given images as its authors do" in ended.told
    cutout, expected = read(output), by_hand(network, photo)
    assert np.ptp(expected) > 2
    assert np.abs(cutout[..., 3].astype(int) - expected).max() <= 1
    assert (cutout[..., :3] == read(photo)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.png", "photos"]


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_published_network_is_recognised_and_given_images_as_by_its_authors(name: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        tensors = MODELS[name](CLASSES, CHANNELS).state_dict()
    # One number is stored for each tensor, so that the file of 44 million is small; the counts may be missing.
    stored = {key: torch.zeros(1).expand(its.shape) for key, its in tensors.items() if "num_batches" not in key}
    torch.save(stored, tmp_path / "n.pth")
    described = read_description(tmp_path / "n.pth", torch.device("cpu"))
    transform = described.config.transform
    assert described.config.model.name == name
    assert described.weights.tensors.keys() == tensors.keys()
    assert (transform.size_px, transform.divide_by_maximum, transform.mean, transform.std) == AUTHORS[name]
    assert transform.train == transform.evaluate == ()


def test_another_network_is_not_recognised(tmp_path: Path) -> None:
    torch.save(MODELS["u2netp"](2, CHANNELS).state_dict(), tmp_path / "two.pth")
    with pytest.raises(UserError, match=r"two\.pth: holds neither weights of a run nor a whole u2netp or .*Name a run"):
        recognise(tmp_path / "two.pth")


def test_damaged_numbers_are_named(network: nn.Module, tmp_path: Path) -> None:
    tensors = {**network.state_dict(), "outconv.bias": torch.tensor([torch.nan])}
    torch.save(tensors, tmp_path / "nan.pth")
    with pytest.raises(UserError, match=r"nan\.pth has values at 'outconv\.bias' that are no numbers"):
        recognise(tmp_path / "nan.pth")


OUTPUTS = {
    "cut.png": r"cut\.png: is one file, but there are 2 images\. Name a folder, or one image",
    "cut.jpg": r"cut\.jpg: is no folder, and .* written as \.png or \.webp.*or for one image a file such as cut\.png",
    "cut.csv": r"cut\.csv: is no folder, and .* written as \.png or \.webp",
    "file": r"file: is no folder, and .* written as \.png",
    "photos/cuts": r"photos/cuts: lies in the folder of the images, .*photos, so the next call .* a folder outside it",
    "photos": r"photos: lies in the folder of the images",
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_that_cannot_be_is_refused(output: str, files: Path, photo: Path, tmp_path: Path) -> None:
    shutil.copy(photo, photo.with_name("b.png"))
    (tmp_path / "file").touch()
    arguments = ["--run", files / "n.pth", "--images", photo.parent, "--output", tmp_path / output]
    assert_refused(inference.main, *arguments, sentence=OUTPUTS[output])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.png", "b.png", "file", "photos"]


OUTPUTS_OF_ONE = {
    "photos": r"photos/a\.png: is read as well, and would be overwritten",
    "photos/a.png": r"photos/a\.png: is read as well, and would be overwritten",
    "folder.png": r"folder\.png: is a folder with the name of a file",
    "file/cut.png": r"file: is a file, not a folder",
}


@pytest.mark.parametrize("output", OUTPUTS_OF_ONE)
def test_an_output_of_one_image_that_cannot_be_is_refused(
    output: str, files: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    before = photo.read_bytes()
    arguments = ["--run", files / "n.pth", "--images", photo, "--output", tmp_path / output]
    assert_refused(inference.main, *arguments, sentence=OUTPUTS_OF_ONE[output])
    assert photo.read_bytes() == before


def test_overlays_are_not_drawn_among_the_images(files: Path, photo: Path, tmp_path: Path) -> None:
    arguments = ["--run", files / "n.pth", "--images", photo.parent, "--output", tmp_path / "out"]
    assert_refused(
        inference.main, *arguments, "--gallery", photo.parent / "shown", sentence="lies in the folder of the images"
    )


def test_a_file_of_no_run_names_neither_images_nor_an_output(files: Path, photo: Path) -> None:
    assert_refused(inference.main, "--run", files / "n.pth", sentence=r"--images: .*n\.pth is of no run")
    arguments = ["--run", files / "n.pth", "--images", photo]
    assert_refused(inference.main, *arguments, sentence=r"Name the output with --output")
