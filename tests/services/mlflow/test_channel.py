"""Runs in MLflow's local file: delivered during the run, resumed, interrupted, and folds together."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote, unquote

import pytest

from services.channel import NotDelivered, Refused
from services.delivery.run_memory import RunMemory
from services.http_adapter import Adapter
from services.mlflow.run import TrackedRun
from services.mlflow.store import store_of
from tests.services.conftest import Race
from tests.services.mlflow.run_of import START_S, Run, epoch, queued
from tests.services.mlflow.server import client, files_of, history, kept
from utils.events import FoldsJoined, ImageScored, ReportWritten, RunFailed, RunInterrupted, StartScored, StepEnded
from utils.rounds import Rounds


def local(runs: Path) -> str:
    return f"sqlite:///{quote(str(runs))}/mlflow.db"


def of(run: Run) -> Any:
    """The run as MLflow keeps it."""
    return kept(local(run.folder.parent if run.facts.group is None else run.facts.group.parent), run)


def test_several_runs_at_once_may_be_the_first_and_mlflow_says_nothing(mlflow_race: Race) -> None:
    assert (mlflow_race.said, mlflow_race.complained) == ("[0, 0, -9]", "")
    runs = [of(Run(mlflow_race.runs, "cv", fold)) for fold in range(3)]
    assert len({run.info.run_id for run in runs}) == 3
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 1
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "RUNNING"]


def test_a_run_that_was_killed_goes_on_as_the_same_run(mlflow_race: Race, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(mlflow_race.runs, runs)
    run = Run(runs, "cv", fold=2)
    notes = run.folder / "services.json"
    notes.write_text(notes.read_text().replace(str(mlflow_race.runs), str(runs)))
    before, channel = run.remembered["run_id"], run.channel()
    for each in (run.started(first_epoch=1, at_s=START_S + 500), epoch(2, START_S + 510), run.finished(START_S + 520)):
        channel.deliver(each)
    assert run.remembered["run_id"] == before
    assert of(run).info.status == "FINISHED"
    assert history(local(runs), run, "dice") == [(1, 0.6), (2, 0.7)]


def test_a_run_is_kept_with_settings_curves_files_and_its_end(
    mlflow_runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(mlflow_runs, "my 손")
    run.bring(run.started(), epoch(1), epoch(2), epoch(3), run.finished(), channel=run.channel())
    found = of(run)
    assert (found.info.run_name, found.info.status) == ("my 손", "FINISHED")
    assert (found.info.start_time, found.info.end_time) == (START_S * 1000, (START_S + 100) * 1000)
    assert found.data.params["loss.parts"] == '[{"loss": "dice"}, {"loss": "bce", "weight": 0.5}]'
    assert history(local(mlflow_runs), run, "dice") == [(1, 0.6), (2, 0.7), (3, 0.8)]
    assert (
        found.data.tags.items()
        >= {
            "host": "v100-1",
            "mlflow.user": "mina",
            "mlflow.source.git.commit": "abc123",
            "git_dirty": "true",
            "folder": str(run.folder),
            "resume_command": "python train.py run.name=my 손 --resume",
            "state": "done",
        }.items()
    )
    assert files_of(local(mlflow_runs), run) == ["config.yaml", "environment.json", "log.txt", "metrics.csv"]
    assert tuple(capfd.readouterr()) == ("", "")


def test_the_axis_counts_what_the_training_counts_and_begins_with_the_start(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    channel, rounds = run.channel(), Rounds(50, 20)
    channel.deliver(queued(StartScored(0.4, 0.5, {}, 2.0), START_S + 1))
    for number in (1, 2, 2, 3):
        channel.deliver(epoch(number, rounds=rounds))
    assert history(local(mlflow_runs), run, "dice") == [(0, 0.5), (20, 0.6), (40, 0.7), (50, 0.8)]


def test_steps_are_not_its_business_and_all_else_must_arrive(tmp_path: Path) -> None:
    channel = Run(tmp_path).channel()
    for event in (StepEnded(0, 1, 2, 0.5), ImageScored(0, 1, 2)):
        assert not channel.accepts(event)
    for each in (Run(tmp_path).started(), epoch(1), Run(tmp_path).finished()):
        assert channel.accepts(each.event)
        assert channel.must_arrive(each.event)


def test_all_folds_together_are_told_of_once_they_are_joined(tmp_path: Path) -> None:
    channel, lost = joined_by(tmp_path).channel(), RunFailed("five", tmp_path, "no word", fault="lost")
    assert not channel.accepts(lost)
    assert channel.accepts(joined(tmp_path).event)


def test_weights_are_kept_and_registered_only_if_that_is_chosen(
    mlflow_runs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started(), run.finished(), channel=run.channel(registered_model="hands"))
    assert "the weights are not registered as hands: best.safetensors is not there." in caplog.text
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "best.safetensors").write_bytes(b"weights")
    run.bring(run.finished(START_S + 200))
    assert not any("safetensors" in path for path in files_of(local(mlflow_runs), run))
    run.bring(run.finished(START_S + 300), channel=run.channel(weights=True))
    assert "weights/epoch-3/best.safetensors" in files_of(local(mlflow_runs), run)
    assert not client(local(mlflow_runs)).search_model_versions("name = 'hands'")
    run.bring(run.finished(START_S + 400), channel=run.channel(registered_model="hands"))
    (version,) = client(local(mlflow_runs)).search_model_versions("name = 'hands'")
    assert version.run_id == run.remembered["run_id"]
    folder = Path(unquote(version.source.removeprefix("file://")))
    assert (folder / "best.safetensors").read_bytes() == b"weights"


def test_the_report_and_its_pictures_are_kept_and_nothing_from_elsewhere(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    (run.folder / "report.html").write_text("<p>")
    (run.folder / "dice.png").write_bytes(b"png")
    (mlflow_runs / "foreign.png").write_bytes(b"png")
    pictures = {"Dice": run.folder / "dice.png", "No": run.folder / "no.png", "Other": mlflow_runs / "foreign.png"}
    event = ReportWritten("mine", run.folder, run.folder / "report.html", {}, pictures)
    run.bring(queued(event, START_S + 101))
    found = files_of(local(mlflow_runs), run)
    assert {"report.html", "pictures/dice.png"} < set(found)
    assert not any("foreign" in path or "no.png" in path for path in found)


def test_without_artifacts_no_file_is_kept(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    channel = run.channel(artifacts=False)
    channel.deliver(run.started())
    channel.deliver(run.finished())
    assert files_of(local(mlflow_runs), run) == []


def test_a_resumed_run_keeps_its_parameters_and_names_those_that_drifted(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started(), epoch(1), queued(RunFailed("mine", run.folder, "oh", fault="nan"), START_S + 15))
    assert of(run).info.status == "FAILED"
    assert of(run).data.tags.items() >= {"fault": "nan", "reason": "oh", "state": "failed"}.items()
    again = run.configured(trainer={"epochs": 5, "clip_norm": 1.0}).channel()
    again.deliver(run.started(first_epoch=1, at_s=START_S + 20))
    found = of(run)
    assert found.info.status == "RUNNING"
    assert (found.data.params["trainer.epochs"], found.data.params["trainer.clip_norm"]) == ("3", "1.0")
    assert found.data.tags.items() >= {"param_drift": "trainer.epochs: 3 → 5", "fault": "", "state": "training"}.items()


def test_an_epoch_is_there_once_however_often_it_is_told(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started())
    for _ in range(3):
        run.bring(epoch(1))
    run.channel().context.memory.set(epochs=[])  # as where the process was killed before it could note the answer
    run.bring(epoch(1))
    run.bring(epoch(1, START_S + 60, score=0.61))  # a resumed run has gone through it again
    assert history(local(mlflow_runs), run, "dice") == [(1, 0.6)]


def test_events_may_come_without_the_start_and_in_any_order(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(run.finished(), epoch(2), epoch(1), run.started())
    found = of(run)
    assert (found.info.status, found.data.tags["state"]) == ("FINISHED", "done")
    assert found.data.params["trainer.epochs"] == "3"
    assert sorted(history(local(mlflow_runs), run, "dice")) == [(1, 0.6), (2, 0.7)]


def test_a_run_whose_notes_are_lost_is_found_again(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started())
    before = run.remembered["run_id"]
    (run.folder / "services.json").write_text("{damaged")
    run.bring(epoch(1))
    assert run.remembered["run_id"] == before


def test_what_is_not_finite_draws_no_curve_and_is_named(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(epoch(2, train_loss=math.nan, valid_loss=math.inf))
    found = of(run)
    assert not {"train/loss", "valid/loss"} & found.data.metrics.keys()
    assert found.data.metrics["dice"] == 0.7
    assert found.data.tags["not_finite"] == "step 2: train/loss, valid/loss"


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (RunFailed("five/fold1", Path(), "no memory", fault="memory"), "FAILED"),
        (RunFailed("five/fold1", Path(), "no word", fault="lost"), "KILLED"),
        (RunInterrupted("five/fold1", Path(), 1, 5, "go on", "SIGTERM"), "KILLED"),
    ],
)
def test_a_fold_that_breaks_off_says_so_of_the_whole_too(mlflow_runs: Path, event: Any, status: str) -> None:
    run = Run(mlflow_runs, "five", fold=1)
    run.bring(run.started(), queued(event, START_S + 10))
    assert of(run).info.status == status
    assert parent_of(run).info.status == status
    run.bring(run.started(at_s=START_S + 20))
    assert parent_of(run).info.status == of(run).info.status == "RUNNING"


def test_the_cross_validation_is_the_parent_of_its_folds(mlflow_runs: Path) -> None:
    folds = [Run(mlflow_runs, "five", fold) for fold in (0, 1)]
    for run in folds:
        for each in (run.started(), epoch(1), run.finished()):
            run.bring(each)
    joined_by(mlflow_runs).bring(joined(mlflow_runs))
    parents = {parent_of(run).info.run_id for run in folds}
    assert len(parents) == 1
    found = parent_of(folds[0])
    assert (found.info.run_name, found.info.status) == ("five", "FINISHED")
    assert found.data.metrics == {"cv/mean": 0.85, "cv/spread": 0.02, "cv/dice/Radius": 0.9}
    assert (found.data.tags["folds"], found.data.params["trainer.epochs"]) == ("2", "3")
    assert files_of(local(mlflow_runs), found.info.run_id) == ["cv.html"]


def test_a_parent_that_is_gone_for_good_is_made_anew(mlflow_runs: Path) -> None:
    joined_by(mlflow_runs).bring(joined(mlflow_runs))
    notes = mlflow_runs / "five" / "mlflow.json"
    before = json.loads(notes.read_text())
    notes.write_text(json.dumps({**before, "run_id": "0" * 32, "key": "another"}))
    joined_by(mlflow_runs).bring(joined(mlflow_runs))
    found = kept(local(mlflow_runs), json.loads(notes.read_text())["run_id"])
    assert found.info.run_id != before["run_id"]
    assert (found.info.status, found.data.metrics["cv/mean"]) == ("FINISHED", 0.85)


def test_files_never_go_to_a_folder_that_only_the_server_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere, asked = tmp_path / "srv" / "artifacts" / "1" / "run" / "artifacts", []

    class Client:
        def get_run(self, run_id: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(artifact_uri=elsewhere.as_uri()))

        def log_artifact(self, *where: str | None) -> None:
            asked.append(where)

    store, notes = store_of("http://v100-1:5000", tmp_path), RunMemory(tmp_path).block("mlflow")
    notes.set(place=store.shown, run_id="run")
    run = TrackedRun(cast("Any", Client()), store, notes)
    (tmp_path / "log.txt").write_text("log")
    run.upload(tmp_path / "log.txt")
    assert (asked, elsewhere.exists()) == ([], False)
    assert "log.txt is not kept there" in caplog.text
    assert "--artifacts-destination" in caplog.text


def test_an_end_that_comes_late_ends_nothing_that_has_begun_again(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs, "five", fold=0)
    run.bring(
        run.started(at_s=START_S + 50), queued(RunFailed("five/fold0", run.folder, "lost", fault="lost"), START_S + 40)
    )
    assert (of(run).info.status, of(run).data.tags["state"]) == ("RUNNING", "training")
    joined_by(mlflow_runs).bring(joined(mlflow_runs))
    run.bring(queued(RunFailed("five/fold0", run.folder, "lost", fault="lost"), START_S + 60))
    assert (of(run).info.status, parent_of(run).info.status) == ("KILLED", "FINISHED")


def test_a_run_resumed_on_a_host_whose_clock_is_behind_is_running(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs, "five", fold=0)
    run.bring(
        run.started(),
        queued(RunInterrupted("five/fold0", run.folder, 1, 5, "go on", "SIGTERM"), START_S + 600),
        replace(run.started(at_s=START_S + 300), seq=700),
    )
    assert of(run).info.status == parent_of(run).info.status == "RUNNING"


def test_a_run_that_somebody_deleted_is_left_to_them(mlflow_runs: Path) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started())
    client(local(mlflow_runs)).delete_run(run.remembered["run_id"])
    with pytest.raises(Refused, match="mlflow runs restore"):
        run.bring(epoch(1))


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be taken for one by its first bytes" * 9)
    with pytest.raises(Refused, match=r"mlflow\.db is no SQLite file\. Move it away\."):
        run.bring(run.started())


def test_a_run_waits_for_another_that_is_making_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.delivery_log.LOCK_S", 0.0)
    monkeypatch.setattr("utils.lock.try_lock", lambda descriptor: False)
    run = Run(tmp_path)
    with pytest.raises(NotDelivered, match="another run is preparing it") as later:
        run.bring(run.started())
    assert later.value.retry_after_s is not None
    assert not (tmp_path / "mlflow.db").exists()


def joined_by(runs: Path) -> Run:
    """The channel of all folds together, in the folder that contains their folders."""
    return Run(runs, "five").of_all_folds()


def joined(runs: Path) -> Any:
    report = runs / "five" / "cv.html"
    report.write_text("<p>")
    return queued(FoldsJoined("five", runs / "five", 2, 0.85, 0.02, report, {"Radius": 0.9}), START_S + 200)


def parent_of(run: Run) -> Any:
    notes = json.loads((run.folder.parent / "mlflow.json").read_text())
    assert of(run).data.tags["mlflow.parentRunId"] == notes["run_id"]
    return kept(local(run.folder.parent.parent), notes["run_id"])


@pytest.mark.parametrize(
    "said",
    [
        "Param value '…' had length 492, which exceeded length limit of {limit}",
        "'value' exceeds the maximum length of {limit} characters",
        "(psycopg2.errors.StringDataRightTruncation) value too long for type character varying({limit})",
    ],
)
def test_a_server_that_accepts_short_parameters_alone_gets_them_cut(
    mlflow_runs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    log_batch = MlflowClient.log_batch

    def of_an_old_server(self: Any, run_id: str, *args: Any, params: Any = (), **others: Any) -> Any:
        if any(len(param.value) > 60 for param in params):
            raise MlflowException(said.format(limit=60), 1000)
        return log_batch(self, run_id, *args, params=params, **others)  # type: ignore[misc]

    monkeypatch.setattr(MlflowClient, "log_batch", of_an_old_server)
    caplog.set_level("INFO")
    run = Run(mlflow_runs).configured(transform={"train": [{"name": f"flip{number}"} for number in range(9)]})
    run.bring(run.started())
    value = of(run).data.params["transform.train"]
    assert value == '[{"name": "flip0"}, {"name": "flip1"}, {"name": "fli … (cut)'
    assert caplog.messages == ["mlflow: this server accepts 60 characters of a parameter; cut: transform.train"]
    run.bring(run.started(first_epoch=1, at_s=START_S + 50))
    assert not of(run).data.tags.get("param_drift")


def test_all_requests_go_through_the_adapter_of_all_channels(mlflow_runs: Path) -> None:
    from mlflow.utils import request_utils

    client(local(mlflow_runs))
    utils: Any = request_utils
    session = utils._get_request_session(0, 1, 0.0, (500,), True, True)
    adapter = session.get_adapter("http://mlflow.example")
    assert isinstance(adapter, Adapter)
    assert adapter.limits(10) == (60.0, 10)
    assert adapter.limits(300) == (300, 300)


def test_a_store_that_refuses_files_keeps_no_event_waiting(
    mlflow_runs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(mlflow_runs)
    monkeypatch.setattr("mlflow.MlflowClient.log_artifact", lambda *_, **__: (_ for _ in ()).throw(OSError("no disk")))
    waiting = [run.started(), epoch(1), run.finished(), queued(report_of(run), START_S + 200)]
    flushes = 0
    while waiting:  # each as a process of its own, which ends with the first failure
        flushes += 1
        channel = run.channel()
        with suppress(NotDelivered):
            while waiting:
                channel.deliver(waiting[0])
                waiting.pop(0)
    assert flushes == 3
    assert of(run).info.status == "FINISHED"
    assert "files of this run are not kept there" in caplog.text


def test_a_store_that_lists_no_files_keeps_the_end_from_waiting_no_more_than_three_times(
    mlflow_runs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(mlflow_runs)
    run.bring(run.started())
    monkeypatch.setattr(
        "mlflow.MlflowClient.list_artifacts", lambda *_, **__: (_ for _ in ()).throw(OSError("no disk"))
    )
    for _ in range(2):
        with pytest.raises(NotDelivered):
            run.bring(run.finished(), channel=run.channel(registered_model="hands"))
    run.bring(run.finished(), channel=run.channel(registered_model="hands"))
    assert of(run).info.status == "FINISHED"
    assert "the weights are not registered" in caplog.text


def report_of(run: Run) -> ReportWritten:
    report = run.folder / "report.html"
    report.write_text("<html>")
    return ReportWritten("mine", run.folder, report, {})
