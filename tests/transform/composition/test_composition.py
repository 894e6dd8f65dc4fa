"""Objects on other grounds, and pasted: what is seen, what the mask says, and what is read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.cutout.pills.scene import draw_scene
from tests.transform.lent import Lent
from transform import MaskFormat, Pipeline
from transform.composition.background import background
from transform.composition.copy_paste import copy_paste
from transform.composition.over import Objects, cut_out, estimate_foreground, lay_over, masks_over
from utils.arrays import Pixels
from utils.errors import UserError

SOFT = MaskFormat(("object",), soft=True)
SIZE_HW = (48, 56)


def disc(x: int, radius: int = 9, blur: float = 1.0) -> Pixels:
    """uint8[48, 56, 1]: the alpha of a soft disc."""
    alpha = cv2.circle(np.zeros(SIZE_HW, np.uint8), (x, 24), radius, 255, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur)[..., None], np.uint8)


def shown(alpha: Pixels, colour: tuple[int, int, int], ground: tuple[int, int, int]) -> Pixels:
    """Lay a colour over another by alpha, in exact arithmetic."""
    share = alpha / 255
    return np.asarray(np.rint(share * np.array(colour) + (1 - share) * np.array(ground)), np.uint8)


def constant(colour: tuple[int, int, int]) -> Pixels:
    return np.full((*SIZE_HW, 3), colour, np.uint8)


RED, GREEN, BLUE = (220, 30, 40), (20, 200, 60), (30, 40, 210)


def test_layers_are_mixed_by_alpha() -> None:
    draws = np.random.default_rng(0)
    front, back = (draws.integers(0, 256, (*SIZE_HW, 3)).astype(np.uint8) for _ in range(2))
    alpha = draws.integers(0, 256, SIZE_HW).astype(np.uint8)
    alpha[:8], alpha[8:16] = 0, 255
    mixed = lay_over(Objects(front, alpha[..., None], alpha), back)
    share = alpha[..., None] / 255
    assert np.abs(mixed - (share * front + (1 - share) * back)).max() <= 0.51
    assert np.array_equal(mixed[:8], back[:8])
    assert np.array_equal(mixed[8:16], front[8:16])


def test_masks_over_each_other() -> None:
    """An alpha a over b of the same class is 1 - (1 - a)(1 - b); another class is hidden."""
    levels = np.arange(256, dtype=np.uint8)
    front = np.zeros((256, 256, 2), np.uint8)
    back = front.copy()
    front[..., 0], back[..., 0], back[..., 1] = levels[:, None], levels, levels
    found = masks_over(Objects(front, front, front[..., 0]), back, MaskFormat(("a", "b"), soft=True)) / 255
    a, b = levels[:, None] / 255, levels / 255
    assert np.abs(found[..., 0] - (1 - (1 - a) * (1 - b))).max() <= 0.5 / 255 + 1e-9
    assert np.abs(found[..., 1] - (1 - a) * b).max() <= 0.5 / 255 + 1e-9


def test_bits_over_each_other() -> None:
    front, back = np.array([[[0], [1], [2], [0]]], np.uint8), np.array([[[1], [1], [1], [4]]], np.uint8)
    objects = Objects(front, front, front[..., 0])
    assert masks_over(objects, back, MaskFormat(("a", "b", "c")))[0, :, 0].tolist() == [1, 1, 2, 4]


def test_no_fringe_of_the_old_ground_is_left() -> None:
    """A red disc seen on green is laid on blue: without the estimate, green stays in the edge."""
    alpha = disc(28)
    seen = shown(alpha, RED, GREEN)
    ideal = shown(alpha, RED, BLUE)
    estimated = lay_over(cut_out(seen, alpha, SOFT, 0), constant(BLUE))
    simple = lay_over(Objects(seen, alpha, alpha[..., 0]), constant(BLUE))
    errors = [np.abs(found.astype(int) - ideal) for found in (simple, estimated)]
    assert errors[0].max() > 35
    assert errors[1].max() < 15
    assert errors[1].mean() < 0.25 * errors[0].mean()


def test_of_a_hard_mask_the_fringe_is_small_too() -> None:
    """The photograph is blurred by its lens, the mask is not: the alpha is softened as much."""
    alpha = disc(28, blur=0.6)
    hard = np.where(alpha >= 128, np.uint8(255), np.uint8(0))
    seen, ideal = shown(alpha, RED, GREEN), shown(alpha, RED, BLUE).astype(int)
    edge = (alpha[..., 0] > 0) & (alpha[..., 0] < 255)
    errors = [
        np.abs(lay_over(cut_out(seen, hard, SOFT, soften_px), constant(BLUE)) - ideal)[edge].mean()
        for soften_px in (0, 0.6)
    ]
    assert errors[1] < 0.35 * errors[0]


def test_the_colours_of_rendered_pills_come_closer_to_the_truth() -> None:
    """The same pills on two grounds of the renderer: laid from one onto the other, beside what it renders there."""
    gains = []
    for seed in range(3):
        scene = draw_scene([seed], (64, 64), pills=2, grounds=["wood"])
        grey = np.full_like(scene.photo, 128)
        objects = cut_out(scene.photo, scene.alpha[..., None], SOFT, 0.6)
        inside = cv2.erode(scene.alpha, np.ones((5, 5), np.uint8)) == 255
        assert np.array_equal(objects.colours[inside], scene.photo[inside])
        gains.append(lay_over(objects, grey)[scene.alpha == 0].std() - scene.photo[scene.alpha == 0].std())
    assert max(gains) < 0


def test_colours_away_from_edges_stay(image_HW: Pixels) -> None:
    alpha = disc(28)[..., 0]
    photo = np.repeat(image_HW[:48, :56, None], 3, axis=2)
    estimated = estimate_foreground(photo, alpha)
    far = cv2.dilate(((alpha > 0) & (alpha < 255)).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.array_equal(estimated[far], photo[far])
    assert np.array_equal(estimated[alpha == 255], photo[alpha == 255])
    for level in (0, 255):
        assert np.array_equal(estimate_foreground(photo, np.full(SIZE_HW, level, np.uint8)), photo)


def test_the_mask_of_another_ground_is_the_same() -> None:
    alpha = disc(28)
    for ground in ("plain", "gradient", "noise"):
        steps = [background(grounds=(ground,), soften_px=0, p=1.0)]
        image, mask = Pipeline(steps, masks=SOFT)(constant(RED), alpha, seed=4)
        assert mask is alpha
        assert np.array_equal(image[alpha[..., 0] == 255], constant(RED)[alpha[..., 0] == 255])
        assert np.abs(image[alpha[..., 0] == 0].astype(int) - RED).max() > 10


def test_pictures_of_a_folder_become_the_ground(tmp_path: Path) -> None:
    alpha = disc(28)
    lent = Lent([(constant(GREEN), alpha), (constant(BLUE), alpha)])
    pipeline = Pipeline([background(folder=str(tmp_path), p=1.0)], masks=SOFT, sources=lent)
    seen = {tuple(map(int, pipeline(constant(RED), alpha, seed)[0][0, 0])) for seed in range(12)}
    assert seen == {GREEN, BLUE}


def test_a_ground_with_objects_brings_them_into_the_mask() -> None:
    lent = Lent([(shown(disc(44), GREEN, BLUE), disc(44))])
    pipeline = Pipeline([background(grounds=("samples",), p=1.0)], masks=SOFT, sources=lent)
    image, mask = pipeline(shown(disc(14), RED, GREEN), disc(14), seed=0)
    assert np.abs(mask.astype(int) - np.maximum(disc(14), disc(44))).max() <= 1
    assert image[24, 14].tolist() == [*RED]
    assert image[24, 44].tolist() == [*GREEN]
    assert image[2, 2].tolist() == [*BLUE]


def test_pasted_objects_are_in_image_and_mask() -> None:
    """A disc of one colour: the image shows its alpha over the old one, and so says the mask."""
    lent = Lent([(shown(disc(20), GREEN, BLUE), disc(20))])
    pipeline = Pipeline([copy_paste(p=1.0, soften_px=0)], masks=SOFT, sources=lent)
    places = set()
    for seed in range(12):
        image, mask = pipeline(constant(RED), np.zeros((*SIZE_HW, 1), np.uint8), seed)
        assert np.abs(image.astype(int) - shown(mask, GREEN, RED)).max() <= 12
        places.add(mask[..., 0].argmax())
    assert len(places) > 8


def test_pasted_objects_are_of_the_sizes_asked_for() -> None:
    lent = Lent([(shown(disc(28), GREEN, BLUE), disc(28))])
    pipeline = Pipeline([copy_paste(p=1.0, scale=0.2, rotate_deg=0)], masks=SOFT, sources=lent)
    masks = [pipeline(constant(RED), np.zeros((*SIZE_HW, 1), np.uint8), seed)[1] for seed in range(60)]
    whole = [mask.sum() / disc(28).sum() for mask in masks if not _touches_edge(mask)]
    assert 0.8**2 - 0.02 < min(whole) < 0.8
    assert 1.2 < max(whole) < 1.2**2 + 0.02


def test_a_sample_without_objects_gives_nothing_to_paste() -> None:
    nothing = np.zeros((*SIZE_HW, 1), np.uint8)
    image = constant(RED)
    pipeline = Pipeline([copy_paste(p=1.0)], masks=SOFT, sources=Lent([(constant(GREEN), nothing)]))
    assert pipeline(image, nothing, seed=0) == (image, nothing)


def test_another_size_of_the_other_sample_does_not_matter() -> None:
    large = np.asarray(cv2.resize(disc(28), (112, 96))[..., None], np.uint8)
    lent = Lent([(np.asarray(cv2.resize(shown(disc(28), GREEN, BLUE), (112, 96)), np.uint8), large)])
    image, mask = Pipeline([copy_paste(p=1.0)], masks=SOFT, sources=lent)(constant(RED), disc(28), seed=2)
    assert image.shape[:2] == mask.shape[:2] == SIZE_HW


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"folder": "/nowhere"}, "^folder: /nowhere: no such folder. Name one that holds pictures."),
        ({"grounds": ("pictures",)}, "^grounds: 'pictures' need a folder"),
        ({"folder": "/nowhere", "grounds": ("plain",)}, "^grounds: a folder is named, but 'pictures' are not among"),
    ],
)
def test_grounds_that_cannot_be_had_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        background(**settings)  # type: ignore[arg-type]


def test_a_transform_without_its_sources_says_so() -> None:
    with pytest.raises(ValueError, match="with_sources has to be called"):
        Pipeline([copy_paste(p=1.0)], masks=SOFT)(constant(RED), disc(28), seed=0)


def _touches_edge(mask: Pixels) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
