"""A small schema of its own, so that the tests of reading and merging do not depend on what the product's says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from configs.loading.load import load_as
from utils.config.component import Component, component
from utils.config.section import Section
from utils.errors import UserError


def dice(*, smooth: Annotated[float, Field(gt=0)] = 1.0) -> Any:
    return ("dice", smooth)


def focal(*, gamma: float = 2.0) -> Any:
    return ("focal", gamma)


def adamw(*, lr: Annotated[float, Field(gt=0)] = 1e-3) -> Any:
    return ("adamw", lr)


LOSSES: dict[str, Callable[..., Any]] = {"dice": dice, "dice_bce": dice, "focal": focal}
Loss = Annotated[Component, component("loss", lambda: LOSSES)]
Optimizer = Annotated[Component, component("optimizer", lambda: {"adamw": adamw})]
AS_NAMED: Any = "dice"
ADAMW: Any = "adamw"


class Run(Section):
    name: str = "toy"


class Trainer(Section):
    epochs: Annotated[int, Field(ge=1)] = 50
    rate: float = 0.1
    steps: tuple[int, ...] = ()


class Toy(Section):
    run: Run = Run()
    loss: Loss = Field(default=AS_NAMED)
    optimizer: Optimizer = Field(default=ADAMW)
    losses: tuple[Loss, ...] = ()
    trainer: Trainer = Trainer()


Write = Callable[..., None]
LoadToy = Callable[..., Toy]
Complaints = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files named by keyword, `write(mine="…")` to mine.yaml, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(**texts: str) -> None:
        for name, text in texts.items():
            Path(f"{name}.yaml").write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def toy(write: Write) -> LoadToy:
    """Load mine.yaml, given as text, with overrides."""

    def load(mine: str, *overrides: str) -> Toy:
        write(mine=mine)
        return load_as(Toy, "mine.yaml", overrides)

    return load


@pytest.fixture
def complaints(toy: LoadToy) -> Complaints:
    """The lines of the error that mine.yaml, given as text, earns."""

    def complain(mine: str, *overrides: str) -> list[str]:
        with pytest.raises(UserError) as raised:
            toy(mine, *overrides)
        return str(raised.value).splitlines()

    return complain
