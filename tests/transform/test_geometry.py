from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

from tests.transform.names import HAND
from transform import GEOMETRY, MaskFormat, Pipeline
from transform.geometry import FOLDS_ABOVE, _elastic, _perspective, elastic, random_crop
from transform.warp import Affine, Resize
from utils.arrays import Pixels
from utils.errors import UserError

PackedOf = Callable[[int], Pixels]

NEEDED: dict[str, dict[str, Any]] = {
    "resize": {"size_px": (45, 33)},
    "random_crop": {"size_px": (40, 24)},
    "foreground_crop": {"size_px": (40, 24), "bias": 0.0},  # else it looks at the mask, and each class has its own
}

THE_SAME_FOR_ALL_MASKS = [name for name in GEOMETRY if name != "ulnar_deviation"]  # which looks for certain classes


def pipeline_of(name: str) -> Pipeline:
    return Pipeline([GEOMETRY[name](p=1.0, **NEEDED.get(name, {}))], masks=MaskFormat(HAND))


@pytest.mark.parametrize("name", THE_SAME_FOR_ALL_MASKS)
@pytest.mark.parametrize("classes", [1, 8, 9, 24, 29, 40, 90])
def test_a_packed_mask_is_warped_as_each_class_would_be(
    name: str, classes: int, image_HW: Pixels, packed_of: PackedOf
) -> None:
    packed = packed_of(classes)
    _, together = pipeline_of(name)(image_HW, packed, seed=3)
    assert together is not None
    assert together.dtype == np.uint8
    assert together.flags.c_contiguous
    masks = np.unpackbits(packed, axis=-1, count=classes, bitorder="little")
    for index in range(classes):
        alone = np.ascontiguousarray(masks[:, :, index : index + 1])
        _, warped = pipeline_of(name)(image_HW, alone, seed=3)
        assert np.array_equal(_bit(together, index), np.asarray(warped)[:, :, 0])


@pytest.mark.parametrize("name", GEOMETRY)
def test_masks_hold_no_value_that_was_not_there(name: str, image_HW: Pixels) -> None:
    """No interpolation, no clipping: only the bytes of the mask, and 0 outside."""
    packed = np.full((60, 64, 5), 0, np.uint8)
    packed[::2] = [1, 255, 128, 77, 254]
    _, warped = pipeline_of(name)(image_HW, packed, seed=1)
    found = {tuple(pixel) for pixel in np.asarray(warped).reshape(-1, 5).tolist()}
    assert found == {(0, 0, 0, 0, 0), (1, 255, 128, 77, 254)}


@pytest.mark.parametrize("name", GEOMETRY)
def test_image_and_mask_move_together(name: str) -> None:
    """A disc in image and mask: nearest pixels are up to half a pixel off in either direction, on average in none."""
    apart = []
    for seed in range(200):
        disc = cv2.circle(np.zeros((60, 64), np.uint8), (25 + seed % 14, 27 + seed % 11), 8, 255, -1)
        image, packed = pipeline_of(name)(disc, disc[:, :, None] // 255, seed=seed)
        if np.asarray(packed).any():
            apart.append(_centroid(image) - _centroid(np.asarray(packed)[:, :, 0]))
    assert np.abs(np.mean(apart, axis=0)).max() < 0.05


@pytest.mark.parametrize("name", GEOMETRY)
def test_what_comes_in_is_not_written_to(name: str, image_HW: Pixels, packed_of: PackedOf) -> None:
    packed = packed_of(29)
    image_HW.setflags(write=False)
    packed.setflags(write=False)
    pipeline_of(name)(image_HW, packed, seed=0)


@pytest.mark.parametrize(
    "name", ["hflip", "vflip", "quarter_turns", "rotate", "shift_scale", "affine", "perspective", "elastic"]
)
def test_sizes_stay_unless_size_is_the_point(name: str, image_HW: Pixels, packed_of: PackedOf) -> None:
    image, packed = pipeline_of(name)(image_HW, packed_of(29), seed=0)
    assert image.shape == image_HW.shape
    assert np.asarray(packed).shape == (60, 64, 4)
    assert not np.array_equal(image, image_HW)


@pytest.mark.parametrize("name", ["hflip", "vflip"])
def test_flipping_twice_is_nothing(name: str, image_HW: Pixels, packed_of: PackedOf) -> None:
    twice = Pipeline([GEOMETRY[name](p=1.0)] * 2)
    image, packed = twice(image_HW, packed_of(29), seed=0)
    assert np.array_equal(image, image_HW)
    assert np.array_equal(np.asarray(packed), packed_of(29))


def test_vflip_puts_the_last_row_first(image_HW: Pixels, packed_of: PackedOf) -> None:
    image, packed = Pipeline([GEOMETRY["vflip"](p=1.0)])(image_HW, packed_of(29), seed=0)
    assert np.array_equal(image, image_HW[::-1])
    assert np.array_equal(packed, packed_of(29)[::-1])


def test_quarter_turns_lose_no_pixel_and_draw_all_three(packed_of: PackedOf) -> None:
    square = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    mask = np.ascontiguousarray(packed_of(29)[:, :60])
    drawn = set()
    for seed in range(20):
        image, packed = Pipeline([GEOMETRY["quarter_turns"](p=1.0)])(square, mask, seed=seed)
        count = next(count for count in range(4) if np.array_equal(image, np.rot90(square, count)))
        assert np.array_equal(packed, np.rot90(mask, count))
        drawn.add(count)
    assert drawn == {1, 2, 3}


def test_quarter_turns_keep_the_size_of_what_is_not_square(image_HW: Pixels) -> None:
    image, _ = Pipeline([GEOMETRY["quarter_turns"](p=1.0)])(image_HW, None, seed=0)
    assert np.array_equal(image, np.rot90(image_HW, 2))


SIZES = [(64, 32), (64, 16), (60, 45), (60, 20), (33, 64), (7, 5), (8, 8), (1, 9)]


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resizing_a_mask_takes_a_nearest_pixel(source: int, target: int) -> None:
    rows, columns = np.mgrid[:source, :source].astype(np.uint8)
    taken = Resize((target, target)).mask(np.ascontiguousarray(np.stack([rows, columns], axis=-1)))
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    assert np.abs(taken[:, :, 0] - centres[:, None]).max() <= 0.5 + 1e-9
    assert np.abs(taken[:, :, 1] - centres).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("target", [32, 16, 8, 48])
def test_resizing_moves_no_mask_against_its_image(target: int) -> None:
    """cv2's own nearest neighbour is off by 0.5 source pixels at 64 to 32, by 1.5 at 64 to 16."""
    rows, columns = np.mgrid[:64, :64].astype(np.uint8)
    taken = Resize((target, target)).mask(np.ascontiguousarray(np.stack([rows, columns], axis=-1)))
    assert abs(taken.mean() - 31.5) < 1e-9


def test_large_images_shrink_by_area() -> None:
    checks = np.asarray(np.indices((64, 64)).sum(axis=0) % 2 * 200, np.uint8)
    assert np.unique(Resize((16, 16)).image(checks)).tolist() == [100]


def test_rotation_turns_about_the_middle() -> None:
    around = cv2.circle(np.zeros((61, 61), np.uint8), (30, 30), 20, 255, -1)
    turned = Pipeline([GEOMETRY["rotate"](limit_deg=180, p=1.0)])(around, around[:, :, None], seed=5)[1]
    assert np.linalg.norm(_centroid(np.asarray(turned)[:, :, 0]) - 30) < 0.05


def test_nearest_warp_is_not_biased() -> None:
    """If a shift of half a pixel is enlarged to a scale, nearest pixels lie on both sides of the true place."""
    columns = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    matrix = np.array([[1.37, 0.0, 0.21], [0.0, 1.0, 0.0]])
    taken = Affine(matrix).mask(columns[:, :, None])[:, :, 0]
    true = (np.arange(64) - 0.21) / 1.37
    assert abs((taken - true).mean()) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_a_perspective_moves_pixels_as_lines_of_sight_do(seed: int, image_HW: Pixels, packed_of: PackedOf) -> None:
    """Compared with the middle of every pixel, projected here; the mask takes the nearest, the image four around it."""
    warp = _perspective(0.2, (60, 64), np.random.default_rng(seed))
    y, x = np.indices((60, 64)) + 0.0
    from_x, from_y, depth = np.moveaxis(np.stack([x, y, np.ones_like(x)], 2) @ np.linalg.inv(warp.matrix).T, 2, 0)
    from_x, from_y = from_x / depth, from_y / depth
    packed, columns, rows = packed_of(29), np.rint(from_x).astype(int), np.rint(from_y).astype(int)
    inside = (columns >= 0) & (columns < 64) & (rows >= 0) & (rows < 60)
    expected = np.where(inside[..., None], packed[rows.clip(0, 59), columns.clip(0, 63)], 0)
    assert (warp.mask(packed) == expected).all(axis=2).mean() > 0.995  # cv2 rounds places to 1/1024 px
    shown = warp.image(np.ascontiguousarray(image_HW)).astype(float)
    inner = (from_x >= 0) & (from_x <= 63) & (from_y >= 0) & (from_y <= 59)
    linear = map_coordinates(image_HW.astype(float), [from_y, from_x], order=1, mode="nearest")
    assert np.abs(shown - linear)[inner].mean() < 0.5
    assert np.abs(shown - linear)[inner].max() < 4  # cv2 interpolates at 1/32 px


def test_the_corners_of_a_perspective_move_as_far_as_asked() -> None:
    corners = np.array([[-0.5, -0.5, 1], [63.5, -0.5, 1], [63.5, 59.5, 1], [-0.5, 59.5, 1]])
    moved = []
    for seed in range(100):
        found = corners @ _perspective(0.1, (60, 64), np.random.default_rng(seed)).matrix.T
        moved.append((found[:, :2] / found[:, 2:] - corners[:, :2]) / (64, 60))
    assert 0.095 < np.abs(moved).max() < 0.1001
    assert np.array_equal(_perspective(0.0, (60, 64), np.random.default_rng(0)).matrix.round(9), np.eye(3))


def test_crops_are_windows_of_the_image(image_HW: Pixels) -> None:
    crop, _ = Pipeline([random_crop(size_px=(20, 30))])(image_HW, None, seed=9)
    windows = np.lib.stride_tricks.sliding_window_view(image_HW, (20, 30))
    assert (windows == crop).all(axis=(2, 3)).any()


def test_a_crop_larger_than_the_image_says_so(image_HW: Pixels) -> None:
    with pytest.raises(UserError, match=r"a window of 100 x 100 px does not fit into an image of 60 x 64 px"):
        Pipeline([random_crop(size_px=100)])(image_HW, None, seed=0)


def test_an_elastic_transform_that_would_fold_says_so() -> None:
    with pytest.raises(UserError, match=r"amplitude 0.1 with 6 cells folds the image; take amplitude <= 0.0166"):
        elastic(amplitude=0.1, cells=6)


def test_an_elastic_transform_does_not_fold() -> None:
    """Down each column and along each row the source coordinates keep increasing."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        warp = _elastic(FOLDS_ABOVE / 6, 6, (64, 64), rng)
        assert np.diff(warp.x_HW, axis=1).min() > 0
        assert np.diff(warp.y_HW, axis=0).min() > 0


def _bit(packed_HWK: Pixels, index: int) -> Pixels:
    return np.asarray(packed_HWK[:, :, index // 8] >> (index % 8) & 1, np.uint8)


def _centroid(weights_HW: Pixels) -> npt.NDArray[np.float64]:
    weights = weights_HW.astype(np.float64)
    moments = [float((grid * weights).sum()) for grid in np.indices(weights.shape)]
    return np.asarray(moments) / float(weights.sum())
