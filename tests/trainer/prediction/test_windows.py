from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from trainer.prediction.windows import Mean, Windows, sliding_window

FRAMES = [((64, 64), (32, 32), (16, 16)), ((50, 70), (32, 48), (20, 48)), ((33, 40), (32, 32), (1, 32))]


def itself(images_Nhw: Tensor) -> Tensor:
    """A network that answers with its input, for two classes."""
    return torch.stack([images_Nhw.float(), -images_Nhw.float()], dim=1)


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("frame", "size", "stride"), FRAMES)
def test_windows_lie_inside_and_cover_everything_at_most_a_stride_apart(
    frame: tuple[int, int], size: tuple[int, int], stride: tuple[int, int]
) -> None:
    windows = Windows(size, stride)
    covered = torch.zeros(frame)
    for top, left in windows.places(frame):
        part = covered[top : top + size[0], left : left + size[1]]
        assert part.shape == size
        part += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({place[axis] for place in windows.places(frame)})
        assert (starts[0], starts[-1]) == (0, frame[axis] - size[axis])
        assert all(after - before <= stride[axis] for before, after in pairwise(starts))


@pytest.mark.parametrize("sigma", [0.125, 0.02, None])
@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(("frame", "size", "stride"), FRAMES)
def test_a_network_that_answers_its_input_gives_the_image(
    frame: tuple[int, int], size: tuple[int, int], stride: tuple[int, int], at_once: int, sigma: float | None
) -> None:
    images = noise(2, *frame)
    blended = sliding_window(itself, images, Windows(size, stride, sigma), at_once)
    torch.testing.assert_close(blended, itself(images), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [(24, 20), (48, 20), (999, 999)])
def test_one_window_over_the_image_is_the_whole_image_bit_for_bit(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 3, 5, padding=2)

    def answer(images_Nhw: Tensor) -> Tensor:
        logits: Tensor = network(images_Nhw[:, None].float())
        return logits

    images = noise(3, 24, 20)
    assert torch.equal(sliding_window(answer, images, Windows(size, (8, 8)), 1), answer(images))


def test_windows_share_batches_of_the_size_that_is_asked_for() -> None:
    batches: list[int] = []

    def answer(images_Nhw: Tensor) -> Tensor:
        batches.append(len(images_Nhw))
        return itself(images_Nhw)

    sliding_window(answer, noise(1, 64, 64), Windows((32, 32), (16, 16)), 4)
    assert batches == [4, 4, 1]


def test_a_pixel_follows_the_window_in_whose_middle_it_lies() -> None:
    """Two windows that say 0 and 1: half-way between their middles they count alike, at a middle one rules."""
    answers = iter([torch.zeros(1, 1, 1, 32), torch.ones(1, 1, 1, 32)])
    blended = sliding_window(lambda _: next(answers), noise(1, 1, 48), Windows((1, 32), (1, 16)), 1)[0, 0, 0]
    assert blended[:16].max() == 0
    assert blended[32:].min() == 1
    assert blended[23] + blended[24] == pytest.approx(1)
    assert blended[18] < 0.01
    assert (blended.diff() >= 0).all()


def test_answers_at_a_lower_resolution_are_brought_to_the_window() -> None:
    blended = sliding_window(
        lambda images: torch.full((len(images), 2, 8, 8), 3.0), noise(1, 48, 48), Windows((32, 32), (16, 16)), 2
    )
    assert blended.shape == (1, 2, 48, 48)
    torch.testing.assert_close(blended, torch.full_like(blended, 3.0))


def test_the_mean_weighs_what_overlaps() -> None:
    mean = Mean(1, (1, 3), torch.device("cpu"))
    mean.add(torch.tensor([[[1.0, 1.0]]]), torch.tensor([[1.0, 3.0]]))
    mean.add(torch.tensor([[[5.0, 5.0]]]), torch.tensor([[1.0, 1.0]]), (0, 1))
    assert mean.value().tolist() == [[[1.0, 2.0, 5.0]]]


def test_the_mean_has_the_same_bits_in_each_memory_layout() -> None:
    values = torch.randn(3, 5, 8, 6, generator=torch.Generator().manual_seed(0))
    weights = Windows((8, 6), (4, 4)).weights((8, 6))
    planar, last = (Mean(5, (12, 9), torch.device("cpu"), channels_last=last) for last in (False, True))
    for values_Chw, place in zip(values, [(0, 0), (4, 3), (2, 1)], strict=True):
        planar.add(values_Chw, weights, place)
        last.add(values_Chw.contiguous(memory_format=torch.preserve_format), weights, place)
    assert planar.sum_CHW.is_contiguous()
    assert last.sum_CHW[None].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(planar.value().nan_to_num(), last.value().nan_to_num())
