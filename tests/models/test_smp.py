from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from loss.base import list_of
from models import MODELS, check_input_size, input_step_px
from models.encoders import check_encoder, encoder_names
from models.outputs import prediction_of
from models.smp import ARCHITECTURES
from utils.config.component import params_of
from utils.errors import UserError

SMP = sorted({*ARCHITECTURES, "dpt"})
SMALL = {"dpt": "tu-vit_tiny_patch16_224"}
ENCODERS = {1: "resnet18", 3: "tu-test_resnet"}
"""One of segmentation-models-pytorch and one of timm, so that each architecture is built with both kinds."""
# PAN pools an image of 1/16 three times.
SIDE_PX = {"pan": 128}


def network(name: str, classes: int, channels: int = 1, **parameters: Any) -> Any:
    return MODELS[name](classes, channels, **parameters)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "maskrcnn"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_architecture_gives_logits_and_gradients(name: str, channels: int) -> None:
    side = SIDE_PX.get(name, 64)
    """Of all that can be trained here."""
    model = network(name, 3, channels, **({"encoder": SMALL.get(name, ENCODERS[channels])} if name in SMP else {}))
    outputs = model(torch.randn(2, channels, side, side))
    torch.stack([output.square().mean() for output in list_of(outputs)]).sum().backward()
    logits = prediction_of(outputs)
    assert logits.shape == (2, 3, side, side)
    assert (logits < 0).any()
    assert next(model.parameters()).grad is not None
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_dpt_takes_any_size() -> None:
    model = network("dpt", 2, encoder="tu-vit_tiny_patch16_224")
    assert input_step_px(model) == 32
    assert model(torch.randn(1, 1, 64, 96)).shape == (1, 2, 64, 96)


def test_contest_recipe_builds() -> None:
    with torch.device("meta"):
        model = network("unetplusplus", 29, encoder="tu-hrnet_w48")
    assert model.encoder.out_channels == [1, 64, 128, 256, 512, 1024]
    assert sum(p.numel() for p in model.parameters()) > 60_000_000


def test_every_listed_encoder_is_accepted() -> None:
    names = encoder_names()
    assert len(names) > 1000
    assert {"resnet34", "tu-hrnet_w48", "timm-tf_efficientnet_lite0", "mit_b5"} <= set(names)
    for name in names:
        check_encoder(name)


@pytest.mark.parametrize("name", ["tu-resnet18.a1_in1k", "timm-mobilenetv3_large_100", "timm-regnetx_002"])
def test_other_spellings_of_encoders_are_accepted(name: str) -> None:
    check_encoder(name)


def test_unknown_encoder_names_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"'restnet34' is not an encoder. Did you mean 'resnet34' or .* python -m models"
    ):
        network("unet", 2, encoder="restnet34")


def test_unknown_decoder_key_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"decoder.decoder_chanels: unknown key. Did you mean 'decoder_channels'\?"):
        network("unet", 2, encoder="resnet18", decoder={"decoder_chanels": [8] * 5})


def test_decoder_keys_reach_the_architecture() -> None:
    model = network("unet", 2, encoder="resnet18", encoder_depth=3, decoder={"decoder_channels": [24, 16, 8]})
    assert model.segmentation_head[0].in_channels == 8


def test_encoder_options_reach_timm() -> None:
    options = {"strict_img_size": False}
    model = network("fpn", 2, encoder="tu-swin_tiny_patch4_window7_224", encoder_options=options)
    check_input_size(model, (1, 256, 256))
    with pytest.raises(UserError, match="only timm's encoders"):
        network("unet", 2, encoder="resnet18", encoder_options=options)


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        ("dpt", {"encoder": "resnet18"}),
        ("dpt", {"encoder": "tu-resnet18"}),
        ("unetplusplus", {"encoder": "mit_b0"}),
        ("deeplabv3", {"encoder": "vgg11"}),
        ("pan", {"encoder": "tu-convnext_atto", "decoder": {"encoder_output_stride": 7}}),
        ("unet", {"encoder": "resnet18", "encoder_depth": 4}),
        ("unet", {"encoder": "resnet18", "encoder_depth": 9}),
        ("unet", {"encoder": "tu-resnet18", "encoder_options": {"drop_patch": 0.1}}),
        ("fpn", {"encoder": "resnet18", "decoder": {"decoder_merge_policy": "mean"}}),
    ],
)
def test_refused_combinations_are_one_sentence(architecture: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(
        UserError, match=r"^encoder '.*' and these options do not go together: .*; choose .*\.$"
    ) as caught:
        network(architecture, 2, **parameters)
    assert "\n" not in str(caught.value)


def test_input_sizes_that_do_not_fit_name_one_that_does() -> None:
    model = network("fpn", 2, encoder="resnet18")
    assert input_step_px(model) == 32
    check_input_size(model, (1, 2048, 1536))
    with pytest.raises(UserError, match=r"multiples of 32 px, but its input has 500 x 512; .*size_px to 512 x 512"):
        check_input_size(model, (1, 500, 512))


def test_input_sizes_that_an_encoder_refuses_are_found() -> None:
    model = network("fpn", 2, encoder="tu-swin_tiny_patch4_window7_224")
    with pytest.raises(UserError, match="cannot take images of 256 x 256 px"):
        check_input_size(model, (1, 256, 256))


def test_a_size_that_is_refused_is_one_sentence_without_a_trace_of_torch(capfd: pytest.CaptureFixture[str]) -> None:
    model = network("pan", 2, encoder="tu-mobilenetv3_small_050")
    with pytest.raises(UserError, match=r"cannot take images of 64 x 64 px: .* Output size is too small; change"):
        check_input_size(model, (1, 64, 64))
    assert capfd.readouterr().err == ""


def test_a_size_is_checked_with_as_many_channels_as_images_have() -> None:
    model = network("unet", 2, 3, encoder="resnet18")
    check_input_size(model, (3, 64, 64), classes=2)
    with pytest.raises(UserError, match="cannot take images of 64 x 64 px"):
        check_input_size(model, (1, 64, 64))


def test_checking_a_size_leaves_the_network_as_it_was(grey_B1HW: Tensor) -> None:
    model = network("unet", 2, encoder="resnet18")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    check_input_size(model, (1, 128, 128))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["unet", "unetplusplus", "fpn", "segformer"])
def test_channels_last_gives_the_same_logits(name: str, grey_B1HW: Tensor) -> None:
    model = network(name, 3, encoder="resnet18").eval()
    expected = model(grey_B1HW)
    found = model.to(memory_format=torch.channels_last)(grey_B1HW.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SMP)
def test_signatures_are_schemas(name: str) -> None:
    params = params_of(MODELS[name]).model_validate({"encoder_depth": 3, "decoder": {"decoder_channels": [8, 8, 8]}})
    assert set(dict(params)) == {
        "encoder", "encoder_weights", "encoder_depth", "encoder_options", "decoder", "weights",
        "checkpoint_gradients",
    }  # fmt: skip
    assert params_of(MODELS[name])().model_dump()["encoder_weights"] is None


def test_a_network_begins_with_the_weights_of_a_run(tmp_path: Path) -> None:
    small = {"encoder": "resnet18", "encoder_depth": 3, "decoder": {"decoder_channels": [16, 8, 8]}}
    first = network("unet", 3, 1, **small)
    file = tmp_path / "best.safetensors"
    save_file(
        {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in first.state_dict().items()},
        file,
    )
    second = network("unet", 3, 1, weights=str(file), **small)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor.half().to(tensor.dtype))


def test_weights_of_a_whole_network_are_refused_in_one_sentence(tmp_path: Path) -> None:
    small = {"encoder": "resnet18", "encoder_depth": 3, "decoder": {"decoder_channels": [16, 8, 8]}}
    file = tmp_path / "best.safetensors"
    save_file(network("unet", 3, 1, **small).state_dict(), file)
    with pytest.raises(UserError, match=r"has the shape \[3.*with as many classes and channels"):
        network("unet", 4, 1, weights=str(file), **small)
    with pytest.raises(UserError, match=r"holds the encoder too, but encoder_weights is 'lite0'"):
        network("unet", 3, 1, weights=str(file), encoder="timm-tf_efficientnet_lite0", encoder_weights="lite0")
    with pytest.raises(UserError, match=r"weights: .*absent\.safetensors is not there"):
        network("unet", 3, 1, weights=str(tmp_path / "absent.safetensors"), **small)
