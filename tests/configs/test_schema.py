from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loading.load import as_dict, dump, from_mapping, load
from configs.schema import Config
from data.hand_bone.task import hand_bone
from data.tasks import TASKS
from utils.errors import UserError
from utils.rounds import Rounds

MINIMAL = {"run": {"name": "x"}, "model": "unet"}


def complaint(**given: Any) -> str:
    with pytest.raises(UserError) as raised:
        from_mapping({**MINIMAL, **given})
    return str(raised.value)


def test_a_name_and_a_model_are_enough() -> None:
    config = from_mapping(MINIMAL)
    assert (config.run.name, config.model.name, config.loss.name) == ("x", "unet", "dice_bce")


def test_what_must_be_said_is_asked_for() -> None:
    with pytest.raises(UserError) as raised:
        from_mapping({}, "best.safetensors")
    assert str(raised.value).splitlines() == [
        "best.safetensors: run.name: required key is missing; expected text",
        "best.safetensors: model: required key is missing; expected a model, as a name or {name: …, …}",
    ]


@pytest.fixture
def in_colour(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a task with RGB images."""
    monkeypatch.setitem(TASKS, "painted", replace(hand_bone, name="painted", channels=3))
    return "painted"


def test_rgb_is_normalised_by_one_number_or_by_one_for_each_channel(in_colour: str) -> None:
    config = from_mapping({**MINIMAL, "task": in_colour, "transform": {"mean": [0.4, 0.5, 0.6], "std": 0.2}})
    assert (config.transform.mean, config.transform.std) == ((0.4, 0.5, 0.6), 0.2)
    assert from_mapping(as_dict(config)) == config


@pytest.mark.parametrize("key", ["mean", "std"])
def test_as_many_numbers_as_the_images_have_channels(key: str, in_colour: str) -> None:
    three = complaint(transform={key: [0.4, 0.5, 0.6]})
    assert three == (
        f"config: transform.{key}: 3 numbers, but the images of task 'hand_bone' have one channel (grey); write one "
        "number"
    )
    two = complaint(task=in_colour, transform={key: [0.4, 0.5]})
    assert f"transform.{key}: 2 numbers" in two
    assert "have 3 channels (RGB); write one number, or a list of 3" in two


@pytest.mark.parametrize("mean", [[], [0.5, "dark"], [0.5, 2], "dark", 2])
def test_a_mean_is_a_number_or_a_list_of_numbers_from_0_to_1(mean: Any) -> None:
    expected = "transform.mean: expected a number from 0 to 1, or a list of 1 or more numbers from 0 to 1, got "
    assert expected in complaint(transform={"mean": mean})


def test_a_config_never_changes() -> None:
    with pytest.raises(ValueError, match="frozen"):
        from_mapping(MINIMAL).seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run": {"name": "x" * 101}}, "run.name: expected 100 characters at most, for it names a folder; got 101"),
        ({"run": {"name": "../x"}}, "run.name: expected letters, digits and . _ + - alone, for it names a folder"),
        ({"task": "hand_bones"}, "task: 'hand_bones' is not a task. Did you mean 'hand_bone'?"),
        ({"fold": 5}, "fold: expected 0 to 4, for data.folds is 5; got 5"),
        (
            {"transform": {"size_px": [1, 2, 3]}},
            "transform.size_px: expected a whole number from 1 to 16384, or a list of 2",
        ),
        ({"transform": {"train": ["hflip", "rotat"]}}, "transform.train[1]: 'rotat' is not a transform. Did you mean"),
        ({"transform": {"evaluate": ["clahe", "rotate"]}}, "transform.evaluate[1]: 'rotate' moves pixels"),
        (
            {"early_stopping": {"patience": 50}},
            "early_stopping.patience: 50 can never run out in 50 evaluations (trainer.epochs: 50); take less",
        ),
        (
            {"early_stopping": {"patience": 10}, "trainer": {"evaluate_every": 5}},
            "early_stopping.patience: 10 can never run out in 10 evaluations",
        ),
        (
            {"early_stopping": {"mode": "min"}},
            "early_stopping.mode: 'min' would stop a run that gets better; dice needs max",
        ),
        ({"optimizer": {"name": "adamm"}}, "optimizer: 'adamm' is not an optimizer. Did you mean 'adam'?"),
        ({"predict": {"threshold": 0}}, "predict.threshold: expected a number above 0 and below 1, got 0"),
        (
            {"predict": {"windows": {"size_px": [64, 32], "stride_px": 48}}},
            "predict.windows.stride_px: expected at most the window's size [64, 32], else gaps are left",
        ),
        ({"predict": {"tta": {"scales": [0.5, 9]}}}, "predict.tta.scales[1]: expected a number from 0.1 to 4, got 9"),
        ({"predict": {"tta": {"flip": True}}}, "predict.tta.flip: unknown key. Did you mean 'hflip'?"),
        (
            {"loss": {"name": "mix", "parts": [{"loss": {"name": "focal", "gama": 2}}]}},
            "loss.parts[0].loss.gama: unknown key. Did you mean 'gamma'?",
        ),
        (
            {"patience": 3},
            "patience: unknown key here. Did you mean 'early_stopping.patience' or 'scheduler.patience'?",
        ),
        ({"batch_size": 3}, "batch_size: unknown key here. Did you mean 'trainer.batch_size'?"),
    ],
)
def test_what_cannot_work_is_reported(given: dict[str, Any], message: str) -> None:
    assert complaint(**given).startswith(f"config: {message}")


def test_patience_that_can_run_out_is_fine() -> None:
    assert from_mapping({**MINIMAL, "early_stopping": {"patience": 49}}).early_stopping is not None


def awkward() -> Config:
    """Values that YAML readers like to mistake for something else."""
    return from_mapping(
        {
            "run": {"name": "1e-3"},
            "data": {"root": "yes", "exclude": ["0412", "on", "12:30", "null", "", "손 #1", "a: b"]},
            "transform": {"size_px": [64, 96], "train": ["hflip", {"name": "affine", "scale": 1e-7}]},
            "model": {"name": "fpn", "decoder": {"decoder_dropout": 0.5}},
            "loss": {
                "name": "mix",
                "parts": [{"loss": {"name": "focal", "gamma": 1e-5}, "weight": 3}, {"loss": "dice"}],
            },
            "early_stopping": {},
        }
    )


def test_the_dump_loads_to_an_equal_config(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(dump(awkward()), encoding="utf-8")
    assert load(tmp_path / "config.yaml") == awkward()


def test_other_yaml_readers_understand_the_dump() -> None:
    assert yaml.safe_load(dump(awkward())) == as_dict(awkward())


def test_the_plain_form_makes_an_equal_config() -> None:
    assert from_mapping(as_dict(awkward())) == awkward()


def test_nothing_in_the_plain_form_needs_python() -> None:
    def plain(value: Any) -> bool:
        inner: Callable[[Any], bool] = lambda values: all(map(plain, values))  # noqa: E731
        if isinstance(value, dict):
            return inner(value.values())
        return inner(value) if isinstance(value, list) else value is None or type(value) in (bool, int, float, str)

    assert plain(as_dict(awkward()))


@pytest.mark.parametrize("value", ["null", "5", "[a]", "{a: 1}"])
def test_what_is_no_path_is_reported_in_plain_words(tmp_path: Path, value: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"run: {{name: x}}\nmodel: unet\ndata: {{root: {value}}}\n")
    with pytest.raises(UserError, match=r"mine\.yaml:3: data\.root: expected a path, got "):
        load(path)


def test_windows_are_not_divided_by_maxima_of_their_own() -> None:
    windows = complaint(transform={"divide_by_maximum": True}, predict={"windows": {"size_px": 64}})
    assert windows.startswith("config: transform.divide_by_maximum: would divide each window by its own maximum")
    assert from_mapping({**MINIMAL, "transform": {"divide_by_maximum": True}}).transform.divide_by_maximum


def test_a_training_is_counted_in_epochs_or_in_steps() -> None:
    by_epochs, by_steps = from_mapping(MINIMAL).trainer, from_mapping({**MINIMAL, "trainer": {"steps": 1005}}).trainer
    assert (by_epochs.epochs, by_epochs.evaluate_every, by_epochs.steps, by_epochs.rounds) == (50, 1, None, None)
    assert (by_steps.epochs, by_steps.evaluate_every, by_steps.rounds) == (None, None, Rounds(1005, 101))
    assert (by_epochs.evaluations, by_steps.evaluations) == (50, 10)
    for trainer in (by_epochs, by_steps):
        config = from_mapping({**MINIMAL, "trainer": trainer.model_dump()})
        assert config.trainer == trainer
        assert from_mapping(yaml.safe_load(dump(config))) == config
    assert complaint(trainer={"steps": 9, "epochs": 2}) == (
        "config: trainer.steps: 9 beside trainer.epochs: 2, and a training is counted in one of them; write epochs: "
        "null to count steps, or steps: null to count epochs"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"steps": 9, "evaluate_every": 1},
            "evaluate_every: counts epochs, but the training has trainer.steps; write evaluate_every_steps instead",
        ),
        (
            {"steps": 9, "swa_from_epoch": 1},
            "swa_from_epoch: counts epochs, but the training has trainer.steps; write swa_from_step instead",
        ),
        (
            {"evaluate_every_steps": 9},
            "evaluate_every_steps: counts steps, but the training has trainer.epochs; write evaluate_every instead",
        ),
        (
            {"epochs": 3, "swa_from_step": 9},
            "swa_from_step: counts steps, but the training has trainer.epochs; write swa_from_epoch instead",
        ),
        (
            {"steps": 9, "swa_from_step": 10},
            "swa_from_step: expected 1 to 9, for trainer.steps is 9; got 10",
        ),
    ],
)
def test_keys_of_the_other_unit_and_steps_that_do_not_come_are_refused(given: dict[str, Any], expected: str) -> None:
    assert complaint(trainer=given) == f"config: trainer.{expected}"


def test_weights_of_a_step_that_does_not_come_and_patience_that_cannot_run_out_are_refused() -> None:
    assert complaint(trainer={"steps": 9}, checkpoint={"keep_every_steps": 10}) == (
        "config: checkpoint.keep_every_steps: expected 1 to 9, for trainer.steps is 9; got 10, which no step reaches"
    )
    patient = {"steps": 900, "evaluate_every_steps": 300}
    assert complaint(trainer=patient, early_stopping={"patience": 3}) == (
        "config: early_stopping.patience: 3 can never run out in 3 evaluations (trainer.steps: 900); take less, train "
        "longer, or write early_stopping: null"
    )


def test_an_average_begins_with_the_first_evaluation_that_its_step_is_in() -> None:
    def first_of(step: int) -> int | None:
        trainer = {"steps": 1000, "evaluate_every_steps": 400, "swa_from_step": step}
        return from_mapping({**MINIMAL, "trainer": trainer}).trainer.swa_first_epoch

    assert [first_of(step) for step in (1, 400, 401, 800, 1000)] == [0, 0, 1, 1, 2]
