from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.transform.lent import Lent
from tests.transform.names import HAND, OF_COLOURS
from transform import INTENSITY, TRANSFORMS, MaskFormat, Pipeline
from transform.geometry import hflip
from transform.intensity import noise
from utils.arrays import Pixels, Size
from utils.config.component import params_of

PackedOf = Callable[[int], Pixels]

NEEDED: dict[str, dict[str, Any]] = {
    "resize": {"size_px": 48},
    "random_crop": {"size_px": 32},
    "foreground_crop": {"size_px": 30},
}


def everything() -> Pipeline:
    """Every transform of grey images, each on every second sample."""
    names = [name for name in TRANSFORMS if name not in OF_COLOURS]
    steps = [TRANSFORMS[name](**(NEEDED.get(name) or {"p": 0.5})) for name in names]
    other = np.random.default_rng(2).integers(0, 256, (30, 33)), np.random.default_rng(3).integers(0, 32, (30, 33, 4))
    lent = Lent([(other[0].astype(np.uint8), other[1].astype(np.uint8))])
    return Pipeline(steps, size_px=(56, 60), masks=MaskFormat(HAND), sources=lent)


def digest(pipeline: Pipeline, image: Pixels, packed: Pixels, seed: int) -> str:
    changed, mask = pipeline(image, packed, seed)
    return hashlib.sha256(changed.tobytes() + np.asarray(mask).tobytes()).hexdigest()


def digests(pipeline: Pipeline, image: Pixels, packed: Pixels) -> list[str]:
    return [digest(pipeline, image, packed, seed) for seed in range(12)]


def test_the_seed_alone_decides(image_HW: Pixels, packed_of: PackedOf) -> None:
    """Not the order of calls, not an earlier call, not the object, and not the global generators."""
    pipeline, packed = everything(), packed_of(29)
    expected = digests(pipeline, image_HW, packed)
    assert len(set(expected)) == 12
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    cv2.setRNGSeed(7)
    backwards = [digest(pipeline, image_HW, packed, seed) for seed in reversed(range(12))]
    assert backwards[::-1] == expected
    assert digests(everything(), image_HW, packed) == expected
    assert digests(pickle.loads(pickle.dumps(pipeline)), image_HW, packed) == expected


def test_global_generators_are_left_alone(image_HW: Pixels, packed_of: PackedOf) -> None:
    before = random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
    digests(everything(), image_HW, packed_of(29))
    assert before == (random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist())


def test_threads_may_share_a_pipeline(image_HW: Pixels, packed_of: PackedOf) -> None:
    pipeline, packed = everything(), packed_of(29)
    seeds = list(range(12)) * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: digest(pipeline, image_HW, packed, seed), seeds))
    assert found == digests(everything(), image_HW, packed) * 8


def test_another_process_gives_the_same(image_HW: Pixels, packed_of: PackedOf) -> None:
    pipeline, packed = everything(), packed_of(29)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(digests, (pipeline, image_HW, packed))
    assert found == digests(pipeline, image_HW, packed)


def test_transforms_fire_independently_of_each_other() -> None:
    """If every transform were given one seed, those of equal probability fire all together or not at all."""
    image = np.asarray(np.arange(64)[None].repeat(8, axis=0), np.uint8)
    pipeline = Pipeline([hflip(p=0.5), noise(p=0.5)])
    seen = set()
    for seed in range(40):
        changed, _ = pipeline(image, None, seed)
        flipped = changed[:, :8].mean() > 32
        plain = np.array_equal(changed, image[:, ::-1] if flipped else image)
        seen.add((bool(flipped), bool(plain)))
    assert len(seen) == 4


def test_what_a_transform_draws_does_not_depend_on_those_before(image_HW: Pixels) -> None:
    never, always = noise(p=0.0), noise(p=1.0)
    first, _ = Pipeline([never, always])(image_HW, None, seed=1)
    second, _ = Pipeline([TRANSFORMS["gamma"](p=0.0), always])(image_HW, None, seed=1)
    assert np.array_equal(first, second)


def test_images_are_brought_to_size_first(image_HW: Pixels, packed_of: PackedOf) -> None:
    image, packed = Pipeline(size_px=(32, 40))(image_HW, packed_of(29), seed=0)
    assert image.shape == (32, 40)
    assert np.asarray(packed).shape == (32, 40, 4)
    assert Pipeline(size_px=32)(image_HW, None, seed=0)[0].shape == (32, 32)


def test_no_size_leaves_the_image_as_it_is(image_HW: Pixels) -> None:
    image, packed = Pipeline()(image_HW, None, seed=0)
    assert np.array_equal(image, image_HW)
    assert packed is None


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_table_knows_what_moves_pixels(name: str) -> None:
    transform = TRANSFORMS[name](**NEEDED.get(name, {}))
    assert transform.changes_geometry == (name not in INTENSITY)
    assert Pipeline([transform], masks=MaskFormat(HAND)).changes_geometry == transform.changes_geometry


@pytest.mark.parametrize("name", TRANSFORMS)
def test_signatures_are_schemas(name: str) -> None:
    params = params_of(TRANSFORMS[name]).model_validate(NEEDED.get(name, {}))
    assert TRANSFORMS[name](**dict(params)).changes_geometry == (name not in INTENSITY)
    with pytest.raises(ValueError, match="p"):
        params_of(TRANSFORMS[name]).model_validate({**NEEDED.get(name, {}), "p": 1.5})


def test_an_image_keeps_the_ratio_of_its_sides_and_fits_upright_or_turned() -> None:
    pipeline = Pipeline(size_px=(800, 1333), keep_ratio=True)
    sizes = {(600, 800): (800, 1067), (800, 600): (1067, 800), (400, 2000): (267, 1333), (800, 1333): (800, 1333)}
    for size_hw, fitted_hw in sizes.items():
        image, mask = pipeline(np.zeros((*size_hw, 3), np.uint8), np.zeros((*size_hw, 1), np.uint8), 0)
        assert (image.shape, mask.shape) == ((*fitted_hw, 3), (*fitted_hw, 1))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("size_hw", [(60, 120), (120, 60), (33, 97), (500, 20)])
def test_a_padded_image_keeps_the_ratio_of_its_sides_and_stands_in_the_middle(size_hw: Size, soft: bool) -> None:
    pipeline = Pipeline(size_px=(64, 80), pad=True, masks=MaskFormat(("a",), soft=soft))
    image, mask = pipeline(np.full((*size_hw, 3), 200, np.uint8), np.full((*size_hw, 1), 255, np.uint8), 0)
    place = pipeline.place_of(size_hw)
    assert place is not None
    assert (image.shape, mask.shape) == ((64, 80, 3), (64, 80, 1))
    scale = min(64 / size_hw[0], 80 / size_hw[1])
    assert all(abs(found - side * scale) <= 0.5 for found, side in zip(place.size_hw, size_hw, strict=True))
    inside = np.zeros((64, 80), bool)
    inside[place.top : place.top + place.size_hw[0], place.left : place.left + place.size_hw[1]] = True
    for pixels, value in (image[..., 0], 200), (mask[..., 0], 255):
        assert (pixels == np.where(inside, value, 0)).all()
        assert (place.cut(pixels) == value).all()
    above, beside = 64 - place.top - place.size_hw[0], 80 - place.left - place.size_hw[1]
    assert {above - place.top, beside - place.left} <= {0, 1}


def test_an_image_of_the_inputs_ratio_is_only_resized(image_HW: Pixels, packed_of: PackedOf) -> None:
    size_px = (image_HW.shape[0] // 2, image_HW.shape[1] // 2)
    padded, stretched = Pipeline(size_px=size_px, pad=True), Pipeline(size_px=size_px)
    for found, expected in zip(padded(image_HW, packed_of(9), 0), stretched(image_HW, packed_of(9), 0), strict=True):
        assert np.array_equal(found, expected)
    assert padded.place_of(image_HW.shape) is None
