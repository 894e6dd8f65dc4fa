from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.hand_bone.task import hand_bone
from data.masks.packed import unpack_planes
from data.polygons.layout import find_images
from data.sample import Sample
from models.precision import Format, Precision
from tests.networks import FirstOutput, ThreeOutputs
from trainer.prediction.decode import BitDecoder, probabilities
from trainer.prediction.predictor import Predictor, batched, decoding_threads
from trainer.prediction.transfer import PendingMask
from trainer.prediction.tta import AVERAGES, LOGITS, views
from trainer.prediction.windows import Windows
from transform import Normalisation, Pipeline
from utils.arrays import Bytes, Image, Size
from utils.processes import ProcessRanks


def level_of(index: int) -> float:
    """A brightness between two grey values."""
    return (20 * index + 0.5) / 255


class Thresholds(nn.Module):
    """Class c is where the image is brighter than its level; its logits are far from 0."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, image_B1HW: Tensor) -> Tensor:
        levels = torch.tensor([level_of(index) for index in range(self.classes)]).view(1, -1, 1, 1)
        return (image_B1HW - levels) * 100


def predictor(size_px: int | None, *, classes: int = 9, batch_size: int = 1, **changes: Any) -> Predictor:
    plain = Predictor(
        network=Thresholds(classes),
        transform=Pipeline(size_px=size_px),
        normalise=Normalisation(0.0, 1.0),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
        read_image=hand_bone.read_image,
        batch_size=batch_size,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_masks_come_in_order_at_native_size_whatever_the_batch(root: Path, batch_size: int) -> None:
    samples = find_images(root / "test" / "DCM")
    predicted = list(predictor(32, batch_size=batch_size).masks(samples))
    assert [sample for sample, _ in predicted] == samples
    alone = predictor(32)
    for sample, mask in predicted:
        assert mask.shape == (64, 64, 2)
        assert np.array_equal(mask, next(iter(alone.masks([sample])))[1])


def test_a_network_that_thresholds_gives_the_thresholded_image(root: Path) -> None:
    (sample, mask), *_ = predictor(None).masks(find_images(root / "test" / "DCM"))
    image = predictor(None).load(sample).views[0] / np.float32(255)
    expected = np.stack([image > level_of(index) for index in range(9)])
    assert np.array_equal(unpack_planes(mask, 9), expected)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_gpu_begins_the_next_images_before_a_mask_is_waited_for(
    batch_size: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same masks come, but of the next batch the network has been called when the first one is read."""
    samples = find_images(root / "test" / "DCM")
    seen: list[str] = []

    class Seen(Mixing):
        def forward(self, image_B1HW: Tensor) -> Tensor:
            seen.append("network")
            return super().forward(image_B1HW)

    class Late(BitDecoder):
        def start(self, *given: Any) -> PendingMask:
            mask = super().start(*given)

            def read() -> Bytes:
                seen.append("read")
                return mask()

            return read

    some = predictor(32, batch_size=batch_size, network=Seen(), decoder=Late())
    expected = [mask for _, mask in some.masks(samples)]
    assert seen[: batch_size + 1] == ["network", *["read"] * batch_size]
    seen.clear()
    monkeypatch.setattr(Predictor, "images_ahead", Predictor.images_at_once)
    found = list(some.masks(samples))
    assert [sample for sample, _ in found] == samples
    assert all(np.array_equal(mask, same) for (_, mask), same in zip(found, expected, strict=True))
    assert seen[:3] == ["network", "network", "read"]


def test_more_threads_decode_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    assert decoding_threads(torch.device("cpu")) == 2
    for cores, processes, threads in [(1, 1, 2), (6, 1, 6), (64, 1, 8), (16, 4, 4)]:
        monkeypatch.setattr("trainer.prediction.predictor.usable_cores", lambda cores=cores: cores)
        ranks = ProcessRanks(0, processes, 0, processes)
        monkeypatch.setattr("trainer.prediction.predictor.process_ranks", lambda ranks=ranks: ranks)
        assert decoding_threads(gpu) == threads


@pytest.mark.parametrize(
    ("device", "name", "arithmetic"),
    [("cpu", "fp16", "cpu fp16"), ("cuda", "fp32", "cuda fp32"), ("cuda", "bf16", "cuda bf16 folded")],
)
def test_a_network_is_copied_for_half_precision_on_a_gpu_alone(device: str, name: Format, arithmetic: str) -> None:
    some = predictor(32, device=torch.device(device), precision=Precision(name, device))
    assert some.arithmetic == arithmetic
    if not some.has_copy:
        assert some.accelerated() is some


@pytest.mark.parametrize(("step_px", "side_px"), [(1, 256), (32, 256), (48, 240), (512, 512)])
def test_a_copy_is_tried_on_an_image_of_a_size_that_the_network_takes(step_px: int, side_px: int) -> None:
    assert predictor(None, step_px=step_px).example().shape == (1, side_px, side_px)
    assert predictor(None, step_px=step_px, channels=3).example().shape == (1, side_px, side_px, 3)


def test_batches_hold_consecutive_items() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_masks_are_the_probabilities_above_the_threshold(root: Path) -> None:
    some = predictor(32)
    for prediction in some.predict(find_images(root / "test" / "DCM")):
        found = np.zeros((9, 64, 64), bool)
        for classes, planes in probabilities(prediction.logits_Chw, prediction.loaded.native_hw):
            found[classes] = (planes > 0.5).numpy()
        assert np.array_equal(unpack_planes(some.decode(prediction), 9), found)


class Mixing(nn.Module):
    """Looks about, as networks do: what it says of a pixel depends on those around it and on the batch's layout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 9, 5, padding=2))

    def forward(self, image_B1HW: Tensor) -> Tensor:
        logits: Tensor = self.layers(image_B1HW)
        return logits


@pytest.mark.parametrize("batch_size", [1, 3])
def test_one_window_over_the_image_gives_the_logits_of_no_window_bit_for_bit(root: Path, batch_size: int) -> None:
    samples = find_images(root / "test" / "DCM")
    whole = predictor(48, batch_size=batch_size, network=Mixing())
    parts = replace(whole, windows=Windows((48, 64), (8, 8)))
    for expected, found in zip(whole.predict(samples), parts.predict(samples), strict=True):
        assert torch.equal(found.logits_Chw, expected.logits_Chw)


def test_what_sees_pixels_alone_needs_no_more_than_windows(root: Path) -> None:
    samples = find_images(root / "test" / "DCM")
    whole, parts = predictor(48), predictor(48, batch_size=4, windows=Windows((32, 32), (16, 16)), average=LOGITS)
    assert (whole.images_at_once, parts.images_at_once) == (1, 1)
    for (_, expected), (_, found) in zip(whole.masks(samples), parts.masks(samples), strict=True):
        assert np.mean(found != expected) < 0.002


@pytest.mark.parametrize("average", AVERAGES)
def test_views_and_windows_together_lead_back_to_the_image(root: Path, average: str) -> None:
    """Logits that are the image, small enough that their probabilities lie on a straight line."""

    class Itself(nn.Module):
        def forward(self, image_B1HW: Tensor) -> Tensor:
            return image_B1HW.expand(-1, 9, -1, -1) / 10

    chosen: dict[str, Any] = {
        "network": Itself(),
        "views": views(hflip=True, scales=[1.5], rotations_deg=[5]),
        "windows": Windows((32, 32), (16, 16)),
        "average": AVERAGES[average],
        "step_px": 16,
    }
    sample = find_images(root / "test" / "DCM")[0]
    (found,) = predictor(48, batch_size=2, **chosen).predict([sample])
    (expected,) = predictor(48, network=Itself()).predict([sample])
    assert found.logits_Chw.shape == (9, 48, 48)
    assert (found.logits_Chw - expected.logits_Chw).abs().mean() < 0.002


def image_of(size_hw: Size) -> Image:
    """Grey values that rise from the upper left to the lower right."""
    rows, columns = (np.linspace(0, 127, side) for side in size_hw)
    return (rows[:, None] + columns).astype(np.uint8)


@pytest.mark.parametrize("size_hw", [(50, 128), (128, 50), (33, 70)])
def test_what_is_added_around_an_image_leaves_no_trace_in_its_mask(size_hw: Size) -> None:
    """A network that sees pixels alone gives what it gives for the image resized to its own part of the frame."""
    sample, image = Sample("a", "a", Path("a.png")), image_of(size_hw)
    padded = predictor(None, transform=Pipeline(size_px=64, pad=True), read_image=lambda _: image)
    (found,) = padded.predict([sample])
    assert found.frame_logits_Chw.shape == (9, 64, 64)
    assert found.loaded.place is not None
    own = predictor(None, transform=Pipeline(size_px=found.loaded.place.size_hw), read_image=lambda _: image)
    (expected,) = own.predict([sample])
    assert torch.equal(found.logits_Chw, expected.logits_Chw)
    assert np.array_equal(padded.decode(found), own.decode(expected))
    assert torch.equal(padded.logits_of(padded.look(sample, image)), expected.logits_Chw)


def test_views_of_a_padded_image_lead_back_to_it() -> None:
    sample, image = Sample("a", "a", Path("a.png")), image_of((60, 128))
    whole: dict[str, Any] = {"transform": Pipeline(size_px=64, pad=True), "read_image": lambda _: image}
    (expected,) = predictor(None, **whole).predict([sample])
    seen = views(hflip=True, scales=[0.75, 1.5])
    (found,) = predictor(None, views=seen, step_px=16, **whole).predict([sample])
    assert found.logits_Chw.shape == expected.logits_Chw.shape
    masks = [unpack_planes(predictor(None).decode(each), 9) for each in (found, expected)]
    assert np.mean(masks[0] != masks[1]) < 0.01


class Coarse(nn.Module):
    """Answers in a quarter of the rows and columns."""

    def forward(self, image_B1HW: Tensor) -> Tensor:
        return F.avg_pool2d(image_B1HW, 4).expand(-1, 9, -1, -1)


def test_the_own_part_of_a_coarse_answer_is_cut_out_at_the_networks_input() -> None:
    sample, image = Sample("a", "a", Path("a.png")), image_of((50, 128))
    coarse = predictor(None, network=Coarse(), transform=Pipeline(size_px=64, pad=True), read_image=lambda _: image)
    (found,) = coarse.predict([sample])
    assert found.frame_logits_Chw.shape == (9, 16, 16)
    assert found.logits_Chw.shape == (9, 25, 64)


def test_scaled_views_are_made_from_the_native_image(root: Path) -> None:
    """Not from one that has been made small already: the finer view shows more."""
    sample = find_images(root / "test" / "DCM")[0]
    fine = predictor(32, views=views(scales=[2.0])).load(sample).views[1]
    assert np.array_equal(fine, predictor(None).load(sample).views[0])


@pytest.mark.parametrize("windows", [None, Windows((32, 32), (16, 16))], ids=["whole", "windows"])
def test_the_first_of_several_outputs_is_predicted(windows: Windows | None, root: Path) -> None:
    torch.manual_seed(0)
    network = ThreeOutputs(9).eval()
    seen: dict[str, Any] = {
        "views": views(hflip=True, scales=(0.5,), rotations_deg=(10,)),
        "windows": windows,
        "batch_size": 2,
    }
    samples = find_images(root / "test" / "DCM")
    several, alone = (
        [mask for _, mask in predictor(64, network=each, **seen).masks(samples)]
        for each in (network, FirstOutput(network))
    )
    assert any(mask.any() for mask in several)
    assert all(np.array_equal(mask, same) for mask, same in zip(several, alone, strict=True))
