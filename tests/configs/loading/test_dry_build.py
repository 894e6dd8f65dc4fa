from __future__ import annotations

from pathlib import Path

import pytest

from configs.loading.load import load
from utils.errors import UserError

MINE = """\
run: {name: x}
model:
  name: unet
  encoder: resnet3
loss: dice
optimizer: {name: adamw, lr: 1e-7}
scheduler:
  name: cosine
transform:
  train:
    - hflip
    - {name: elastic, amplitude: 0.5}
"""


def complaints(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as raised:
        load(path)
    return str(raised.value).replace(f"{tmp_path.as_posix()}/", "").splitlines()


def test_what_builders_refuse_is_reported_with_its_line(tmp_path: Path) -> None:
    encoder, scheduler, elastic = complaints(tmp_path, MINE)
    assert encoder.startswith("mine.yaml:4: model.encoder: 'resnet3' is not an encoder. Did you mean 'resnet34'")
    assert scheduler.startswith("mine.yaml:7: scheduler: min_lr (1e-06) must not exceed")
    assert elastic.startswith("mine.yaml:12: transform.train[1]: amplitude 0.5 with 6 cells folds the image")


@pytest.mark.parametrize(("name", "key"), [("u2netp", "weights"), ("isnet", "gt_encoder")])
def test_an_absent_file_of_a_whole_network_is_found_before_anything_is_built(
    name: str, key: str, tmp_path: Path
) -> None:
    text = f"run: {{name: x}}\ntask: hand_bone\nmodel:\n  name: {name}\n  {key}: nowhere.pth\n"
    (told,) = complaints(tmp_path, text)
    assert told.startswith(f"mine.yaml:5: model.{key}: nowhere.pth is not there; give an existing file, such as")


def test_a_warm_up_longer_than_its_cycle_is_reported(tmp_path: Path) -> None:
    text = "run: {name: x}\nmodel: unet\nscheduler: {name: custom_cawr, first_cycle: 10, warmup: 10}\n"
    assert complaints(tmp_path, text) == [
        "mine.yaml:3: scheduler: warmup (10) must be less than first_cycle (10), which includes it"
    ]


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (
            "encoder_weights: nowhere.pth",
            "encoder_weights: nowhere.pth is not there; give an existing file, a name, or",
        ),
        ("encoder_weights: tests/", "encoder_weights: tests is a folder; give an existing file"),
        ("encoder_weights: imagnet", "encoder_weights: 'imagnet' is not known for encoder 'resnet34'. Did you mean"),
        ("encoder_weights: lite0", "encoder_weights: 'lite0' fits encoder 'timm-tf_efficientnet_lite0' alone"),
        ("decoder: {channels: [1]}", "decoder.channels: unknown key. Did you mean 'decoder_channels'?"),
        ("encoder_options: {drop_path_rate: 0.1}", "encoder_options: only timm's encoders"),
        (
            "encoder: tu-resnet18, encoder_options: {checkpoint_path: theirs.pth}",
            "encoder_options.checkpoint_path: is set from the other keys, or reaches for files",
        ),
    ],
)
def test_weights_and_options_that_a_network_cannot_have_are_reported_before_it_is_built(
    tmp_path: Path, model: str, complaint: str
) -> None:
    (told,) = complaints(tmp_path, f"run: {{name: x}}\nmodel: {{name: unet, {model}}}\n")
    assert told.startswith(f"mine.yaml:2: model.{complaint}")


def test_a_transform_of_colours_is_refused_for_a_task_with_grey_images(tmp_path: Path) -> None:
    text = "run: {name: x}\nmodel: unet\ntransform:\n  train:\n  - hue_saturation\n"
    assert complaints(tmp_path, text) == [
        "mine.yaml:5: transform.train[0]: changes colours, but the images of this task are grey. Leave the transform "
        "out."
    ]
    (tmp_path / "mine.yaml").write_text(f"task: foreground\n{text}", encoding="utf-8")
    assert load(tmp_path / "mine.yaml").transform.train[0].name == "hue_saturation"


def test_a_class_that_the_task_does_not_have_is_reported_with_its_line(tmp_path: Path) -> None:
    text = (
        "run: {name: x}\nmodel: unet\ntransform:\n  train:\n  - {name: foreground_crop, size_px: 8, classes: [Ulma]}\n"
    )
    assert complaints(tmp_path, text) == [
        "mine.yaml:5: transform.train[0].classes: 'Ulma' is not a class of this task. Did you mean 'Ulna'?"
    ]
