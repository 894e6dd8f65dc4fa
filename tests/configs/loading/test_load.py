from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.loading.load import load, load_as
from utils.config.section import Section
from utils.errors import UserError

Complaints = Callable[..., list[str]]


class Anything(Section):
    seed: int = 1


def test_all_problems_come_at_once_in_the_order_of_the_file(complaints: Complaints) -> None:
    text = """\
epochs: 3
trainer:
  epochs: many
  epochs: 4
  rates: 3
loss:
  smooth: 0
losses:
  - dicee
  - name: focal
    gama: 3
  - {name: dicebce}
  - 7
  - smooth: 3
"""
    valid = "Valid: dice, dice_bce, focal"
    assert complaints(text, "optimizer.lr=-1") == [
        "mine.yaml:1: epochs: unknown key here. Did you mean 'trainer.epochs'?",
        "mine.yaml:3: trainer.epochs: expected a whole number of 1 or more, got 'many'",
        "mine.yaml:4: trainer.epochs: given twice, on lines 3 and 4; keep one",
        "mine.yaml:5: trainer.rates: unknown key. Did you mean 'rate'?",
        "mine.yaml:7: loss.smooth: expected a number above 0, got 0",
        "mine.yaml:9: losses[0]: 'dicee' is not a loss. Did you mean 'dice'? " + valid,
        "mine.yaml:11: losses[1].gama: unknown key. Did you mean 'gamma'?",
        "mine.yaml:12: losses[2]: 'dicebce' is not a loss. Did you mean 'dice_bce'? " + valid,
        "mine.yaml:13: losses[3]: expected a loss, as a name or {name: …, …}, got 7",
        "mine.yaml:14: losses[4].name: expected the name of a loss, got nothing. " + valid,
        "command line: optimizer.lr=-1: expected a number above 0, got -1",
    ]


def test_a_parameter_of_another_block_is_sent_there(complaints: Complaints) -> None:
    assert complaints("trainer: {lr: 1}") == ["mine.yaml:1: trainer.lr: unknown key here. Did you mean 'optimizer.lr'?"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("min.yaml", "min.yaml: no such file. Did you mean 'mine.yaml'?"),
        ("zebra", "zebra: no such file. In that folder: mine.yaml"),
        ("nowhere/mine.yaml", "nowhere/mine.yaml: no such file"),
        ("folder", "folder: is a folder; expected a YAML file"),
        ("latin.yaml", "latin.yaml: is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("mine.yaml").write_text("seed: 1")
    if path == "latin.yaml":
        Path(path).write_bytes("a: é".encode("latin-1"))
    with pytest.raises(UserError) as raised:
        load_as(Anything, path)
    assert str(raised.value) == message


def test_overrides_are_checked_even_if_the_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        load_as(Anything, tmp_path / "none.yaml", ["seed"])
    assert len(str(raised.value).splitlines()) == 2


def test_the_plain_kinds_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1e3")
    loaded: Any = load_as(Anything, tmp_path / "a.yaml")
    assert loaded.seed == 1000


def test_what_is_below_a_misspelt_block_and_what_builders_refuse_come_in_the_same_round(tmp_path: Path) -> None:
    file = tmp_path / "five.yaml"
    file.write_text(
        "run: {name: x}\ntrainr:\n  epochs: three\nmodel:\n  name: unet\n  encoder: resnet99\nloss: dicee\n"
        "optimizer: {name: adamw, lr: fast}\n"
    )
    with pytest.raises(UserError) as refused:
        load(file)
    lines = str(refused.value).replace(f"{file}:", "").splitlines()
    assert [line[:29] for line in lines] == [
        "2: trainr: unknown key. Did y",
        "3: trainr.epochs: expected a ",
        "6: model.encoder: 'resnet99' ",
        "7: loss: 'dicee' is not a los",
        "8: optimizer.lr: expected a n",
    ]


def test_what_is_below_a_misspelt_name_comes_in_the_same_round(tmp_path: Path) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(
        "run: {name: x}\nmodel:\n  name: unett\n  encoder: resnet99\n  encoder_weight: null\n"
        "loss: {name: nothing_like_it, alpha: 2}\noptimizer: {name: adamww, lrr: 1, lr: fast}\n"
    )
    with pytest.raises(UserError) as refused:
        load(file)
    lines = sorted(str(refused.value).replace(f"{file}:", "").splitlines())
    assert [line[:29] for line in lines] == [
        "3: model: 'unett' is not a mo",
        "4: model.encoder: 'resnet99' ",
        "5: model.encoder_weight: unkn",
        "6: loss: 'nothing_like_it' is",
        "7: optimizer.lr: expected a n",
        "7: optimizer.lrr: unknown key",
        "7: optimizer: 'adamww' is not",
    ]


def test_a_wrong_encoder_is_named_beside_an_unknown_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("run: {name: x}\nmodel: {name: unet, encoder: resnet99, width: 3}\n")
    with pytest.raises(UserError, match=r"model\.width: unknown key.*\n.*model\.encoder: 'resnet99'"):
        load(tmp_path / "a.yaml")


def test_a_file_whose_name_is_too_long_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"run: {{name: x}}\nmodel: {{name: u2netp, weights: {'w' * 300}}}\n")
    with pytest.raises(UserError, match=r":2: model\.weights: w+ is not there; give an existing file"):
        load(path)


def test_a_name_in_a_block_that_names_no_component_is_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("run: {name: x}\nmodel: unet\ntransform: {name: x}\n")
    with pytest.raises(UserError, match=r":3: transform\.name: unknown key here\. Did you mean 'run\.name'\?"):
        load(path)
