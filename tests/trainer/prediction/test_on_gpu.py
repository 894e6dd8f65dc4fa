"""On a GPU masks are those of a CPU, whatever is copied beside its work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.hand_bone.task import hand_bone
from data.masks.packed import unpack_planes
from data.sample import Sample
from models.inference.cuda_graph import ReplayedNetwork
from models.precision import Format, Precision
from models.smp import segmentation_model
from tests.models.inference.test_fold_norms import trained
from trainer.prediction.binarize import binarize
from trainer.prediction.decode import AlphaDecoder, BitDecoder
from trainer.prediction.predictor import Loaded, Predictor
from trainer.prediction.transfer import start_copy, to_device
from trainer.prediction.windows import Windows, sliding_window
from transform import Normalisation, Pipeline

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU.")
CLASSES = 29


def blobs(seed: int, side_px: int = 96) -> Tensor:
    """Smooth logits float32[C, h, w], as networks give."""
    noise = torch.randn((1, CLASSES, 6, 6), generator=torch.Generator().manual_seed(seed))
    smooth: Tensor = F.interpolate(noise, (side_px, side_px), mode="bicubic")[0] * 4
    return smooth


def share_of_equal(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(unpack_planes(one, CLASSES) == unpack_planes(other, CLASSES)))


def test_masks_are_those_of_a_cpu() -> None:
    logits = blobs(0)
    found = binarize(logits.cuda(), (301, 256), 0.4)
    assert share_of_equal(found, binarize(logits, (301, 256), 0.4)) > 0.99999


def test_a_copy_is_of_what_was_queued_before_it() -> None:
    """The memory of a tensor that is gone is used again at once; its copy must not see that."""
    device, waits = torch.device("cuda", torch.cuda.current_device()), []
    arrays = [np.full((512, 512, 4), number, np.uint8) for number in range(20)]
    for array in arrays:
        tensor = to_device(array, device)
        for _ in range(20):
            tensor = tensor + 1
        waits.append(start_copy(tensor - 20))
        del tensor
    assert all(np.array_equal(wait(), array) for wait, array in zip(waits, arrays, strict=True))


def test_means_of_networks_are_those_of_a_cpu() -> None:
    logits, half = [blobs(1), blobs(2, 64)], np.full(CLASSES, 0.5, np.float32)
    on_gpu = [each.cuda() for each in logits]
    expected = BitDecoder().start_of_members(logits, [half, half], (120, 110))()
    assert share_of_equal(BitDecoder().start_of_members(on_gpu, [half, half], (120, 110))(), expected) > 0.99999
    one = AlphaDecoder().start_of_members([each[:1] for each in logits], [half[:1]] * 2, (120, 110))()
    other = AlphaDecoder().start_of_members([each[:1] for each in on_gpu], [half[:1]] * 2, (120, 110))()
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_the_copy_of_a_network_predicts_as_the_network(name: Format) -> None:
    torch.manual_seed(0)
    network = trained(segmentation_model("unet", CLASSES, 1, encoder="tu-hrnet_w18_small")).cuda()
    gpu = torch.device("cuda", torch.cuda.current_device())
    usual = Predictor(network, Pipeline(), Normalisation(0.5, 0.2), Precision(name, "cuda"), gpu, hand_bone.read_image)
    copied = replace(usual, step_px=32).accelerated()
    assert copied.network is not network
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in copied.network.modules())
    image = np.random.default_rng(0).integers(0, 256, (128, 160), np.uint8)
    loaded = Loaded(Sample("a", "a", Path("a.png")), (image,), (128, 160))
    exact = replace(usual, precision=Precision("fp32", "cuda")).logits([loaded])
    errors = [(each.logits([loaded]).float() - exact).abs().mean() for each in (copied, usual)]
    assert errors[0] < 1.5 * errors[1]


def test_a_recorded_network_predicts_as_the_network() -> None:
    torch.manual_seed(0)
    network = trained(segmentation_model("unet", CLASSES, 1, encoder="tu-hrnet_w18_small")).cuda()
    recorded = ReplayedNetwork(network)
    with torch.inference_mode():
        for seed in range(8):
            images = torch.rand(1, 1, 96, 128, generator=torch.Generator().manual_seed(seed)).cuda()
            with Precision("fp16", "cuda").autocast():
                found, expected = recorded(images), network(images)
            torch.testing.assert_close(found, expected, rtol=0, atol=float(1e-2 * expected.abs().max()))
    assert len(recorded.replays) == 1


class Waiting(nn.Module):
    """It asks the GPU for a number, which no graph can hold."""

    def forward(self, images: Tensor) -> Tensor:
        return images * float(images.amax())


def test_what_waits_for_the_gpu_is_computed_as_usual() -> None:
    recorded = ReplayedNetwork(Waiting())
    with torch.inference_mode():
        for seed in range(8):
            images = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).cuda()
            assert torch.equal(recorded(images), Waiting()(images))
    assert not recorded.replays


def test_windows_are_blended_as_on_a_cpu() -> None:
    def answer(images: Tensor) -> Tensor:
        return torch.stack([images.float(), -images.float()], 1).contiguous(memory_format=torch.channels_last)

    images = torch.randint(0, 256, (1, 64, 64), dtype=torch.uint8)
    windows = Windows((32, 32), (16, 16))
    blended = sliding_window(answer, images.cuda(), windows, 2)
    torch.testing.assert_close(blended.cpu(), sliding_window(answer, images, windows, 2), rtol=1e-5, atol=1e-4)
