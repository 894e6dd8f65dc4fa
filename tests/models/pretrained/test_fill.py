"""A file fills a whole network or is refused in one sentence: safetensors, torch's files and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import MODELS
from models.pretrained.files import read_tensors
from models.pretrained.fill import fill_network
from models.pretrained.folding import ImageNetwork, has_folded_norms
from models.rsu import Rsu
from models.u2net import U2Net
from tests.onnx_files import write_onnx
from utils.errors import UserError

NARROW = ((4, 8),) * 11


def narrow(channels: int = 3, classes: int = 1) -> U2Net:
    return U2Net(classes, channels, NARROW)


class Block(ImageNetwork):
    """One block of such a network."""

    channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.block = Rsu(4, 3, 4, 8)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        output: Tensor = self.block(images_BCHW)
        return output


def trained(seed: int = 0) -> U2Net:
    """A network whose batch normalisations have statistics, as after training."""
    torch.manual_seed(seed)
    network = narrow()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for tensor in (layer.weight, layer.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (layer.bias, layer.running_mean):
                nn.init.uniform_(tensor, -0.2, 0.2)
    return network.eval()


def images(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, 47, 66, generator=torch.Generator().manual_seed(1))


SAVES: dict[str, Callable[[dict[str, Tensor], Path], None]] = {
    "a.safetensors": lambda tensors, path: save_file(tensors, path),
    "a.pth": lambda tensors, path: torch.save(tensors, path),
    "nested.pth": lambda tensors, path: torch.save({"epoch": 3, "model_state_dict": tensors}, path),
    "parallel.pth": lambda tensors, path: torch.save({f"module.{k}": v for k, v in tensors.items()}, path),
}


@pytest.mark.parametrize("name", SAVES)
def test_a_file_of_all_tensors_fills_the_network(name: str, tmp_path: Path) -> None:
    source = trained()
    SAVES[name](source.state_dict(), tmp_path / name)
    network = fill_network(narrow(), str(tmp_path / name), "u2netp").eval()
    assert torch.equal(network(images()), source(images()))
    assert not has_folded_norms(network)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("onnx") / "a.onnx", trained())


def test_an_onnx_file_with_folded_norms_gives_the_same_logits(onnx_file: Path) -> None:
    network = fill_network(narrow(), str(onnx_file), "u2netp").eval()
    torch.testing.assert_close(network(images()), trained()(images()), rtol=1e-5, atol=1e-5)
    assert has_folded_norms(network)
    assert not has_folded_norms(trained())
    assert not has_folded_norms(narrow()), "fresh norms are no folded ones"


def test_an_onnx_file_with_the_networks_names_is_read_by_them(tmp_path: Path) -> None:
    """Without folding, the file holds each tensor under its own name."""
    from torch.onnx import TrainingMode

    source, network = Block(), Block()
    write_onnx(tmp_path / "a.onnx", source, training=TrainingMode.TRAINING)
    fill_network(network, str(tmp_path / "a.onnx"), "block")
    assert torch.equal(network.eval()(images()), source.eval()(images()))


def test_weights_for_colour_images_fit_grey_ones(tmp_path: Path) -> None:
    torch.save(trained().state_dict(), tmp_path / "a.pth")
    network = fill_network(narrow(channels=1), str(tmp_path / "a.pth"), "u2netp").eval()
    grey = images(channels=1)
    torch.testing.assert_close(network(grey), trained()(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["u2net", "u2netp", "isnet", "isnet_gt"])
def test_absent_weights_are_an_error_and_never_random_ones(name: str, tmp_path: Path) -> None:
    expected = r"weights: .*gone.pth is not there; give an existing file, such as `python -m models.fetch` writes, or"
    with torch.device("meta"), pytest.raises(UserError, match=expected):
        MODELS[name](1, 3, weights=str(tmp_path / "gone.pth"))
    with torch.device("meta"), pytest.raises(UserError, match=r"weights: .* is a folder; give"):
        MODELS[name](1, 3, weights=str(tmp_path))


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("side3.bias"), r"lacks 1 of the 798 tensors of u2netp, 'side3.bias' for one; it needs a file of this"),
        (lambda own: {**own, "fc.weight": torch.ones(1)}, "holds 1 tensors that u2netp does not have, 'fc.weight' for"),
        (
            lambda own: {**own, "side1.weight": torch.ones(2, 8, 3, 3)},
            r"has the shape \[2, 8, 3, 3\] at 'side1.weight', but u2netp needs \[1, 8, 3, 3\]; .* as many classes",
        ),
        (lambda own: {**own, "side1.bias": torch.tensor([torch.nan])}, "has values at 'side1.bias' that are no"),
        (lambda own: [own], r"cannot be read as tensors \(AttributeError\); whole pickled models are not opened"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(change: Any, words: str, tmp_path: Path) -> None:
    torch.save(change(narrow().state_dict()), tmp_path / "a.pth")
    with pytest.raises(UserError, match=rf"weights: .*a.pth {words}") as caught:
        fill_network(narrow(), str(tmp_path / "a.pth"), "u2netp")
    assert "\n" not in str(caught.value)


def test_damaged_onnx_files_are_refused_in_one_sentence(onnx_file: Path, tmp_path: Path) -> None:
    whole = onnx_file.read_bytes()
    for number, damaged in enumerate([b"", b"no file", whole[: len(whole) // 2], b"\xff" * 64, whole[1:]]):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"weights: .*{number}\.onnx cannot be read as ONNX; it needs"):
            fill_network(narrow(), str(path), "u2netp")


def test_an_onnx_file_of_another_network_is_refused(onnx_file: Path, tmp_path: Path) -> None:
    write_onnx(tmp_path / "other.onnx", nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    with pytest.raises(UserError, match="has 1 convolutions, but the network has 119; it needs a file of this network"):
        fill_network(narrow(), str(tmp_path / "other.onnx"), "u2netp")
    with pytest.raises(UserError, match=r"has the shape .* at 'stage1.rebnconvin.conv_s1.weight', but u2netp needs"):
        MODELS["u2netp"](1, 3, weights=str(onnx_file))


@pytest.mark.parametrize("place", ["checksum", "folder"])
def test_a_damaged_file_of_torch_is_refused(place: str, tmp_path: Path) -> None:
    """torch itself would read other values, and say nothing."""
    path = tmp_path / "u2netp.pth"
    torch.save({"weight": torch.arange(64.0)}, path)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"/data/0"))
    if place == "folder":
        content[entry + 38] |= 0x10
    else:
        content[content.index(torch.arange(64.0).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as tensors"):
        read_tensors(path, "model.weights")
