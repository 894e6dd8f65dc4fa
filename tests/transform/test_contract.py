"""What every transform of the table promises, for grey images with bits and for RGB images with soft masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.transform.lent import Lent
from tests.transform.names import HAND, OF_COLOURS
from transform import COMPOSITION, GEOMETRY, INTENSITY, TRANSFORMS, MaskFormat, Pipeline

Pixels = npt.NDArray[np.uint8]
SEEDS = range(8)
SIZED: dict[str, Any] = {
    "resize": {"size_px": (45, 33)},
    "random_crop": {"size_px": (40, 24)},
    "foreground_crop": {"size_px": (40, 24)},
}
ALWAYS_APPLY = ("random_crop", "foreground_crop")
LOOK_FOR_CLASSES = ("foreground_crop", "ulnar_deviation")


@dataclass(frozen=True)
class Scene:
    """An image with its mask."""

    image: Pixels
    mask: Pixels
    masks: MaskFormat

    def pipeline(self, name: str, p: float = 1.0) -> Pipeline:
        steps = [TRANSFORMS[name](p=p, **SIZED.get(name, {}))]
        return Pipeline(steps, masks=self.masks, sources=Lent([(self.image[::-1], self.mask[::-1])]))


def alphas() -> Pixels:
    """uint8[60, 64, 29]: a soft disc for each class, in rows from the upper left; some touch an edge."""
    planes = np.zeros((60, 64, len(HAND)), np.uint8)
    for index in range(len(HAND)):
        centre = (5 + 10 * (index % 6), 5 + 12 * (index // 6))
        disc = cv2.circle(np.zeros((60, 64), np.uint8), centre, 6, 255, -1)
        planes[:, :, index] = cv2.GaussianBlur(disc, (0, 0), 1.5)
    return planes


def grey_with_bits() -> Scene:
    alpha = alphas()
    bits = np.packbits(alpha > 127, axis=2, bitorder="little")
    return Scene(np.asarray(alpha[:, :, ::2].max(axis=2) // 2 + 60, np.uint8), bits, MaskFormat(HAND))


def rgb_with_alpha() -> Scene:
    alpha = alphas()
    image = np.stack([alpha[:, :, first::3].max(axis=2) // 2 + 60 for first in range(3)], axis=2)
    return Scene(np.asarray(image, np.uint8), alpha, MaskFormat(HAND, soft=True))


SCENES = {"grey and bits": grey_with_bits, "RGB and alpha": rgb_with_alpha}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Arrays that cannot be written to; no grey image for a transform of colours."""
    made = SCENES[request.param]()
    if made.image.ndim == 2 and request.node.callspec.params.get("name") in OF_COLOURS:
        pytest.skip("refused for grey images")
    made.image.setflags(write=False)
    made.mask.setflags(write=False)
    return made


@pytest.mark.parametrize("name", TRANSFORMS)
def test_results_are_contiguous_bytes_of_one_size_and_as_many_channels(name: str, scene: Scene) -> None:
    for seed in SEEDS:
        image, mask = scene.pipeline(name)(scene.image, scene.mask, seed)
        assert image.dtype == mask.dtype == np.uint8
        assert image.flags.c_contiguous
        assert mask.flags.c_contiguous
        assert image.shape[:2] == mask.shape[:2] == SIZED.get(name, {}).get("size_px", (60, 64))
        assert (image.shape[2:], mask.shape[2:]) == (scene.image.shape[2:], scene.mask.shape[2:])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_seed_decides(name: str, scene: Scene) -> None:
    for seed in SEEDS:
        first, again = (scene.pipeline(name)(scene.image, scene.mask, seed) for _ in range(2))
        assert all(map(np.array_equal, first, again))


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in ALWAYS_APPLY])
def test_with_a_probability_of_0_nothing_changes(name: str, scene: Scene) -> None:
    for seed in SEEDS:
        image, mask = scene.pipeline(name, p=0.0)(scene.image, scene.mask, seed)
        assert image is scene.image
        assert mask is scene.mask


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in (*LOOK_FOR_CLASSES, *COMPOSITION)])
def test_an_image_changes_alike_with_and_without_its_mask(name: str, scene: Scene) -> None:
    for seed in SEEDS:
        alone, mask = scene.pipeline(name)(scene.image, None, seed)
        assert mask is None
        assert np.array_equal(alone, scene.pipeline(name)(scene.image, scene.mask, seed)[0])


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("index", [0, 10, 24, 28])
def test_a_soft_mask_moves_as_an_image_that_shows_it(name: str, index: int) -> None:
    scene = rgb_with_alpha()
    shown = np.ascontiguousarray(scene.mask[:, :, index])
    for seed in SEEDS:
        image, mask = scene.pipeline(name)(shown, scene.mask, seed)
        assert np.abs(image.astype(int) - mask[:, :, index]).max() <= 1


@pytest.mark.parametrize("size_px", [(30, 32), (120, 128), (23, 100)])
def test_a_soft_mask_is_resized_as_an_image_that_shows_it(size_px: tuple[int, int]) -> None:
    scene = rgb_with_alpha()
    pipeline = Pipeline(size_px=size_px, masks=scene.masks)
    image, mask = pipeline(np.ascontiguousarray(scene.mask[:, :, 7]), scene.mask, seed=0)
    assert mask.shape == (*size_px, len(HAND))
    assert np.array_equal(image, mask[:, :, 7])


@pytest.mark.parametrize("name", GEOMETRY)
def test_each_colour_moves_as_a_grey_image_would(name: str) -> None:
    scene = rgb_with_alpha()
    for seed in SEEDS:
        image = scene.pipeline(name)(scene.image, scene.mask, seed)[0]
        for channel in range(3):
            alone = scene.pipeline(name)(np.ascontiguousarray(scene.image[:, :, channel]), scene.mask, seed)[0]
            assert np.abs(image[:, :, channel].astype(int) - alone).max() <= 1


@pytest.mark.parametrize("name", COMPOSITION)
def test_without_a_mask_no_objects_are_known(name: str, scene: Scene) -> None:
    assert scene.pipeline(name)(scene.image, None, seed=0) == (scene.image, None)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("level", [0, 255])
def test_masks_of_nothing_and_of_everything_stay_valid(name: str, level: int, scene: Scene) -> None:
    """Of nothing comes nothing, but for what is pasted; the bits above the last class stay 0."""
    whole = np.packbits(np.full((60, 64, 29), level > 0), axis=2, bitorder="little")
    mask = np.full_like(scene.mask, level) if scene.masks.soft else whole
    image, changed = scene.pipeline(name)(scene.image, mask, seed=1)
    assert image.shape[:2] == changed.shape[:2]
    if level == 0 and name != "copy_paste":
        assert not changed.any()
    if level and name in (*INTENSITY, "background"):
        assert np.array_equal(changed, mask)
    if not scene.masks.soft:
        assert not np.unpackbits(changed, axis=2, bitorder="little")[..., 29:].any()


@pytest.mark.parametrize("name", INTENSITY)
def test_colours_change_and_soft_masks_stay(name: str) -> None:
    scene = rgb_with_alpha()
    image, mask = scene.pipeline(name)(scene.image, scene.mask, seed=2)
    assert not np.array_equal(image, scene.image)
    assert mask is scene.mask


@pytest.mark.parametrize("name", sorted(INTENSITY.keys() - {"noise"}))
def test_grey_in_three_channels_stays_grey(name: str) -> None:
    """Noise is drawn for each channel; no other transform gives a tint (2 levels: the way to lightness and back)."""
    scene = grey_with_bits()
    image = scene.pipeline(name)(np.repeat(scene.image[:, :, None], 3, axis=2), None, seed=2)[0]
    assert np.ptp(image.astype(int), axis=2).max() <= 2


def test_the_contrast_of_colours_is_equalised_by_their_lightness() -> None:
    """A tint stays: the channels keep their order."""
    scene = grey_with_bits()
    tinted = np.asarray(scene.image[:, :, None] * [0.9, 0.7, 0.5], np.uint8)
    image = scene.pipeline("clahe")(tinted, None, seed=0)[0].astype(int)
    assert (np.diff(image, axis=2) < 0).all()
    assert image[..., 1].std() > tinted[..., 1].std()
