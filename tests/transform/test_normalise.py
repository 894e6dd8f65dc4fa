from __future__ import annotations

import pytest
import torch

from transform.normalise import Normalisation

GREY = Normalisation(0.122, 0.168)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_grey_values_become_floats_about_zero() -> None:
    levels = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(Normalisation(0.5, 0.5)(levels), torch.tensor([[[[-1.0, 1.0]]]]))
    torch.testing.assert_close(GREY(levels), (levels[:, None] / 255 - 0.122) / 0.168)
    assert levels.tolist() == [[[0, 255]]]


def colours() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (2, 5, 7, 3), generator=generator, dtype=torch.uint8)


def test_each_colour_is_normalised_by_its_own_mean_and_deviation() -> None:
    images = colours()
    found = Normalisation(MEAN, STD)(images)
    expected = ((images / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).movedim(3, 1)
    assert found.shape == (2, 3, 5, 7)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected)


def test_one_number_holds_for_all_colours() -> None:
    images = colours()
    alike = Normalisation((0.122,) * 3, (0.168,) * 3)(images)
    assert torch.equal(GREY(images), alike)
    assert torch.equal(GREY(images)[:, 1], GREY(images[..., 1])[:, 0])
    assert torch.equal(Normalisation(MEAN, 0.2)(images)[:, 2], Normalisation(MEAN[2], 0.2)(images[..., 2])[:, 0])


def test_a_list_of_one_number_fits_a_grey_image() -> None:
    levels = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    assert torch.equal(Normalisation((0.122,), (0.168,))(levels), GREY(levels))


def test_a_number_of_channels_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Normalisation(MEAN, STD)(torch.zeros((1, 2, 2), dtype=torch.uint8))


def test_the_largest_value_of_each_image_becomes_255_if_asked_for() -> None:
    images = torch.tensor([[[[50, 100, 200]]], [[[255, 0, 7]]], [[[0, 0, 0]]]], dtype=torch.uint8)
    brightest = torch.tensor([200, 255, 1]).view(3, 1, 1, 1)
    expected = ((images / brightest - torch.tensor(MEAN)) / torch.tensor(STD)).movedim(3, 1)
    torch.testing.assert_close(Normalisation(MEAN, STD, by_maximum=True)(images), expected)
    grey = torch.tensor([[[1, 2, 4]]], dtype=torch.uint8)
    assert Normalisation(0.0, 1.0, by_maximum=True)(grey).tolist() == [[[[0.25, 0.5, 1.0]]]]
