from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field, ValidationError

from utils.config.component import Component, choice, component, enclosing_table, params_of
from utils.config.section import Section
from utils.errors import UserError

if TYPE_CHECKING:
    from nowhere import Optimizer  # type: ignore[import-not-found]


def dice(*, smooth: Annotated[float, Field(gt=0)] = 1.0) -> Any:
    return ("dice", smooth)


def focal(*, alpha: float, gamma: float = 2.0) -> Any:
    return ("focal", alpha, gamma)


def cosine(optimizer: Optimizer, *, min_lr: float = 1e-6) -> Any:
    return (optimizer, min_lr)


def refuse(*, size: int = 1) -> Any:
    raise UserError(f"size {size} is too small")


LossSpec = Annotated[Component, component("loss", lambda: LOSSES)]


class Weighted(Section):
    loss: LossSpec
    weight: float = 1.0


def mix(*, parts: tuple[Weighted, ...]) -> Any:
    return [(part.loss.build(), part.weight) for part in parts]


LOSSES = {"dice": dice, "focal": focal, "mix": mix, "refuse": refuse}


class Root(Section):
    loss: LossSpec = Field(default="dice", validate_default=True)
    task: Annotated[str, choice("task", lambda: {"hand_bone": 1})] = "hand_bone"


def read(loss: Any) -> Component:
    return Root.model_validate({"loss": loss}).loss


def problems(loss: Any) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as raised:
        read(loss)
    return [(e["loc"], e["msg"]) for e in raised.value.errors()]


def test_the_signature_is_the_schema() -> None:
    params = params_of(focal)
    assert set(params.model_fields) == {"alpha", "gamma"}
    assert params.model_fields["alpha"].is_required()
    assert params.model_fields["gamma"].default == 2.0
    assert params_of(focal) is params


def test_program_arguments_need_no_type_at_run_time() -> None:
    assert set(params_of(cosine).model_fields) == {"min_lr"}


def test_what_a_partial_has_fixed_is_not_configurable() -> None:
    assert set(params_of(partial(focal, alpha=0.5)).model_fields) == {"gamma"}


def test_a_parameter_without_a_type_is_our_bug() -> None:
    def untyped(*, size=1):  # type: ignore[no-untyped-def]
        return size

    with pytest.raises(TypeError, match="'size' has no type"):
        params_of(untyped)


def test_a_name_alone_takes_every_default() -> None:
    assert read("dice").build() == ("dice", 1.0)


def test_parameters_stand_beside_the_name() -> None:
    assert read({"name": "focal", "alpha": 0.5, "gamma": 3}).build() == ("focal", 0.5, 3.0)


def test_program_arguments_come_first() -> None:
    spec = Component("scheduler", "cosine", params_of(cosine).model_validate({"min_lr": 0.1}), cosine)
    assert spec.build("optimizer") == ("optimizer", 0.1)


def test_components_nest() -> None:
    spec = read({"name": "mix", "parts": [{"loss": "dice", "weight": 2}, {"loss": {"name": "focal", "alpha": 1}}]})
    assert spec.build() == [(("dice", 1.0), 2.0), (("focal", 1.0, 2.0), 1.0)]


class Part(Section):
    of: Annotated[Component, component("thing", enclosing_table)]


def pair(*, parts: tuple[Part, ...]) -> Any:
    return [part.of.build() for part in parts]


def test_a_parameter_may_be_of_the_table_that_its_builder_stands_in() -> None:
    one: dict[str, Any] = {"pair": pair, "dice": dice}
    other: dict[str, Any] = {"pair": pair, "focal": focal}
    inner = {"name": "pair", "parts": [{"of": {"name": "focal", "alpha": 1}}]}
    outer = component("thing", lambda: other).read({"name": "pair", "parts": [{"of": inner}, {"of": inner}]})
    assert outer.build() == [[("focal", 1.0, 2.0)], [("focal", 1.0, 2.0)]]
    assert component("thing", lambda: one).read({"name": "pair", "parts": [{"of": "dice"}]}).build() == [("dice", 1.0)]
    with pytest.raises(ValidationError, match=r"'focal' is not a thing\. Valid: dice, pair"):
        component("thing", lambda: one).read({"name": "pair", "parts": [{"of": "focal"}]})


def test_a_default_may_be_a_name() -> None:
    assert Root().loss == read("dice")


@pytest.mark.parametrize(
    "loss", ["dice", {"name": "mix", "parts": [{"loss": {"name": "dice", "smooth": 3}, "weight": 0.1}]}]
)
def test_the_plain_form_reads_back_equal(loss: Any) -> None:
    spec = read(loss)
    assert read(spec.as_dict()) == spec
    assert Root(loss=spec).model_dump(mode="json")["loss"] == spec.as_dict()


@pytest.mark.parametrize(
    ("loss", "loc", "message"),
    [
        ("dicee", ("loss",), "'dicee' is not a loss. Did you mean 'dice'? Valid: dice, focal, mix, refuse"),
        ({"name": "zzz"}, ("loss", "name"), "'zzz' is not a loss. Valid: dice, focal, mix, refuse"),
        ({"smooth": 1}, ("loss", "name"), "expected the name of a loss, got nothing. Valid: dice, focal, mix, refuse"),
        (3, ("loss",), "expected a loss, as a name or {name: …, …}, got 3"),
        ({"name": "dice", "smoth": 1}, ("loss", "smoth"), "unknown key. Did you mean 'smooth'?"),
        ({"name": "dice", "smooth": 0}, ("loss", "smooth"), "expected a number above 0, got 0"),
        ("focal", ("loss", "alpha"), "required key is missing; expected a number"),
        (
            {"name": "mix", "parts": [{"loss": "dice"}, {"loss": {"name": "dice", "smoth": 1}}]},
            ("loss", "parts", 1, "loss", "smoth"),
            "unknown key. Did you mean 'smooth'?",
        ),
        ({"name": "mix", "parts": 3}, ("loss", "parts"), "expected a list of blocks of keys, got 3"),
    ],
)
def test_a_problem_says_where_and_what(loss: Any, loc: tuple[Any, ...], message: str) -> None:
    assert problems(loss) == [(loc, message)]


def test_a_choice_is_a_name_of_its_table() -> None:
    with pytest.raises(ValidationError, match=r"'hand_bones' is not a task\. Did you mean 'hand_bone'\?"):
        Root(task="hand_bones")


def test_a_builder_that_refuses_names_its_component() -> None:
    with pytest.raises(UserError, match="loss 'refuse': size 1 is too small"):
        read("refuse").build()
