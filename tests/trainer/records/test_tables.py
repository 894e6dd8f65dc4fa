"""Tables for notebooks, of runs that are generated here: every number of the files, and files that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.loading.load import dump
from configs.schema import Config
from configs.search_space import Choices, Span
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from trainer.crossval.crossval import write_crossval
from trainer.evaluate import Scores
from trainer.evaluation.distances import DistanceTable
from trainer.evaluation.ruler import Ruler
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import write_validation
from trainer.records import tables
from trainer.records.folder import RunFolder
from trainer.records.history import History
from trainer.search.report import summary_of
from trainer.search.study import Study
from trainer.search.trial import Outcome
from utils.errors import UserError
from utils.events import EpochEnded

Make = Callable[..., Config]
PISIFORM = BONES.index("Pisiform")
FOLDS: list[dict[str, tuple[float, str | None]]] = [
    {"a.png": (0.9, "straight"), "b.png": (0.8, "bent")},
    {"c.png": (0.7, "straight"), "d.png": (0.6, None)},
]
"""Of each fold's images the Dice of every class but the Pisiform, which has a tenth less, and the wrist."""


def table_of(images: Mapping[str, tuple[float, str | None]]) -> ScoreTable:
    table = ScoreTable(BONES, hand_bone.metric)
    for image, (score, _) in images.items():
        row = np.full(len(BONES), score)
        row[PISIFORM] -= 0.1
        table.add(image, row)
    return table


@pytest.fixture
def run(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cross-validation of two folds."""
    monkeypatch.setattr("trainer.crossval.crossval.page_of", lambda *_: "")
    for number, images in enumerate(FOLDS):
        config = make_config(fold="all").of_fold(number)
        folder = RunFolder(config.folder)
        folder.path.mkdir(parents=True)
        folder.config.write_text(dump(config))
        strata = {image: stratum for image, (_, stratum) in images.items()}
        write_validation(folder.validation, 4, table_of(images), strata, {image: image for image in images})
    write_crossval(make_config().folder)
    return make_config().folder


def test_scores_have_a_row_for_each_image_and_class(run: Path) -> None:
    scores = tables.scores(run / "fold0")
    assert list(scores.columns) == ["image", "class", "score", "stratum", "group"]
    assert len(scores) == 2 * len(BONES)
    assert scores["score"].dtype == "float64"
    table = scores.pivot(index="image", columns="class", values="score")
    np.testing.assert_array_equal(table.loc[["a.png", "b.png"], list(BONES)], table_of(FOLDS[0]).table_NC)
    assert set(scores.loc[scores["image"] == "b.png", "stratum"]) == {"bent"}
    assert tables.scores(run / "fold1" / "validation.json")["stratum"].isna().sum() == len(BONES), "d.png has no wrist"


def test_scores_of_several_folds_are_those_of_each(run: Path) -> None:
    scores = tables.scores(run)
    assert scores[["fold", "image"]].drop_duplicates().to_numpy().tolist() == [
        [0, "a.png"], [0, "b.png"], [1, "c.png"], [1, "d.png"],
    ]  # fmt: skip
    pd.testing.assert_frame_equal(scores[scores["fold"] == 0].drop(columns="fold"), tables.scores(run / "fold0"))


def test_distances_and_kept_networks_are_tables(tmp_path: Path) -> None:
    measured = DistanceTable(("Lunate", "Ulna"), Ruler())
    measured.rows["a.png"] = np.array([[3.0, 1.0, 0.5], [np.nan, np.nan, 0.0]])
    (tmp_path / "distances.json").write_text(json.dumps({"epoch": 1, **measured.summary()}))
    found = tables.distances(tmp_path)
    assert found[["class", "one_empty"]].to_numpy().tolist() == [["Lunate", 0], ["Ulna", 1]]
    np.testing.assert_array_equal(found[["hd95", "assd", "nsd"]].to_numpy(float), measured.rows["a.png"])
    row = {"name": "best", "step": None, "epoch": 3, "scores": {"dice": {"mean": 0.5, "low": 0.4, "high": 0.6}}}
    (tmp_path / "checkpoints.json").write_text(json.dumps({"checkpoints": [row]}))
    networks = tables.checkpoints(tmp_path)
    assert list(networks.columns) == ["name", "step", "epoch", "dice.mean", "dice.low", "dice.high"]
    assert networks[["name", "dice.low"]].to_numpy().tolist() == [["best", 0.4]]


def test_scores_of_a_submission_are_read_too(tmp_path: Path) -> None:
    scored = Scores(table_of(FOLDS[0]), {image: stratum for image, (_, stratum) in FOLDS[0].items()}, ("bent",))
    (tmp_path / "score.json").write_text(json.dumps(scored.summary()))
    scores = tables.scores(tmp_path / "score.json")
    assert scores["score"].mean() == pytest.approx(scored.table.mean)


def test_metrics_are_numbers_and_gaps_are_nan(tmp_path: Path) -> None:
    history = History(tmp_path / "metrics.csv", hand_bone.metric)
    for epoch, score in enumerate([None, 0.5]):
        history(
            EpochEnded(
                epoch=epoch,
                epochs=2,
                train_loss=0.25,
                loss_parts={},
                valid_loss=score,
                score=score,
                score_per_class={} if score is None else {"Lunate": 0.5},
                learning_rates={"encoder": 1e-3},
                seconds=2.0,
                data_wait_share=0.0,
            )
        )
    metrics = tables.metrics(tmp_path)
    assert list(metrics["epoch"]) == [1, 2]
    assert metrics["epoch"].dtype == "int64"
    assert all(metrics[name].dtype == "float64" for name in metrics.columns.drop("epoch"))
    assert metrics["dice"].isna().tolist() == [True, False]
    assert [metrics[name].iloc[1] for name in ("train_loss", "dice_Lunate", "lr_encoder")] == [0.25, 0.5, 1e-3]


def test_a_cross_validation_has_its_folds_classes_and_images(run: Path) -> None:
    numbers = json.loads((run / "crossval.json").read_text())
    folds, classes, images = tables.crossval_folds(run), tables.crossval_classes(run), tables.crossval_images(run)
    assert folds["fold"].tolist() == [0, 1]
    assert folds["images_per_stratum.bent"].tolist() == [1, 0]
    assert folds["mean_dice"].tolist() == [fold["mean_dice"] for fold in numbers["folds"]]
    assert classes["class"].tolist() == list(BONES)
    assert classes.set_index("class").loc["Pisiform", "lowest_in"] == "d.png"
    assert images[["image", "fold"]].to_numpy().tolist() == [["a.png", 0], ["b.png", 0], ["c.png", 1], ["d.png", 1]]
    assert images["dice"].mean() == pytest.approx(numbers["mean_dice"])


@pytest.mark.usefixtures("hurried_studies")
def test_a_search_has_a_row_for_each_trial_with_the_keys_that_were_searched(make_config: Make, tmp_path: Path) -> None:
    losses = ({"name": "focal", "gamma": 1.5}, {"name": "dice"})
    study = Study(
        tmp_path / "x", make_config(), {"optimizer.lr": Span(low=1e-4, high=1e-2), "loss": Choices(choices=losses)}
    )
    for outcome in (Outcome("done", 0.8, 2, 1.0), Outcome("failed", reason="no memory"), Outcome("done", 0.9, 2, 1.0)):
        study.close(study.propose(), outcome)
    summary = summary_of(study, "mine-search", "python train.py")
    (tmp_path / "search.json").write_text(json.dumps(summary))
    trials = tables.search(tmp_path)
    assert list(trials.columns) == ["trial", "state", "dice", "epochs", "seconds", "reason", "optimizer.lr", "loss"]
    assert trials["trial"].tolist() == [3, 1, 2]
    assert trials["dice"].isna().tolist() == [False, False, True]
    assert trials["optimizer.lr"].tolist() == [row["settings"]["optimizer.lr"] for row in summary["trials"]]
    assert list(map(json.loads, trials["loss"])) == [row["settings"]["loss"] for row in summary["trials"]]


def test_a_submission_has_the_area_of_each_mask(tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_text("image_name,class,rle\na.png,Lunate,1 3 9 2\na.png,Pisiform,\n")
    masks = tables.submission(tmp_path / "submission.csv", ["Lunate", "Pisiform"])
    expected = pd.DataFrame({"image": ["a.png"] * 2, "class": ["Lunate", "Pisiform"], "pixels": [5, 0]})
    pd.testing.assert_frame_equal(masks, expected)


@pytest.mark.parametrize(
    "read",
    [tables.scores, tables.metrics, tables.crossval_folds, tables.search, tables.distances, tables.checkpoints],
)
def test_a_missing_file_is_named_with_the_program_that_writes_it(
    read: Callable[[Path], pd.DataFrame], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"(json|csv): no such file\. .*(run writes it after|trainer\.|fold=all)"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"no such (folder\. Name the folder of a run|file\. .*)"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"per_image_and_class": {"a.png": 1}}', "null"])
def test_a_damaged_file_is_named(content: str, tmp_path: Path) -> None:
    for name in ("validation.json", "crossval.json", "search.json"):
        (tmp_path / name).write_text(content)
    for read in (tables.scores, tables.crossval_folds, tables.crossval_classes, tables.crossval_images, tables.search):
        with pytest.raises(UserError, match=r"\.json: (is damaged|is not JSON).* written anew\."):
            read(tmp_path)


@pytest.mark.parametrize("content", ["", "epoch,seconds\n1,2\n", "epoch,seconds,data_wait_share,dice\n1,2,0,good\n"])
def test_damaged_metrics_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(UserError, match=r"metrics\.csv: is damaged"):
        tables.metrics(tmp_path)
