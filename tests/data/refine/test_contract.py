"""What every refinement of the table and every preset promises, on pictures with exact truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.scenes import SHAPES, THIN, Scene, draw_scene
from data.refine import PRESETS, REFINEMENTS, Refine, refine_mask
from utils.arrays import Bools, Floats32, Image

SIZE_HW = (144, 192)
BAND = ("guided_filter", "colour_matting")
"""Refinements that change the uncertain band alone."""
MONOTONE: dict[tuple[str, str], tuple[Any, ...]] = {
    ("cutoff", "level"): (0.9, 0.5, 0.2, 0.0),
    ("cutoff", "opaque_from"): (1.0, 0.95, 0.6),
    ("gamma", "exponent"): (0.9, 0.5, 0.1),
    ("islands", "area"): (0.5, 0.01, 0.0),
}
"""Values of a parameter in an order in which no alpha falls."""


@pytest.fixture(scope="module", params=list(SHAPES))
def scene(request: pytest.FixtureRequest) -> Scene:
    return draw_scene(request.param, "wood", 1, SIZE_HW)


def as_by_a_network(alpha: Floats32) -> Floats32:
    """Return the alpha as a network at a third of the picture's size sees it."""
    height, width = alpha.shape
    small = cv2.resize(alpha, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def every_chain() -> Iterator[tuple[str, list[Refine]]]:
    yield from ((name, [build()]) for name, build in REFINEMENTS.items())
    yield from ((f"preset {name}", built(name)) for name in PRESETS)


def built(preset: str) -> list[Refine]:
    return [REFINEMENTS[name](**parameters) for name, parameters in map(split, PRESETS[preset])]


def split(spec: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return spec["name"], {key: value for key, value in spec.items() if key != "name"}


def apply(chain: list[Refine], image: Image, alpha: Floats32) -> Floats32:
    for refine in chain:
        alpha = refine(image, alpha)
    return alpha


@pytest.mark.parametrize(("name", "chain"), list(every_chain()))
def test_an_alpha_of_0_or_1_everywhere_stays(name: str, chain: list[Refine]) -> None:
    picture = draw_scene("leaf", "wood", 1, SIZE_HW).picture
    for image in (picture, picture[..., 0], picture[:1, :1], picture[:3], picture[:, :40]):
        for value in (0, 1):
            alpha = np.full(image.shape[:2], value, np.float32)
            assert np.array_equal(apply(chain, image, alpha), alpha)


@pytest.mark.parametrize(("name", "chain"), list(every_chain()))
def test_values_stay_in_range_and_the_given_ones_as_they_are(name: str, chain: list[Refine], scene: Scene) -> None:
    alpha = as_by_a_network(scene.alpha)
    before = alpha.copy(), scene.picture.copy()
    refined = apply(chain, scene.picture, alpha)
    assert (refined.shape, refined.dtype) == (alpha.shape, np.dtype(np.float32))
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert np.array_equal(alpha, before[0])
    assert np.array_equal(scene.picture, before[1])
    assert np.array_equal(apply(chain, scene.picture, alpha), refined), "equal arguments give equal results"


@pytest.mark.parametrize("name", BAND)
def test_nothing_changes_away_from_uncertain_pixels(name: str, scene: Scene) -> None:
    alpha = as_by_a_network(scene.alpha)
    uncertain = ((alpha > 0.05) & (alpha < 0.95)).astype(np.uint8)
    near = cv2.dilate(uncertain, np.ones((21, 21), np.uint8)) > 0
    refined = REFINEMENTS[name]()(scene.picture, alpha)
    assert np.array_equal(refined[~near], alpha[~near])
    assert not np.array_equal(refined, alpha)


@pytest.mark.parametrize(("name", "parameter"), list(MONOTONE))
def test_parameters_are_monotone(name: str, parameter: str, scene: Scene) -> None:
    alpha = as_by_a_network(scene.alpha)
    others: dict[str, Any] = {"keep": "min_area"} if name == "islands" else {}
    refined = [
        REFINEMENTS[name](**others, **{parameter: value})(scene.picture, alpha) for value in MONOTONE[name, parameter]
    ]
    assert all((lower <= higher).all() for lower, higher in pairwise(refined))


@pytest.mark.parametrize("preset", ["u2net", "nuggy", "soft"])
@pytest.mark.parametrize("shape", THIN)
def test_thin_parts_are_kept_and_the_ground_beside_them_stays_away(shape: str, preset: str) -> None:
    scene = draw_scene(shape, "cloth", 2, SIZE_HW)
    thin = thin_parts(scene.alpha)
    assert thin.sum() > 50
    raw = as_by_a_network(scene.alpha)
    refined = apply(built(preset), scene.picture, raw)
    kept = [float(np.minimum(alpha, scene.alpha)[thin].sum()) for alpha in (raw, refined)]
    leak = [float(np.maximum(alpha - scene.alpha, 0).sum()) for alpha in (raw, refined)]
    assert kept[1] >= kept[0]
    # The power of `nuggy` makes faint pixels stronger by intent, those of the ground too.
    assert preset == "nuggy" or leak[1] <= leak[0] * 1.0001


def thin_parts(alpha: Floats32) -> Bools:
    """Return what a square of 5 px does not fit into."""
    mask = (alpha >= 0.5).astype(np.uint8)
    return np.asarray((mask > 0) & (cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) == 0))


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("shape", ["ring", "letters"])
def test_holes_stay_open(shape: str, preset: str) -> None:
    scene = draw_scene(shape, "stone", 4)  # so large that the feather of `people` closes no hole
    refined = apply(built(preset), scene.picture, as_by_a_network(scene.alpha))
    found = holes(scene.alpha)
    assert len(found) >= 1
    assert all(refined[hole].min() < 0.5 for hole in found)


def holes(alpha: Floats32) -> list[Bools]:
    """Return the enclosed parts of the ground that have at least 25 px."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha < 0.5).astype(np.uint8), connectivity=4)
    outside = labels[0, 0]
    large = [part for part in range(1, count) if part != outside and stats[part, cv2.CC_STAT_AREA] >= 25]
    return [np.asarray(labels == part) for part in large]


@pytest.mark.parametrize("name", BAND)
def test_tiles_leave_no_seam(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = as_by_a_network(scene.alpha)
    whole = REFINEMENTS[name]()(scene.picture, alpha)
    monkeypatch.setattr("data.refine.base.TILE_PX", 50)
    assert np.abs(REFINEMENTS[name]()(scene.picture, alpha) - whole).max() < 2e-3


def edge_scene(luminance_differs: bool) -> tuple[Image, Floats32]:
    """A disc of one colour on another, and its alpha; both have one luminance unless it differs."""
    disc = cv2.circle(np.zeros((512, 512), np.uint8), (256, 256), 160, 255, -1)
    truth = cv2.resize(disc, (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    colours = np.array([[200.0, 60, 60], [200 if luminance_differs else 60, 220, 220]])
    if not luminance_differs:
        luma = np.array([0.299, 0.587, 0.114])
        colours[1] *= (colours[0] @ luma) / (colours[1] @ luma)
    mixed = truth[..., None] * colours[0] + (1 - truth[..., None]) * colours[1]
    return np.asarray(np.round(mixed), np.uint8), truth


@pytest.mark.parametrize("luminance_differs", [True, False])
@pytest.mark.parametrize(("name", "share"), [("guided_filter", 0.95), ("colour_matting", 0.25)])
def test_edges_are_found_also_between_colours_of_one_luminance(
    name: str, share: float, luminance_differs: bool
) -> None:
    image, truth = edge_scene(luminance_differs)
    alpha = as_by_a_network(truth)
    errors = [float(np.abs(each - truth).mean()) for each in (alpha, REFINEMENTS[name]()(image, alpha))]
    assert errors[1] < share * errors[0]


def test_a_rim_in_shade_stays_with_the_object_if_the_network_is_sure() -> None:
    # The rim of a white pill on a dark ground is grey, as a mixture of both is.
    truth = cv2.circle(np.zeros(SIZE_HW, np.float32), (96, 72), 40, 1.0, -1, cv2.LINE_8)
    shade = np.clip(cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5) / 6, 0.4, 1)
    image = np.where(truth > 0, 240 * shade, 60).astype(np.uint8)
    alpha = cv2.GaussianBlur(truth, (0, 0), 0.8)
    refined = apply(built("soft"), np.dstack([image] * 3), alpha)
    lost = ((truth > 0) & (refined < 0.5)).sum()
    assert lost <= ((truth > 0) & (alpha < 0.5)).sum() + 0.005 * truth.sum()


def test_colours_find_what_an_unsure_network_has_seen_in_part() -> None:
    scene = draw_scene("branches", "stone", 5, SIZE_HW)
    seen = as_by_a_network(scene.alpha) * 0.6
    seen[:, : SIZE_HW[1] // 2] *= 0.3
    refined = apply(built("soft"), scene.picture, seen)
    errors = [float(np.abs(alpha - scene.alpha).mean()) for alpha in (seen, refined)]
    assert errors[1] < 0.25 * errors[0]
    assert (refined[scene.alpha > 0.999] > 0.5).mean() > 0.95


def test_a_trace_that_a_network_does_not_take_for_an_object_stays_faint() -> None:
    scene = draw_scene("branches", "stone", 5, SIZE_HW)
    trace = as_by_a_network(scene.alpha) * 0.4
    assert np.array_equal(REFINEMENTS["colour_matting"]()(scene.picture, trace), trace)


def islands_alpha() -> Floats32:
    """A body with a hair of 1 px, a hair that is joined by faint pixels, a far line of 1 px, and a far dot."""
    alpha = np.zeros((60, 80), np.float32)
    alpha[20:40, 20:40] = 1
    alpha[30, 40:70] = 1
    alpha[25, 40:50], alpha[25, 50:70] = 0.1, 1
    alpha[5, 5:25] = 1
    alpha[50:53, 60:63] = 1
    return alpha


def test_islands_are_counted_in_pixels_and_what_touches_stays() -> None:
    alpha, image = islands_alpha(), np.zeros((60, 80, 3), np.uint8)
    main = REFINEMENTS["islands"]()(image, alpha)
    expected = alpha.copy()
    expected[5], expected[50:53] = 0, 0
    assert np.array_equal(main, expected)
    # A line of 20 px has no area inside its contour; it is larger than a dot of 9 px.
    large = REFINEMENTS["islands"](keep="min_area", area=10 / alpha.size)(image, alpha)
    expected[5, 5:25] = 1
    assert np.array_equal(large, expected)


@pytest.mark.parametrize(
    ("refine", "expected"),
    [
        (REFINEMENTS["cutoff"](level=0.2, opaque_from=0.95), [0, 0, 0.4, 1, 1]),
        (REFINEMENTS["gamma"](exponent=0.5), [0, 0.2**0.5, 0.5**0.5, 0.95**0.5, 1]),
        (REFINEMENTS["min_max"](), [0, 0.2, 0.5, 0.95, 1]),
    ],
)
def test_levels(refine: Callable[[Image, Floats32], Floats32], expected: list[float]) -> None:
    alpha = np.array([[0, 0.2, 0.5, 0.95, 1]], np.float32)
    assert refine(np.zeros((1, 5, 3), np.uint8), alpha)[0] == pytest.approx(expected, abs=1e-6)


def test_each_class_is_refined_alone() -> None:
    scene = draw_scene("leaf", "wood", 1, SIZE_HW)
    alpha = as_by_a_network(scene.alpha)
    expected = apply(built("soft"), scene.picture, alpha)
    for layout in ("HWC", "CHW"):
        planes = np.stack([alpha, np.zeros_like(alpha)], axis=layout.index("C"))
        planes_HWC = planes if layout == "HWC" else np.moveaxis(planes, 0, 2)
        refined = refine_mask(scene.picture, planes_HWC, built("soft"))
        assert np.shares_memory(refined, planes), "it is changed in place"
        assert np.array_equal(refined[..., 0], expected)
        assert not refined[..., 1].any()


@pytest.mark.parametrize("keep", ["main", "min_area"])
def test_parts_are_the_same_if_they_are_labelled_in_bands(keep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(3)
    # Winding parts that leave a band and return, join later, and touch at corners only.
    alpha = cv2.GaussianBlur(draws.random((90, 70), np.float32), (0, 0), 1.2)
    alpha = np.where(alpha > np.quantile(alpha, 0.55), alpha, 0).astype(np.float32)
    image = np.zeros((90, 70, 3), np.uint8)
    refine = REFINEMENTS["islands"](keep=keep, area=30 / alpha.size)
    whole = refine(image, alpha)
    assert 0 < (whole > 0).sum() < (alpha > 0).sum()
    for rows in (1, 2, 7, 89):
        monkeypatch.setattr(import_module("data.refine.islands"), "BAND_ROWS", rows)
        assert np.array_equal(refine(image, alpha), whole), rows
