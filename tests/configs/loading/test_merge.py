from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., None]
Load = Callable[..., Any]
Complaints = Callable[..., list[str]]

BASE = "run: {name: base}\nloss: {name: dice, smooth: 3}\ntrainer: {epochs: 9, steps: [1, 2]}\nlosses: [dice, focal]\n"


def test_blocks_merge_and_lists_replace(toy: Load, write: Write) -> None:
    write(base=BASE)
    config = toy("extends: base.yaml\ntrainer: {rate: 0.5, steps: [7]}\n")
    assert (config.trainer.epochs, config.trainer.rate, config.trainer.steps) == (9, 0.5, (7,))


def test_a_component_of_the_same_name_keeps_its_other_parameters(toy: Load, write: Write) -> None:
    write(base=BASE)
    assert toy("extends: base.yaml\nloss: {name: dice}").loss.params.smooth == 3
    assert toy("extends: base.yaml\nloss: {smooth: 4}").loss.params.smooth == 4
    assert toy("extends: base.yaml\nloss: dice").loss.params.smooth == 3


def test_a_component_of_another_name_replaces_the_whole(toy: Load, write: Write) -> None:
    write(base=BASE)
    assert toy("extends: base.yaml\nloss: {name: focal, gamma: 1}").loss.build() == ("focal", 1)
    assert toy("extends: base.yaml\nloss: focal").loss.build() == ("focal", 2)
    assert toy("extends: base.yaml", "loss.gamma=5", "loss.name=focal").loss.build() == ("focal", 5)


def test_parameters_without_a_name_are_those_of_the_default(toy: Load) -> None:
    assert toy("loss: {smooth: 4}", "optimizer.lr=1e-4").loss.build() == ("dice", 4)
    assert toy("loss: {smooth: 4}", "optimizer.lr=1e-4").optimizer.build() == ("adamw", 1e-4)


def test_a_block_with_a_name_that_is_no_component_merges(toy: Load, write: Write) -> None:
    write(base="run: {name: base}\ntrainer: {epochs: 9}")
    config = toy("extends: base.yaml\nrun: {name: mine}")
    assert (config.run.name, config.trainer.epochs) == ("mine", 9)


def test_extends_goes_through_generations_and_folders(toy: Load, write: Write) -> None:
    Path("deep").mkdir()
    write(**{"deep/parent": "extends: ../grand.yaml\ntrainer: {rate: 2}", "grand": "trainer: {epochs: 4, rate: 1}"})
    config = toy("extends: deep/parent.yaml")
    assert (config.trainer.epochs, config.trainer.rate) == (4, 2)


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        ("extends: bass.yaml", "mine.yaml:1: extends: 'bass.yaml': no such file. Did you mean 'base.yaml'?"),
        ("\nextends: [a, b]", "mine.yaml:2: extends: expected the path of one YAML file, relative to this file"),
        ("extends: mine.yaml", "mine.yaml:1: extends: goes in a circle: mine.yaml → mine.yaml"),
        ("extends: a.yaml", "b.yaml:2: extends: goes in a circle: mine.yaml → a.yaml → b.yaml → mine.yaml"),
        ("extend: base.yaml", "mine.yaml:1: extend: unknown key. Did you mean 'extends'?"),
    ],
)
def test_what_cannot_be_extended_is_reported_at_its_line(
    complaints: Complaints, write: Write, mine: str, message: str
) -> None:
    write(base=BASE, a="extends: b.yaml", b="# two lines\nextends: mine.yaml")
    assert complaints(mine) == [message]


def test_a_problem_is_reported_in_the_file_that_has_it(complaints: Complaints, write: Write) -> None:
    write(base="trainer:\n  epoch: 3\n")
    assert complaints("extends: base.yaml\nloss: dicee\n") == [
        "mine.yaml:2: loss: 'dicee' is not a loss. Did you mean 'dice'? Valid: dice, dice_bce, focal",
        "base.yaml:2: trainer.epoch: unknown key. Did you mean 'epochs'?",
    ]


def test_overrides_win_and_the_last_counts(toy: Load) -> None:
    assert toy("trainer: {epochs: 3}", "trainer.epochs=4", "trainer.epochs=5").trainer.epochs == 5


@pytest.mark.parametrize(
    ("override", "value"),
    [("trainer.rate=1e-3", 1e-3), ("trainer.rate= 2", 2), ("trainer={rate: 4}", 4), ("trainer.rate=5 # why", 5)],
)
def test_override_values_are_yaml(toy: Load, override: str, value: float) -> None:
    assert toy("", override).trainer.rate == value


def test_an_override_may_change_one_item_of_a_list(toy: Load) -> None:
    config = toy("losses: [dice, focal]\ntrainer: {steps: [1, 2]}", "losses[1].gamma=7", "trainer.steps[0]=5")
    assert config.losses[1].build() == ("focal", 7)
    assert config.trainer.steps == (5, 2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.epoch=3", "command line: trainer.epoch=3: unknown key. Did you mean 'epochs'?"),
        (
            "trainer.epochs=many",
            "command line: trainer.epochs=many: expected a whole number of 1 or more, got 'many'",
        ),
        ("trainer={epoch: 3}", "command line: trainer={epoch: 3}: trainer.epoch: unknown key. Did you mean 'epochs'?"),
        ("extends=base.yaml", "command line: extends=base.yaml: stands in a file, not on the command line"),
        ("epochs=3", "command line: epochs=3: unknown key here. Did you mean 'trainer.epochs'?"),
        ("trainer.epochs", "command line: 'trainer.epochs': expected key=value, for example trainer.epochs=3"),
        ("=3", "command line: =3: expected a key such as trainer.epochs or transform.train[0].p before the '='"),
        ("trainer.steps=[1", "command line: trainer.steps=[1: not YAML: a bracket that opens here is never closed"),
        (
            "trainer.steps[2]=1",
            "command line: trainer.steps[2]=1: trainer.steps: the list has 2 items, counted from [0]; there is no [2]",
        ),
        (
            "trainer.epochs[0]=1",
            "command line: trainer.epochs[0]=1: trainer.epochs: is not a list, so it has no items to set",
        ),
        (
            "run.name=0412",
            "command line: run.name=0412: expected text, got 412; put it in quotes that the shell leaves: "
            "run.name='\"…\"'",
        ),
    ],
)
def test_a_wrong_override_is_reported_as_such(complaints: Complaints, override: str, message: str) -> None:
    assert complaints("trainer: {steps: [1, 2], epochs: 1}", override) == [message]


def test_a_value_that_the_shell_has_split_is_reported_once_and_in_full(complaints: Complaints) -> None:
    typed = ["trainer.steps=[{a:", "1,", "b:", "2},", "3]", "trainer.steps=[1", "trainer.epochs=2"]
    assert complaints("trainer: {steps: [1, 2], epochs: 1}", *typed) == [
        "command line: trainer.steps=[{a:: the shell has cut this at a space; put it in quotes: "
        "'trainer.steps=[{a: 1, b: 2}, 3]'",
        "command line: trainer.steps=[1: not YAML: a bracket that opens here is never closed",
    ]
