from __future__ import annotations

import numpy as np
import pytest

from data.masks.rle import encode
from trainer.evaluation.distances import (
    DistanceTable,
    distances_of,
    distances_of_runs,
    print_distances,
)
from trainer.evaluation.ruler import Ruler
from utils.arrays import Bools, Packed


def disc(radius_px: float, at_px: tuple[float, float] = (48, 48), side_px: int = 96) -> Bools:
    rows, columns = np.mgrid[:side_px, :side_px]
    return np.asarray(np.hypot(rows - at_px[0], columns - at_px[1]) <= radius_px)


def test_of_discs_in_one_another_all_distances_are_the_difference_of_their_radii() -> None:
    hd95, assd, nsd = distances_of(disc(30), disc(24), Ruler(tolerance=7))
    assert hd95 == pytest.approx(6, abs=0.8)
    assert assd == pytest.approx(6, abs=0.4)
    assert nsd == 1
    assert distances_of(disc(30), disc(24), Ruler(tolerance=4))[2] == 0


def test_a_moved_square_is_as_far_as_it_was_moved() -> None:
    true, moved = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    true[10:30, 10:30] = True
    moved[10:30, 13:33] = True
    assert distances_of(moved, true, Ruler())[0] == 3
    in_mm = distances_of(moved, true, Ruler(tolerance=0.45, spacing=0.15, unit="mm"))
    assert in_mm[0] == pytest.approx(0.45)
    assert in_mm[2] == 1


def test_the_order_does_not_matter() -> None:
    one, other = disc(20), disc(17, (50, 45))
    assert distances_of(one, other, Ruler()) == pytest.approx(distances_of(other, one, Ruler()))


def test_empty_masks_are_alike_and_unlike_any_other() -> None:
    nothing = np.zeros((96, 96), bool)
    assert distances_of(nothing, nothing, Ruler()) == (0, 0, 1)
    for predicted, true in (nothing, disc(9)), (disc(9), nothing):
        assert np.isnan(distances_of(predicted, true, Ruler())[:2]).all()
        assert distances_of(predicted, true, Ruler())[2] == 0


def packed(*planes: Bools) -> Packed:
    stack = np.stack([*planes, *[np.zeros_like(planes[0])] * (8 - len(planes))], axis=2)
    return np.packbits(stack, axis=2, bitorder="little")


def test_runs_give_what_their_masks_give() -> None:
    predicted, true = (disc(20), disc(12, (40, 60))), (disc(22), disc(12, (42, 60)))
    found = distances_of_runs(encode(packed(*predicted), 2), encode(packed(*true), 2), (96, 96), Ruler())
    assert found.tolist() == [list(distances_of(a, b, Ruler())) for a, b in zip(predicted, true, strict=True)]


def test_a_class_that_one_mask_lacks_counts_in_no_mean_of_distances(capsys: pytest.CaptureFixture[str]) -> None:
    nan = np.nan
    rows = {"a.png": [[2.0, 1.0, 0.5], [4.0, 2.0, 0.25]], "b.png": [[6.0, 3.0, 1.0], [nan, nan, 0.0]]}
    table = DistanceTable(("x", "y"), Ruler(), rows={name: np.array(row) for name, row in rows.items()})
    assert table.of_class(0) == {"hd95": 4, "assd": 2, "nsd": 0.75}
    assert table.of_class(1) == {"hd95": 4, "assd": 2, "nsd": 0.125}
    its = table.interval(0)
    assert its is not None
    assert its.mean == (3 + 6) / 2
    found = table.summary()["distances"]
    assert found["one_empty"] == {"x": 0, "y": 1}
    assert found["nsd"]["mean"] == pytest.approx((0.375 + 0.5) / 2)
    print_distances(table)
    assert "95 % Hausdorff 4.500" in capsys.readouterr().out


def test_numbers_that_no_image_has_are_left_out() -> None:
    table = DistanceTable(("x",), Ruler(), rows={"a.png": np.array([[np.nan, np.nan, 0.0]])})
    assert table.interval(0) is None
    assert table.of_class(0) == {"hd95": None, "assd": None, "nsd": 0.0}
    assert table.summary()["distances"]["hd95"] is None
