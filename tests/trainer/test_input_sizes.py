from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from configs.schema import Config
from data.tasks import TASKS
from trainer.build import build_model, build_predictor
from trainer.input_sizes import check_sizes, sizes_predicted, sizes_trained_on, windows_of
from trainer.prediction.tta import AVERAGES, View
from trainer.prediction.windows import Windows
from utils.errors import UserError

Make = Callable[..., Config]
BY_32 = {"name": "linknet", "encoder": "resnet18", "decoder": None}
"""A network whose input sides must be multiples of 32."""


def test_images_are_seen_whole_unless_a_config_says_otherwise(make_config: Make) -> None:
    config = make_config(transform={"size_px": [64, 96]})
    assert sizes_trained_on(config) == {(64, 96): "transform.size_px"}
    assert sizes_predicted(config, build_model(config)) == {(64, 96): "transform.size_px"}
    assert windows_of(config.predict.windows) is None


def test_crops_windows_and_scales_each_have_a_size(make_config: Make) -> None:
    config = make_config(
        model=BY_32,
        transform={"size_px": 256, "train": ["hflip", {"name": "foreground_crop", "size_px": [96, 64]}, "rotate"]},
        predict={"windows": {"size_px": 160, "stride_px": 32}, "tta": {"scales": [0.3, 2]}},
    )
    assert sizes_trained_on(config) == {(96, 64): "transform.train[1].size_px"}
    assert windows_of(config.predict.windows) == Windows((160, 160), (32, 32), 0.125)
    assert sizes_predicted(config, build_model(config)) == {
        (160, 160): "predict.windows.size_px",
        (64, 64): "transform.size_px",
    }


def test_windows_are_half_a_window_apart_unless_said(make_config: Make) -> None:
    config = make_config(predict={"windows": {"size_px": [64, 32], "sigma": None}})
    assert windows_of(config.predict.windows) == Windows((64, 32), (32, 16), None)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"transform": {"size_px": 100}}, r"transform\.size_px"),
        ({"transform": {"train": [{"name": "foreground_crop", "size_px": 40}]}}, r"transform\.train\[0\]\.size_px"),
        ({"predict": {"windows": {"size_px": 40}}}, r"predict\.windows\.size_px"),
    ],
)
def test_sizes_that_the_network_cannot_take_name_their_key(
    changes: dict[str, Any], key: str, make_config: Make
) -> None:
    config = make_config(model=BY_32, **changes)
    with pytest.raises(UserError, match=rf"multiples of 32 px, but its input has .*; set {key} to "):
        check_sizes(config, build_model(config), TASKS[config.task])


def test_whole_images_of_any_size_do_not_matter_where_crops_and_windows_are_seen(make_config: Make) -> None:
    config = make_config(
        model=BY_32,
        transform={"size_px": 100, "train": [{"name": "random_crop", "size_px": 64}]},
        predict={"windows": {"size_px": 64}},
    )
    check_sizes(config, build_model(config), TASKS[config.task])


def test_validation_sees_other_views_unless_they_are_left_to_inference(make_config: Make) -> None:
    settings = {"average": "logits", "windows": {"size_px": 32}, "tta": {"hflip": True, "rotations_deg": [5]}}
    for wanted, views in ((True, 4), (False, 1)):
        config = make_config(model=BY_32, predict={**settings, "tta": {**settings["tta"], "validation": wanted}})  # type: ignore[dict-item]
        network, cpu = build_model(config), torch.device("cpu")
        validating = build_predictor(config, network, cpu, validating=True)
        assert len(validating.views) == views
        predicting = build_predictor(config, network, cpu)
        assert predicting.views[1] == View(rotate_deg=5)
        for predictor in (validating, predicting):
            assert predictor.windows == Windows((32, 32), (16, 16))
            assert predictor.average is AVERAGES["logits"]
            assert predictor.step_px == 32
