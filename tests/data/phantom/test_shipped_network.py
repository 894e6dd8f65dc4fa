"""The network in weights/hand-phantom.safetensors: what its file says, and what it finds on films that it never saw."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import carpus
from data.hand_bone.task import hand_bone
from data.phantom.anatomy import Anatomy
from data.phantom.dataset import PhantomSet, plan, render

NETWORK = Path(__file__).parents[3] / "weights" / "hand-phantom.safetensors"


@pytest.fixture(scope="module")
def model() -> carpus.Model:
    return carpus.load(NETWORK)


def test_the_file_is_small_and_names_no_folder_of_the_machine_on_which_it_was_trained() -> None:
    assert NETWORK.stat().st_size < 12e6
    with safe_open(NETWORK, framework="pt") as file:
        about = json.loads(file.metadata()["carpus"])
    assert not re.search(r'"(/|~|\.\.)', json.dumps(about))
    sources = about["provenance"]["data"] + about["provenance"]["start"]
    assert {source["licence"] for source in sources} == {"Apache-2.0"}


@pytest.mark.parametrize(("preset", "least"), [("contest", 0.9), ("unseen", 0.6)])
def test_bones_of_films_that_it_never_saw_are_found(
    preset: str, least: float, model: carpus.Model, anatomy: Anatomy, tmp_path: Path
) -> None:
    wanted = PhantomSet(0, 1, 320, seed=99, preset=preset)
    for hand in plan(wanted):
        render(anatomy, hand, tmp_path, wanted)
    samples = hand_bone.layout.find_samples(tmp_path / "test", labelled=True)
    assert len(samples) == 2
    scores = [hand_bone.score(model.predict(sample.image).packed, hand_bone.read(sample)[1]) for sample in samples]
    assert np.mean(scores) > least


def test_a_hand_that_fills_a_third_of_its_film_is_looked_at_closer(anatomy: Anatomy, tmp_path: Path) -> None:
    wanted = PhantomSet(0, 1, 320, seed=99)
    render(anatomy, plan(wanted)[0], tmp_path, wanted)
    (sample,) = hand_bone.layout.find_samples(tmp_path / "test", labelled=True)
    image, truth = hand_bone.read(sample)
    around = ((320, 320), (320, 320))
    small, small_truth = np.pad(image, around), np.pad(truth, (*around, (0, 0)))
    once, closer = (
        hand_bone.score(
            carpus.load(NETWORK, settings=[f"predict.zoom={zoom}"]).predict(small).packed, small_truth
        ).mean()
        for zoom in ("false", "true")
    )
    assert closer > once + 0.05
    assert closer > 0.9


def test_few_bones_are_found_if_a_picture_shows_no_hand(model: carpus.Model) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 240), np.uint8)
    found = model.predict(noise)
    assert sum(mask.any() for mask in found.masks.values()) < len(found.classes) / 2
