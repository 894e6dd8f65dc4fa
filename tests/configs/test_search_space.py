"""A search's space: ranges and choices, each value tried on the experiment, every problem with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.loading.load import dump, from_mapping, load
from configs.search_space import Choices, Span, format_override, load_space
from utils.errors import UserError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(dump(from_mapping({"run": {"name": "x"}, "model": "unet", "trainer": {"epochs": 4}})))
    return path


def space_file(config: Path, text: str) -> Path:
    path = config.with_name("space.yaml")
    path.write_text(text)
    return path


def test_ranges_and_choices_are_read(config: Path) -> None:
    space = load_space(
        space_file(
            config,
            "optimizer.lr: {low: 1e-4, high: 1e-2, log: true}\n"
            "trainer.batch_size: {low: 2, high: 8, step: 2}\n"
            "loss: {choices: [dice, {name: focal, gamma: 1.5}]}\n",
        ),
        config,
    )
    assert space["optimizer.lr"] == Span(low=1e-4, high=1e-2, log=True)
    whole = space["trainer.batch_size"]
    assert isinstance(whole, Span)
    assert whole.is_whole
    assert not Span(low=1, high=2, step=0.5).is_whole
    assert space["loss"] == Choices(choices=("dice", {"name": "focal", "gamma": 1.5}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "space.yaml: names no key. Write for example: optimizer.lr: {low"),
        ("optimizer.lrr: {low: 1e-4, high: 1}", "space.yaml:1: optimizer.lrr: unknown key. Did you mean 'lr'?"),
        (
            "seed: {low: 1, high: 2}\n\nlr: {low: 1, high: 2}",
            "space.yaml:3: lr: unknown key here. Did you mean 'optimizer.lr'",
        ),
        ("loss: {choices: [dice, dcie]}", "space.yaml:1: loss: 'dcie' is not a loss. Did you mean 'dice'?"),
        ("trainer.epochs: {low: 0, high: 3}", "space.yaml:1: trainer.epochs: expected a whole number from 1"),
        ("trainer.batch_size: {low: 1, high: 2.5}", "space.yaml:1: trainer.batch_size: expected a whole number"),
        ("optimizer.lr: {low: 1, high: 1}", "space.yaml:1: optimizer.lr.high: expected more than low, 1, got 1"),
        ("optimizer.lr: {low: 0, high: 1, log: true}", "space.yaml:1: optimizer.lr.low: expected a number above 0"),
        ("optimizer.lr: {low: 1, hihg: 2}", "space.yaml:1: optimizer.lr.hihg: unknown key. Did you mean 'high'?"),
        ("optimizer.lr: {low: 1}", "space.yaml:1: optimizer.lr.high: required key is missing"),
        (
            "optimizer.lr: {low: a, high: 2}",
            "space.yaml:1: optimizer.lr.low: expected a whole number, or a number, got",
        ),
        ("optimizer.lr: {low: 1, high: 2, step: -1}", "space.yaml:1: optimizer.lr.step: expected a number above 0"),
        ("optimizer.lr: 3", "space.yaml:1: optimizer.lr: expected {low: …, high: …} or {choices: […]}, got 3"),
        ("loss: {choices: [dice]}", "space.yaml:1: loss.choices: expected a list of 2 or more"),
        ("run.name: {choices: [a, b]}", "space.yaml:1: run.name: cannot be searched"),
        ("fold: {low: 0, high: 4}", "space.yaml:1: fold: cannot be searched"),
        ("optimizer.lr: {low: 1", "space.yaml:1: not YAML: a bracket that opens here is never closed"),
        ("bad key: {low: 1, high: 2}", "space.yaml:1: bad key: expected a key such as trainer.epochs"),
    ],
)
def test_what_is_wrong_is_reported_with_file_line_and_key(config: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as raised:
        load_space(space_file(config, text), config)
    assert told in str(raised.value)
    assert "command line" not in str(raised.value)


def test_all_problems_are_reported_together(config: Path) -> None:
    with pytest.raises(UserError) as raised:
        load_space(space_file(config, "loss: 1\noptimizer.lrr: {low: 1, high: 2}\nseed: {low: 3, high: 1}\n"), config)
    assert [line.split(":")[-2].strip() for line in str(raised.value).splitlines()].count("") == 0
    assert len(str(raised.value).splitlines()) == 3


def test_a_space_that_is_not_there_is_one_sentence(config: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_space(config.with_name("none.yaml"), config)


@pytest.mark.parametrize("value", [1e-5, 3, True, None, "tu-hrnet_w48", {"name": "focal", "gamma": 1.5}, [1, "no"]])
def test_values_reach_a_config_as_they_are(config: Path, value: object) -> None:
    with pytest.raises(UserError) as raised:
        load(config, [format_override("nonsense", value)])
    assert "unknown key" in str(raised.value), "it was read as YAML"


@pytest.mark.parametrize("value", ["dice", "no", "1e-3", "null", "a b", "weights/a.pt", "true", "[x]", "'", "다"])
def test_texts_stay_texts(config: Path, value: str) -> None:
    assert load(config, [format_override("data.root", value)]).data.root == Path(value)
