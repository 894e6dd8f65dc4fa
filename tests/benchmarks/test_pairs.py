from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from benchmarks import measure
from benchmarks.material import Material
from benchmarks.measure import time_in_turn
from benchmarks.pair import Disagreement, Sides
from benchmarks.tables import PAIRS
from data.dataset import Item


def wrong(result: Any) -> Any:
    """Our result with one mistake in it."""
    if isinstance(result, Path) and result.is_dir():
        first = min(result.glob("*.png"))
        pixels = np.asarray(cv2.imread(str(first), cv2.IMREAD_UNCHANGED))
        cv2.imwrite(str(first), 255 - pixels)
        return result
    if isinstance(result, Path):
        one_longer = re.sub(r"\d+$", lambda run: str(int(run[0]) + 1), result.read_text(), count=1, flags=re.MULTILINE)
        result.write_text(one_longer)
        return result
    if isinstance(result, Item):
        return result._replace(mask=result.mask ^ 1)
    if isinstance(result, tuple):
        return (result[0], wrong(result[1]))
    if isinstance(result, list):
        return ["1 1", *result[1:]]
    if isinstance(result, int):
        return result - 1
    changed = result.clone() if isinstance(result, torch.Tensor) else result.copy()
    changed.reshape(-1)[0] += 100
    return changed


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:pycocotools")
@pytest.mark.parametrize("name", PAIRS)
def test_both_ways_agree_and_a_mistake_in_ours_is_seen(name: str, material: Material) -> None:
    sides = PAIRS[name].prepare(material)
    theirs, ours = sides.usual(), sides.ours()
    sides.agree(theirs, ours)
    with pytest.raises(Disagreement, match="the usual way and ours differ"):
        sides.agree(theirs, wrong(ours))


@pytest.mark.parametrize("name", ["sample_2048", "sample_1024"])
def test_other_grey_values_are_seen(name: str, material: Material) -> None:
    sides = PAIRS[name].prepare(material)
    item = sides.ours()
    with pytest.raises(Disagreement, match="grey values"):
        sides.agree(sides.usual(), item._replace(image=torch.flip(item.image, [1])))


def test_the_network_of_an_inference_is_taken_off(material: Material) -> None:
    sides = PAIRS["inference"].prepare(material)
    sides.ours()
    assert sides.aside_s() > 0


def test_times_are_medians_of_second_calls_of_sides_in_turn() -> None:
    calls: list[str] = []
    shares = iter([0.0, 0.0, 9.0, 0.0, 1.0, 0.0, 3.0, 0.0, 7.0])

    def usual() -> float:
        calls.append("usual")
        return 5.0

    def ours() -> float:
        calls.append("ours")
        return next(shares)

    sides = Sides(usual, ours, agree=lambda theirs, mine: None, reads=lambda result: float(result))
    timing = time_in_turn(replace(PAIRS["fill"], rounds=4), sides)
    assert calls == ["usual", "ours"] + ["usual", "usual", "ours", "ours"] * 4
    assert (timing.usual, timing.ours, timing.rounds) == (5.0, 5.0, 4)


def test_the_usual_way_finds_no_memory_that_ours_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(measure, "give_freed_memory_back", lambda: calls.append("given back"))
    monkeypatch.setattr(measure, "keep_freed_memory", lambda: calls.append("kept"))
    sides = Sides(lambda: calls.append("usual"), lambda: calls.append("ours"), agree=lambda theirs, ours: None)
    measure.time_in_turn(replace(PAIRS["fill"], rounds=2), sides)
    timed = ["given back", "usual", "usual", "kept", "ours", "ours"]
    assert calls == ["given back", "usual", "ours", *timed, *timed]


def test_sides_that_differ_are_not_timed() -> None:
    def differ(theirs: object, ours: object) -> None:
        raise Disagreement("no")

    with pytest.raises(Disagreement):
        time_in_turn(PAIRS["fill"], Sides(lambda: 1, lambda: 2, agree=differ))


def test_what_is_neithers_time_is_taken_off_both() -> None:
    sides = Sides(lambda: None, lambda: None, agree=lambda theirs, ours: None, aside_s=lambda: 100.0)
    timing = time_in_turn(replace(PAIRS["fill"], rounds=1), sides)
    assert timing.usual == pytest.approx(-100, abs=1)
    assert timing.ours == pytest.approx(-100, abs=1)
