"""The values that are sent to MLflow, within its limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.mlflow import values
from services.mlflow.store import fault_in, store_of
from services.secrets import Secrets
from tests.services.mlflow.run_of import CONFIG, Run, epoch
from utils.events import EpochEnded, Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted
from utils.metric import Metric

NAME = Path("runs/mine")


DICE = Metric("dice", "Dice")


def test_settings_become_parameters_with_dots_and_lists_become_json() -> None:
    params = values.params_of(CONFIG)
    assert params["trainer.epochs"] == "3"
    assert params["trainer.ema"] == "false"
    assert params["model.encoder"] == "resnet34"
    assert params["model.encoder_weights"] == "null"
    assert params["loss.parts"] == '[{"loss": "dice"}, {"loss": "bce", "weight": 0.5}]'
    assert params["data.root"] == "datasets/손"


def test_names_and_values_of_any_length_and_script_keep_the_limits() -> None:
    params = values.params_of({"긴" * 300: 1, "x": "값" * 9000, "../up": 1, "": {}})
    assert all(0 < len(name) <= 250 for name in params)
    assert all(len(value) <= 6000 for value in params.values())
    assert sum(value.endswith(values.CUT) for value in params.values()) == 1
    assert all(len(value) <= 5000 for value in values.as_tags({"reason": "오류" * 9000}).values())


def test_a_secret_among_the_settings_is_not_told() -> None:
    params = values.params_of({"data": {"root": "https://mina:hunter22@host/data"}})
    assert params == {"data.root": "https://***@host/data"}


def test_an_epoch_becomes_numbers_by_name() -> None:
    event = epoch(2).event
    assert isinstance(event, EpochEnded)
    assert values.metrics_of(event, DICE) == {
        "train/loss": 0.5,
        "train/dice": 0.5,
        "valid/loss": 0.4,
        "dice": 0.7,
        "dice/Radius": 0.9,
        "dice/finger-1": 0.8,
        "best": 0.7,
        "best_epoch": 2,
        "lr/encoder": 1e-4,
        "lr/decoder": 1e-3,
        "seconds": 9.5,
        "data_wait_share": 0.02,
        "device/memory_peak_mib": 1234.0,
    }
    unscored = replace(event, valid_loss=None, score=None, score_per_class={}, best=None, is_best=False)
    assert not {"valid/loss", "dice", "best", "best_epoch"} & values.metrics_of(unscored, DICE).keys()


def test_no_class_name_reaches_another_group() -> None:
    event = epoch(1, score_per_class={"../lr/decoder": 0.1, "a.b": 0.2}).event
    assert isinstance(event, EpochEnded)
    assert {"dice/___lr_decoder", "dice/a_b"} < values.metrics_of(event, DICE).keys()


@pytest.mark.parametrize(
    ("event", "status", "state"),
    [
        (RunFinished("mine", NAME, 3, 0.9, 2, 90.0, stopped_early=False), "FINISHED", "done"),
        (RunFinished("mine", NAME, 2, 0.9, 1, 60.0, stopped_early=True), "FINISHED", "stopped_early"),
        (RunFailed("mine", NAME, "no memory", fault="memory"), "FAILED", "failed"),
        (RunFailed("mine", NAME, "loss is nan", fault="nan"), "FAILED", "failed"),
        (RunFailed("mine", NAME, "KeyError"), "FAILED", "failed"),
        (RunFailed("mine", NAME, "ended without a word", fault="lost"), "KILLED", "lost"),
        (RunInterrupted("mine", NAME, 1, 5, "go on", "SIGTERM"), "KILLED", "interrupted"),
    ],
)
def test_the_status_is_true_for_every_end(event: Event, status: str, state: str) -> None:
    assert values.status_of(event) == status
    assert values.end_tags(event)["state"] == state


def test_settings_that_differ_from_those_kept_are_named() -> None:
    known, wanted = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "5", "d": "4"}
    assert values.drift_in(known, wanted) == "b: 2 → 5"
    assert values.drift_in(known, known) == ""


def test_the_numbers_of_a_cross_validation_have_a_spread_where_there_is_one() -> None:
    event = FoldsJoined("cv", NAME, 1, 0.8, None, NAME / "cv.html", {"Radius": 0.7})
    assert values.joined_metrics(event, DICE) == {"cv/mean": 0.8, "cv/dice/Radius": 0.7}
    assert values.joined_metrics(replace(event, spread=0.1), DICE)["cv/spread"] == 0.1


def test_without_an_address_runs_are_kept_beside_their_folders() -> None:
    store = store_of(None, Path("/data/my runs"))
    assert store.uri == "sqlite:////data/my runs/mlflow.db"
    assert store.artifacts == Path("/data/my runs/mlflow-artifacts")


def test_a_password_in_the_address_is_shown_nowhere() -> None:
    store = store_of("http://mina:hunter%402@v100-1:5000/sub/?token=abc", Path("runs"))
    assert store.shown == "http://v100-1:5000/sub"
    assert (store.host, store.password) == ("v100-1", "hunter@2")
    assert "hunter" not in repr(store)
    assert "hunter" not in store_of("postgresql+psycopg2://mina:hunter2@db/mlflow", Path("runs")).shown


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///home/mina/mlruns"])
def test_a_folder_as_address_is_refused_with_the_command_that_moves_it(uri: str) -> None:
    fault = fault_in(uri)
    assert fault is not None
    assert f"mlflow migrate-filestore --source {uri.removeprefix('file://')} --target sqlite:///mlflow.db" in fault


def test_an_address_without_a_scheme_is_told_how_it_looks() -> None:
    assert fault_in("v100-1:5000") == (
        "MLFLOW_TRACKING_URI is none that MLflow knows: write http://HOST:PORT or sqlite:////FOLDER/mlflow.db"
    )
    for uri in ("http://v100-1:5000", "https://h", "sqlite:///mlflow.db", "mysql+pymysql://u:p@h/d"):
        assert fault_in(uri) is None


def test_what_is_missing_is_said_before_anything_starts(tmp_path: Path) -> None:
    from services.mlflow import missing

    def said(environment: dict[str, str], **settings: bool) -> str | None:
        return missing(Secrets(tmp_path / ".env", environment), settings)

    assert said({}) is None
    assert said({}, local=False) == "MLFLOW_TRACKING_URI is not set, and services.mlflow.local is false"
    assert said({"MLFLOW_TRACKING_URI": "http://h:5000"}, local=False) is None
    assert "migrate-filestore" in str(said({"MLFLOW_TRACKING_URI": "./mlruns"}))


def test_the_place_of_a_fold_is_that_of_its_experiment(tmp_path: Path) -> None:
    for run in (Run(tmp_path, "cv", fold=1), Run(tmp_path, "alone")):
        assert run.channel()._store().database == tmp_path / "mlflow.db"
