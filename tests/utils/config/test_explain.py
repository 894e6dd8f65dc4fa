from __future__ import annotations

import argparse

import pytest

from configs.command_line import add_overrides
from configs.reference import sections
from configs.schema import Config
from configs.tables import REGISTRIES
from utils.config.component import params_of
from utils.config.explain import explain
from utils.errors import UserError


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def test_a_key_says_its_values_its_default_and_its_meaning() -> None:
    assert explain(Config, "checkpoint.keep").splitlines() == [
        "checkpoint.keep",
        "  a whole number of 1 or more; default 2",
        "  How many of the newest checkpoints to keep.",
    ]


def test_every_key_is_explained_with_its_words() -> None:
    for name, section in sections():
        for key, field in section.model_fields.items():
            said = " ".join(explain(Config, f"{name}.{key}").split())
            assert " ".join((field.description or "").split()) in said


def test_a_block_says_its_keys() -> None:
    said = explain(Config, "checkpoint")
    assert all(f"\n  {key} " in said for key in type(Config.model_fields["checkpoint"].default).model_fields)


PLACES = {
    "model": "model",
    "loss": "loss",
    "optimizer": "optimizer",
    "scheduler": "scheduler",
    "transform": "transform.train",
    "cleanup": "predict.postprocess",
    "refinement": "predict.refine",
    "picture": "predict.picture",
    "format": "predict.format",
    "tracker": "trackers",
}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_choices_say_their_names_and_these_their_parameters(kind: str) -> None:
    table, place = REGISTRIES[kind](), PLACES[kind]
    names = explain(Config, place)
    for name, builder in table.items():
        assert f"\n  {name}" in names
        said = explain(Config, f"{place}.{name}")
        assert all(f"\n  {parameter} " in said for parameter in params_of(builder).model_fields)


def test_a_parameter_says_which_choices_have_it() -> None:
    assert explain(Config, "loss.gamma").splitlines()[-1] == "  Of focal, focal_tversky."


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("trainer.epoch", "trainer.epoch: unknown key. Did you mean 'epochs'?"),
        ("loss.dyce", "loss.dyce: no loss has this name or parameter. Did you mean 'dice'?"),
        ("seed.x", "seed.x: unknown key; seed is no block of keys."),
        ("", ": unknown key."),
    ],
)
def test_an_unknown_key_is_refused(key: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        explain(Config, key)
    assert str(refused.value).startswith(says)


def test_help_alone_is_that_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="train.py", add_help=False)
    add_overrides(parser)
    for arguments, says in (["--help"], "usage: train.py"), (["--help", "seed"], "seed\n  a whole number"):
        with pytest.raises(SystemExit) as ended:
            parser.parse_intermixed_args(arguments)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(says)
    assert parser.parse_intermixed_args(["seed=1"]).overrides == ["seed=1"]
