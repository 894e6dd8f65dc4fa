"""Soft masks are refined when predictions are written, from probabilities that are not rounded yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.scenes import Scene, draw_scene
from configs.loading.load import as_dict, from_mapping
from configs.schema import Config
from data.cutout.pictures.writer import OpenPictures
from data.refine import Refine, preset, refine_mask
from data.sample import Sample
from data.tasks import TASKS
from runtime.settings import with_pictures
from trainer.build import build_predictor
from trainer.ensemble.memory_plan import MemoryPlan
from trainer.ensemble.predict import Ensemble
from trainer.prediction.decode import AlphaDecoder, BitDecoder, Decoder, as_alpha
from utils.errors import UserError

Make = Callable[..., Config]
SOFT = preset("soft")


def decoder_of(config: Config, *, validating: bool = False) -> Decoder:
    return build_predictor(config, nn.Identity(), torch.device("cpu"), validating=validating).decoder


def cutouts(make_config: Make, **predict: object) -> Config:
    return make_config(task="foreground", predict=predict)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene("fur", "wood", 1, (96, 128))


@pytest.fixture(scope="module")
def logits(scene: Scene) -> torch.Tensor:
    """The logits of a network at a quarter of the picture's size, [1, h, w]."""
    small = torch.nn.functional.interpolate(torch.from_numpy(scene.alpha)[None, None], (24, 32), mode="area")[0]
    return torch.logit(small, 1e-3)


def test_cut_outs_are_refined_as_configured_if_they_are_written_and_bones_never(make_config: Make) -> None:
    assert len(decoder_of(cutouts(make_config, refine="soft")).refine) == len(SOFT) > 0
    assert decoder_of(cutouts(make_config, refine="soft"), validating=True).refine == ()
    assert len(decoder_of(cutouts(make_config)).refine) == len(SOFT)
    assert decoder_of(cutouts(make_config), validating=True).refine == ()
    assert decoder_of(cutouts(make_config, refine="plain")).refine == ()
    assert decoder_of(cutouts(make_config, refine=["islands"])).refine[0].change.keywords["keep"] == "main"  # type: ignore[attr-defined]
    assert decoder_of(make_config()) == BitDecoder()
    with pytest.raises(UserError, match=r"predict\.refine: is for soft masks, but those of task 'hand_bone' are hard"):
        decoder_of(make_config(predict={"refine": "soft"}))


def test_own_colours_are_written_with_refined_masks_or_as_configured(make_config: Make) -> None:
    def are_written(task: str, **predict: object) -> bool:
        config = make_config(task=task, predict=predict)
        opened = with_pictures(TASKS[task], config.predict).output.open
        assert isinstance(opened, OpenPictures)
        return opened.style.own_colours

    assert are_written("foreground")
    assert are_written("foreground", refine="soft")
    assert not are_written("foreground", refine="plain")
    assert are_written("foreground", own_colours=True)
    assert not are_written("foreground", refine="soft", own_colours=False)
    with pytest.raises(UserError, match=r"predict\.own_colours: task 'hand_bone' writes no pictures"):
        are_written("hand_bone", own_colours=True)


def test_a_preset_is_saved_as_the_refinements_that_it_stands_for(make_config: Make) -> None:
    config = cutouts(make_config, refine="soft")
    saved = as_dict(config)
    assert [spec["name"] for spec in saved["predict"]["refine"]] == ["colour_matting", "islands", "cutoff"]
    assert from_mapping(saved) == config
    with pytest.raises(UserError, match=r"'sof' is not a preset of refinements\. Did you mean 'soft'\?"):
        cutouts(make_config, refine="sof")
    with pytest.raises(UserError, match=r"predict\.refine\[0\]: 'island' is not a refinement\. Did you mean 'islands'"):
        cutouts(make_config, refine=["island"])


def test_the_chain_is_given_probabilities_before_they_are_rounded(scene: Scene, logits: torch.Tensor) -> None:
    seen: list[np.ndarray] = []
    watched = AlphaDecoder(refine=(Refine(lambda _, alpha: seen.append(alpha.copy())), *SOFT))
    alpha = watched.of_logits(logits, scene.alpha.shape, scene.picture)
    raw = torch.nn.functional.interpolate(logits[None], scene.alpha.shape, mode="bilinear")[0].sigmoid()
    assert np.array_equal(seen[0], raw[0].numpy())
    refined = refine_mask(scene.picture, raw.clone().permute(1, 2, 0).numpy(), SOFT)
    assert np.array_equal(alpha, as_alpha(torch.from_numpy(refined).permute(2, 0, 1).clone()))
    errors = [np.abs(each[..., 0] / 255 - scene.alpha).mean() for each in (as_alpha(raw), alpha)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("holds_logits", [True, False])
def test_an_ensembles_mean_is_refined_as_one_networks_mask_is(
    holds_logits: bool, scene: Scene, logits: torch.Tensor, monkeypatch: pytest.MonkeyPatch, make_config: Make
) -> None:
    config = cutouts(make_config)
    plain = build_predictor(config, nn.Identity(), torch.device("cpu"))
    predictor = replace(plain, read_image=lambda _: scene.picture)
    sample = Sample("a", "a", Path("a.png"))
    alone = predictor.decoder.of_logits(logits, scene.alpha.shape, scene.picture)
    monkeypatch.setattr(Ensemble, "holds_logits", property(lambda _: holds_logits))
    monkeypatch.setattr(type(predictor), "logits", lambda *_: logits[None])

    class Twin:
        weight_C = np.array([0.5], np.float32)

        def load(self, _: torch.device) -> Twin:
            return self

        @property
        def predictor(self) -> object:
            return predictor

    plan = MemoryPlan(((0, 1),), 1)
    twins = [Twin(), Twin()]
    ensemble = Ensemble(twins, plan, torch.device("cpu"), predictor.decoder, predictor.read_image)  # type: ignore[arg-type]
    ((_, mask),) = ensemble.masks([sample])
    assert np.abs(mask.astype(int) - alone).max() <= 1
