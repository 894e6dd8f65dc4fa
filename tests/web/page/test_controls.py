"""The positions of the sliders and the refinements that they stand for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.refine import PRESETS
from web.engine.look import Look
from web.page.cutout.controls import colour_named, controls_of


@pytest.mark.parametrize("preset", PRESETS)
def test_the_controls_of_a_preset_say_what_the_preset_says(preset: str) -> None:
    controls = controls_of(PRESETS[preset])
    expected = [dict(spec) for spec in Look(preset=preset).specs([])]
    found = Look(preset=preset, **controls.fields).specs([])
    assert [spec["name"] for spec in found] == [spec["name"] for spec in expected]
    for spec, had in zip(found, expected, strict=True):
        usual = controls_of([had])
        assert controls_of([spec]) == usual
        assert had.items() <= spec.items()


def test_a_moved_slider_changes_one_refinement() -> None:
    controls = controls_of(PRESETS["nuggy"])
    moved = Look(preset="nuggy", **replace(controls, cutoff=0.4, feather_px=7).fields).specs([])
    assert {"name": "cutoff", "level": 0.4} in moved
    assert {"name": "feather", "radius_px": 7} in moved
    off = Look(preset="nuggy", **replace(controls, edges="none", islands="none", gamma=1.0, cutoff=0.0).fields).specs(
        []
    )
    assert off == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("#ff8000", "#ff8000"),
        ("rgba(255, 128, 0, 1)", "#ff8000"),
        ("rgb(254.6, 0.2, 9)", "#ff0009"),
        ("rgba(900, 0, 0, 1)", "#ff0000"),
        ("white", "white"),
        ("rgb", "rgb"),
    ],
)
def test_the_colour_picker_writes_colours_in_several_ways(sent: str, expected: str) -> None:
    assert colour_named(sent) == expected
