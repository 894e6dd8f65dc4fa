from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.prediction.tta import AVERAGES, PLAIN, View, average_views, views
from transform.warp import Resize
from utils.arrays import Pixels

SIZES = [(64, 64), (61, 50)]
MOVED = [
    View(hflip=True),
    View(scale=0.5),
    View(scale=1.3),
    View(rotate_deg=7),
    View(rotate_deg=-15, hflip=True),
    View(scale=1.5, rotate_deg=5, hflip=True),
]


def smooth(size_hw: tuple[int, int]) -> Pixels:
    """A picture without fine detail, which interpolation would blur."""
    coarse = np.random.default_rng(0).integers(30, 220, (5, 5)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255), np.uint8)


def there_and_back(view: View, image: Pixels) -> tuple[Tensor, Tensor]:
    """The image as a network that answers its input would give it back, and where the view has seen it."""
    size_hw = (image.shape[0], image.shape[1])
    seen = view.apply(Resize(view.frame(size_hw, 1)).image(image))
    values, where = view.back(torch.from_numpy(seen)[None].float(), size_hw)
    return values[0], where


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize("view", MOVED, ids=str)
def test_every_view_leads_back_to_the_image(view: View, size_hw: tuple[int, int]) -> None:
    image = smooth(size_hw)
    values, where = there_and_back(view, image)
    off = (values - torch.from_numpy(image))[where > 0]
    assert values.shape == size_hw
    assert where.mean() > 0.7
    assert off.abs().mean() < 1.0
    assert off.abs().max() < 8


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize("view", MOVED, ids=str)
def test_no_view_moves_anything_by_a_part_of_a_pixel(view: View, size_hw: tuple[int, int]) -> None:
    """A blob returns to its place to a fortieth of a pixel; half-pixel mistakes move it by 0.25 or more."""
    y, x = np.indices(size_hw)
    image = np.asarray(np.rint(250 * np.exp(-((y - 27.3) ** 2 + (x - 22.6) ** 2) / 40)), np.uint8)
    values, where = there_and_back(view, image)
    found = (values * where).numpy()
    for grid in (y, x):
        place = float((grid * image).sum() / image.sum())
        assert float((grid * found).sum() / found.sum()) == pytest.approx(place, abs=0.025)


@pytest.mark.parametrize("size_hw", SIZES)
def test_mirrored_twice_is_the_image_itself(size_hw: tuple[int, int]) -> None:
    values, where = there_and_back(View(hflip=True), smooth(size_hw))
    assert np.array_equal(values.numpy(), smooth(size_hw))
    assert where.all()


@pytest.mark.parametrize("size_hw", SIZES)
def test_what_a_turn_has_lost_from_sight_does_not_count(size_hw: tuple[int, int]) -> None:
    image = np.full(size_hw, 200, np.uint8)
    values, where = there_and_back(View(rotate_deg=20), image)
    assert not where[0, 0]
    assert not where[-1, -1]
    assert values[where > 0].min() >= 199


def test_all_views_together_give_back_what_the_network_was_shown() -> None:
    image = smooth((64, 64))
    everything = views(hflip=True, scales=[0.75, 1.25], rotations_deg=[-9, 9])
    assert len(everything) == 10
    answers = [
        torch.from_numpy(view.apply(Resize(view.frame((64, 64), 1)).image(image)))[None, None].expand(3, 2, -1, -1)
        for view in everything
    ]
    mean = average_views(answers, everything, (64, 64))
    assert mean.shape == (3, 2, 64, 64)
    assert (mean[1, 1] - torch.from_numpy(image)).abs().max() < 3


def test_gamma_changes_grey_values_alone() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    darker = View(gamma=2.0).apply(image)
    assert darker[0, 0] == 0
    assert darker[-1, -1] == 255
    assert darker.flat[128] == round(255 * (128 / 255) ** 2)
    values, where = View(gamma=2.0).back(torch.from_numpy(darker)[None].float(), (16, 16))
    assert np.array_equal(values[0].numpy(), darker)
    assert where.all()


@pytest.mark.parametrize(
    ("scale", "step", "frame"), [(0.7, 32, (352, 256)), (1.25, 32, (640, 480)), (0.01, 32, (32, 32))]
)
def test_scaled_frames_have_sides_that_the_network_accepts(scale: float, step: int, frame: tuple[int, int]) -> None:
    assert View(scale=scale).frame((512, 384), step) == frame
    assert PLAIN.frame((500, 300), step) == (500, 300)


def test_the_plain_view_comes_first_and_none_comes_twice() -> None:
    assert views() == (PLAIN,)
    assert views(scales=[1.0, 0.5], rotations_deg=[0.0], gammas=[1.0]) == (PLAIN, View(scale=0.5))
    assert views(hflip=True, gammas=[0.8]) == (
        PLAIN,
        View(gamma=0.8),
        View(hflip=True),
        View(gamma=0.8, hflip=True),
    )


def test_probabilities_or_logits_are_averaged() -> None:
    logits = [torch.tensor(4.0), torch.tensor(-2.0)]
    for average, expected in (("logits", 1.0), ("probabilities", 0.2032)):
        chosen = AVERAGES[average]
        mean = torch.stack([chosen.of_logits(each) for each in logits]).mean()
        assert float(chosen.to_logits(mean)) == pytest.approx(expected, abs=1e-3)


def test_certain_probabilities_have_finite_logits() -> None:
    chosen = AVERAGES["probabilities"]
    back = chosen.to_logits(chosen.of_logits(torch.tensor([1e4, -1e4, 0.0], dtype=torch.float16)))
    assert back.isfinite().all()
    assert back[0] > 15
    assert back[1] < -15
    assert back[2] == 0
