from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from utils.config.section import Section, fault


class Trainer(Section):
    epochs: Annotated[int, Field(ge=1)] = 3
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    ema: Annotated[float, Field(ge=0, le=1)] | None = None
    compile: bool = False
    precision: Literal["auto", "fp16"] = "auto"
    size: int | tuple[int, int] = 64
    milestones: tuple[int, ...] = ()
    exclude: tuple[str, ...] = ()

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if list(milestones) != sorted(milestones):
            raise ValueError("milestones must rise")
        return milestones


class Root(Section):
    name: str
    trainer: Trainer = Trainer()


def problems(**given: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Root.model_validate({"name": "x", **given})
    return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in raised.value.errors()]


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"epoch": 3}, "trainer.epoch: unknown key. Did you mean 'epochs'?"),
        ({"epochs": "many"}, "trainer.epochs: expected a whole number of 1 or more, got 'many'"),
        ({"epochs": "12"}, "trainer.epochs: expected a whole number of 1 or more, got '12'"),
        ({"epochs": 0}, "trainer.epochs: expected a whole number of 1 or more, got 0"),
        ({"epochs": 2.5}, "trainer.epochs: expected a whole number of 1 or more, got 2.5"),
        ({"epochs": True}, "trainer.epochs: expected a whole number of 1 or more, got true"),
        ({"epochs": None}, "trainer.epochs: expected a whole number of 1 or more, got nothing"),
        ({"rate": 1}, "trainer.rate: expected a number above 0 and below 1, got 1"),
        ({"rate": float("nan")}, "trainer.rate: expected a number above 0 and below 1, got nan"),
        ({"ema": 2}, "trainer.ema: expected a number from 0 to 1, or null, got 2"),
        ({"compile": "yes"}, "trainer.compile: expected true or false, got 'yes'"),
        ({"compile": 1}, "trainer.compile: expected true or false, got 1"),
        ({"precision": "fp8"}, "trainer.precision: expected auto or fp16, got 'fp8'"),
        ({"size": "x"}, "trainer.size: expected a whole number, or a list of 2 whole numbers, got 'x'"),
        ({"size": [1]}, "trainer.size: expected a whole number, or a list of 2 whole numbers, got [1]"),
        ({"milestones": 3}, "trainer.milestones: expected a list of whole numbers, got 3; write [3]"),
        ({"exclude": "ID073"}, "trainer.exclude: expected a list of texts, got 'ID073'; write [ID073]"),
        ({"milestones": [1, 2.5]}, "trainer.milestones.1: expected a whole number, got 2.5"),
        ({"milestones": [2, 1]}, "trainer.milestones: milestones must rise"),
        ({"exclude": ["a", 73]}, "trainer.exclude.1: expected text, got 73; put it in quotes"),
        (None, "trainer: expected a block of keys, got nothing; indent its keys below it, or remove it"),
        (5, "trainer: expected a block of keys, got 5"),
    ],
)
def test_each_problem_is_reported_in_plain_words(trainer: Any, message: str) -> None:
    assert problems(trainer=trainer) == [message]


def test_all_problems_are_reported_at_once() -> None:
    told = problems(name=None, trainer={"epoch": 1, "epochs": "x", "rate": 5}, nam="y")
    assert {line.split(":")[0] for line in told} == {"name", "trainer.epoch", "trainer.epochs", "trainer.rate", "nam"}


def test_a_missing_key_says_what_it_wants() -> None:
    with pytest.raises(ValidationError, match="required key is missing; expected text"):
        Root.model_validate({})


def test_no_message_names_the_library() -> None:
    text = " ".join(problems(trainer={"epochs": [], "ema": {}, "size": {}, "precision": 3, "exclude": 5, "rate": "a"}))
    assert not any(word in text for word in ("pydantic", "https", "Input", "input", "valid "))


def test_numbers_stay_lax() -> None:
    assert Root.model_validate({"name": "x", "trainer": {"epochs": 1e3}}).trainer.epochs == 1000


def test_sections_never_change() -> None:
    with pytest.raises(ValidationError):
        Root(name="x").name = "y"  # type: ignore[misc]


def test_a_validator_may_point_below_itself() -> None:
    class Pointing(Section):
        value: Any = None

        @field_validator("value")
        @classmethod
        def _refuse(cls, value: Any) -> Any:
            raise fault("not this one", "deep", 2)

    with pytest.raises(ValidationError) as raised:
        Pointing(value=1)
    assert [(e["loc"], e["msg"]) for e in raised.value.errors()] == [(("value", "deep", 2), "not this one")]
