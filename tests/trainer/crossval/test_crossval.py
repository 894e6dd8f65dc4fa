"""Folds joined: numbers that can be followed by hand, and files that cannot be believed."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.loading.load import dump
from configs.schema import Config
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from trainer.crossval.__main__ import main
from trainer.crossval.crossval import write_crossval
from trainer.drawing.figures import write_figures
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import write_validation
from trainer.records.folder import RunFolder
from utils.errors import UserError
from utils.program import exit_code_of
from utils.viewer.figure import Figure

Make = Callable[..., Config]
PISIFORM = BONES.index("Pisiform")
FOLDS: list[dict[str, tuple[float, str | None]]] = [
    {"a.png": (0.9, "straight"), "b.png": (0.8, "straight"), "c.png": (0.6, "bent")},
    {"d.png": (0.8, "straight"), "e.png": (0.7, "bent")},
]
"""Of each fold's images the Dice of every class but the Pisiform, which has a tenth less, and the wrist."""


@pytest.fixture
def run(make_config: Make) -> Path:
    for number, images in enumerate(FOLDS):
        write_fold(make_config(fold="all").of_fold(number), images)
    return make_config().folder


@pytest.fixture
def with_page() -> None:
    """For tests that look at the page."""


@pytest.fixture(autouse=True)
def _page_only_where_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half a second."""
    if "with_page" not in request.fixturenames:
        monkeypatch.setattr("trainer.crossval.crossval.page_of", lambda *_: "")


def write_fold(config: Config, images: Mapping[str, tuple[float, str | None]]) -> RunFolder:
    folder, table = RunFolder(config.folder), ScoreTable(BONES, hand_bone.metric)
    for image, (score, _) in images.items():
        row = np.full(len(BONES), score)
        row[PISIFORM] -= 0.1
        table.add(image, row)
    folder.path.mkdir(parents=True)
    folder.config.write_text(dump(config))
    strata = {image: wrist for image, (_, wrist) in images.items()}
    write_validation(folder.validation, 4, table, strata, dict.fromkeys(images, "ID001"))
    return folder


def test_every_image_counts_once(run: Path) -> None:
    numbers = write_crossval(run)
    less = 0.1 / len(BONES)
    assert numbers["mean_dice"] == pytest.approx((0.9 + 0.8 + 0.6 + 0.8 + 0.7) / 5 - less)
    assert numbers["straight"] == pytest.approx(2.5 / 3 - less)
    assert numbers["bent"] == pytest.approx(0.65 - less)
    assert numbers["images"]["c.png"] == {"fold": 0, "stratum": "bent", "dice": pytest.approx(0.6 - less)}
    assert numbers["images_per_stratum"] == {"straight": 3, "bent": 2}


def test_bent_wrists_weigh_as_much_as_in_the_test_set(run: Path) -> None:
    numbers = write_crossval(run)
    assert numbers["weighted"] == pytest.approx(0.43 * numbers["straight"] + 0.57 * numbers["bent"])
    row = numbers["per_class"]["Pisiform"]
    assert row["weighted"] == pytest.approx(0.43 * (2.5 / 3 - 0.1) + 0.57 * (0.65 - 0.1))
    assert numbers["folds"][1]["weighted"] == pytest.approx(0.43 * 0.8 + 0.57 * 0.7 - 0.1 / len(BONES))


def test_the_spread_is_that_of_the_folds(run: Path) -> None:
    numbers = write_crossval(run)
    assert [row["epoch"] for row in numbers["folds"]] == [5, 5]
    assert numbers["sd"]["mean_dice"] == pytest.approx(statistics.stdev([2.3 / 3, 0.75]))
    assert numbers["sd"]["bent"] == pytest.approx(statistics.stdev([0.6, 0.7]))
    assert numbers["per_class"]["Pisiform"]["sd"] == pytest.approx(statistics.stdev([2.3 / 3, 0.75]))


def test_each_class_names_its_worst_image(run: Path) -> None:
    row = write_crossval(run)["per_class"]["Pisiform"]
    assert (row["lowest"], row["lowest_in"]) == (pytest.approx(0.5), "c.png")
    assert row["mean_dice"] == pytest.approx(0.66)


@pytest.mark.usefixtures("with_page")
def test_the_numbers_are_printed_and_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = write_crossval(run)
    assert json.loads((run / "crossval.json").read_text()) == numbers
    told = capsys.readouterr().out
    assert f"mean Dice {numbers['mean_dice']:.4f} ± {numbers['sd']['mean_dice']:.4f} over 5 images" in told
    assert "at 57 % bent" in " ".join(told.split())
    assert f"in the test set's mix, 57 % bent: {numbers['weighted']:.4f} ± " in told
    page = (run / "crossval.html").read_text()
    assert f"{numbers['weighted']:.4f}" in page
    assert '<a href="fold1/report.html">fold 1</a>' in page
    assert page.count("<svg") == 1
    assert page.index("c.png</td>") < page.index("a.png</td>")


@pytest.mark.usefixtures("with_page")
def test_names_are_escaped_on_the_page(make_config: Make) -> None:
    write_fold(make_config(fold=[0]), {"<b>.png": (0.5, None)})
    write_crossval(make_config().folder)
    page = (make_config().folder / "crossval.html").read_text()
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page


@pytest.mark.usefixtures("with_page")
@pytest.mark.usefixtures("with_page")
def test_the_page_shows_what_the_folds_have_drawn_the_worst_first(run: Path, make_config: Make) -> None:
    images = json.loads((run / "fold0" / "validation.json").read_text())["images"]
    figures = [Figure(name, "data:image/png;base64,", (10, 10), caption="left") for name in [*images, "gone.png"]]
    write_figures(run / "fold0" / "pictures" / "figures.json", {"worst and best images": figures})
    write_crossval(run)
    page = (run / "crossval.html").read_text()
    shown = re.findall(r'<figure class="viewer-figure" data-name="([^"]+)"', page)
    assert shown == sorted(images, key=lambda name: images[name])
    assert page.count("<span>left, fold 0</span>") == len(images)


def test_without_bent_hands_the_mix_is_not_known(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    write_fold(make_config(fold=[0]), {"a.png": (0.5, "straight"), "b.png": (0.7, None)})
    numbers = write_crossval(make_config().folder)
    assert (numbers["weighted"], numbers["bent"], numbers["sd"]["mean_dice"]) == (None, None, None)
    assert numbers["mean_dice"] == pytest.approx(0.6 - 0.1 / len(BONES))
    assert "not known, for none of the hands held out is bent" in capsys.readouterr().out


@pytest.mark.usefixtures("with_page")
def test_a_fold_without_a_score_is_named(run: Path, make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder(make_config(fold="all").of_fold(0).folder).validation.unlink()
    numbers = write_crossval(run)
    assert (numbers["unscored_folds"], len(numbers["images"])) == ([0], 2)
    assert "not scored yet: fold0" in capsys.readouterr().out
    assert "Not scored yet: fold0." in (run / "crossval.html").read_text()


def test_folds_of_other_settings_are_refused(run: Path, make_config: Make) -> None:
    write_fold(make_config(fold=[2], loss="bce"), {"z.png": (0.5, "bent")})
    with pytest.raises(
        UserError,
        match=r"fold0 and fold2 were trained with other settings: .*loss\.name \(dice_bce and bce\).*Move away",
    ):
        write_crossval(run)


def test_folds_may_lie_in_other_places_and_use_other_workers(run: Path, make_config: Make) -> None:
    write_fold(make_config(fold=[2], data={"workers": 3}), {"z.png": (0.5, "bent")})
    assert len(write_crossval(run)["folds"]) == 3


def test_an_image_held_out_twice_is_refused(run: Path, make_config: Make) -> None:
    write_fold(make_config(fold=[2]), {"c.png": (0.5, "bent")})
    with pytest.raises(UserError, match=r"c\.png is held out in fold0 and in fold2"):
        write_crossval(run)


def test_a_folder_that_was_set_aside_does_not_count(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "fold0").rename(run / "fold0.replaced")
    assert [row["fold"] for row in write_crossval(run)["folds"]] == [1]
    assert "left out" not in caplog.text


def test_a_fold_that_lost_its_configuration_is_reported(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "fold0" / "config.yaml").unlink()
    assert [row["fold"] for row in write_crossval(run)["folds"]] == [1]
    assert "fold0: holds no config.yaml, so this fold is left out" in caplog.text


def damaged(found: dict[str, Any], **changes: Any) -> str:
    return json.dumps({**found, **changes})


DAMAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "empty": lambda found: "",
    "a list": lambda found: "[]",
    "cut short": lambda found: json.dumps(found)[:200],
    "of an older version": lambda found: damaged(found, per_image_and_class=None),
    "no image": lambda found: damaged(found, per_image_and_class={}),
    "no Dice": lambda found: damaged(found, per_image_and_class={"a.png": dict.fromkeys(BONES, 1.5)}),
    "not a number": lambda found: damaged(found, per_image_and_class={"a.png": dict.fromkeys(BONES, float("nan"))}),
    "text": lambda found: damaged(found, per_image_and_class={"a.png": dict.fromkeys(BONES, "0.9")}),
    "a class less": lambda found: damaged(found, per_image_and_class={"a.png": dict.fromkeys(BONES[1:], 0.9)}),
    "another stratum": lambda found: damaged(found, strata=dict.fromkeys(found["strata"], "twisted")),
    "no strata": lambda found: damaged(found, strata={}),
    "no epoch": lambda found: damaged(found, epoch="last"),
    "an infinite epoch": lambda found: damaged(found, epoch=float("inf")),
    "a number without end": lambda found: damaged(found, per_image_and_class={"a.png": dict.fromkeys(BONES, 10**400)}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_score_is_reported(name: str, run: Path) -> None:
    path = RunFolder(run / "fold0").validation
    path.write_text(DAMAGES[name](json.loads(path.read_text())))
    with pytest.raises(
        UserError, match=r"fold0/validation\.json: is damaged, or of an older version .*'fold=\[0\]' run\.if_exists="
    ):
        write_crossval(run)


def test_a_folder_without_folds_is_reported(tmp_path: Path, make_config: Make) -> None:
    with pytest.raises(UserError, match=r"no folds here\. .*Train with fold=all first"):
        write_crossval(tmp_path / "nothing")
    single = write_fold(make_config(), {"a.png": (0.5, "bent")})
    with pytest.raises(UserError, match=r"no folds here\. .*Its score is in report\.html"):
        write_crossval(single.path)


def test_the_program_ends_with_0_or_2(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.program.signal.signal", lambda *_: None)
    for folder, code in ((run, 0), (run / "nowhere", 2)):
        monkeypatch.setattr("sys.argv", ["crossval", str(folder)])
        assert exit_code_of(main) == code
