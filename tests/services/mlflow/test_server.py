"""Runs on a real `mlflow server`: up, down, frozen, and losing its answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from services.channel import NotDelivered, QueuedEvent, Refused
from services.mlflow import Mlflow
from services.mlflow.client import TIMEOUT
from tests.services.mlflow.run_of import START_S, Run, epoch, queued
from tests.services.mlflow.server import Gate, MlflowServer, client, files_of, free_port, history, kept
from tests.standin import Answer, Fault
from utils.events import ReportWritten, RunFinished

LOGIN_URI = "http://mina:hunter22@{}"


@pytest.fixture(autouse=True)
def _soon_out_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "1")


@pytest.fixture
def url(mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(TIMEOUT, "30")
    return mlflow_server.url


@pytest.fixture
def gate(url: str) -> Iterator[Gate]:
    with Gate(url) as gate:
        yield gate


def on(run: Run, uri: str, **settings: Any) -> Mlflow:
    """A channel that has its server's address, and a password, from the environment."""
    return run.channel({"MLFLOW_TRACKING_URI": LOGIN_URI.format(uri.removeprefix("http://"))}, **settings)


def life_of(run: Run) -> list[QueuedEvent]:
    (run.folder / "report.html").write_text("<p>")
    (run.folder / "dice.png").write_bytes(b"png" * 1000)
    report = ReportWritten("mine", run.folder, run.folder / "report.html", {}, {"Dice": run.folder / "dice.png"})
    return [run.started(), epoch(1), epoch(2), epoch(3), run.finished(), queued(report, START_S + 101)]


def assert_all_arrived(url: str, run: Run) -> None:
    found = kept(url, run)
    assert found.info.status == "FINISHED"
    assert found.data.params["trainer.epochs"] == "3"
    assert found.data.tags["state"] == "done"
    for name, values in {"dice": (0.6, 0.7, 0.8), "lr/decoder": (1e-3, 1e-3, 1e-3)}.items():
        assert history(url, run, name) == list(zip((1, 2, 3), values, strict=True))
    all_files = ["config.yaml", "environment.json", "log.txt", "metrics.csv", "pictures/dice.png", "report.html"]
    assert files_of(url, run) == all_files
    experiment = found.info.experiment_id
    assert len(client(url).search_runs([experiment], "tags.`carpus.run_id` = 'id-mine'")) == 1


def test_a_run_on_a_server_has_its_curves_and_its_files_there(url: str, tmp_path: Path) -> None:
    run = Run(tmp_path)
    channel = on(run, url, experiment="plain")
    for each in life_of(run):
        channel.deliver(each)
    assert_all_arrived(url, run)
    assert not (tmp_path / "mlflow.db").exists()
    assert "hunter22" not in (run.folder / "services.json").read_text()


def versions_of(url: str, name: str) -> dict[str, str]:
    """The runs and folders of a model's versions, by number."""
    found = client(url).search_model_versions(f"name = '{name}'")
    return {str(each.version): f"{each.run_id}{each.source.partition('/artifacts')[2]}" for each in found}


def test_the_best_weights_of_each_finished_run_become_a_version_of_a_model(url: str, tmp_path: Path) -> None:
    runs = [Run(tmp_path, "first"), Run(tmp_path, "second")]
    for run in runs:
        (run.folder / "checkpoints").mkdir()
        (run.folder / "checkpoints" / "best.safetensors").write_bytes(b"weights" * 1000)
        for each in [run.started(), run.finished(), run.finished()]:  # the outbox may have an event once more
            on(run, url, registered_model="our model", artifacts=False).deliver(each)
    ids = [run.remembered["run_id"] for run in runs]
    assert versions_of(url, "our model") == {"1": f"{ids[0]}/weights/epoch-3", "2": f"{ids[1]}/weights/epoch-3"}
    assert files_of(url, runs[0]) == ["weights/epoch-3/best.safetensors", "weights/epoch-3/config.yaml"]
    longer = RunFinished("first", runs[0].folder, 6, 0.9, 2, 90.0, stopped_early=False)
    on(runs[0], url, registered_model="our model").deliver(queued(longer, START_S + 900))
    assert versions_of(url, "our model")["3"] == f"{ids[0]}/weights/epoch-6"


@pytest.mark.parametrize(
    "fault",
    [Fault("reset"), Fault("reset_after"), Fault("answer", Answer(503, "busy"))],
    ids=["dies", "dies_after_it_did_as_asked", "busy"],
)
def test_whatever_fails_in_the_middle_everything_arrives_once(
    gate: Gate, url: str, tmp_path: Path, fault: Fault
) -> None:
    run = Run(tmp_path)
    channel = on(run, gate.url, experiment=fault.kind)
    failures = [delivered_in_spite_of(fault, gate, channel, each) for each in life_of(run)]
    assert all(failures)
    assert sum(failures) > 15
    channel.context.memory.set(place=url)
    assert_all_arrived(url, run)


def delivered_in_spite_of(fault: Fault, gate: Gate, channel: Mlflow, each: QueuedEvent) -> int:
    """How often it failed: its first call fails, next time the second, and so on until none does."""
    for calls in range(40):
        gate.faults.extend([*[None] * calls, fault])  # type: ignore[list-item]
        with suppress(NotDelivered):
            channel.deliver(each)
        if gate.faults:
            gate.faults.clear()
            return calls
    raise AssertionError(f"{each.id} never got through")


def test_a_server_that_freezes_gets_all_when_it_wakes(
    mlflow_server: MlflowServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    first, second, *rest = life_of(run)
    channel = on(run, url, experiment="frozen")
    channel.deliver(first)
    monkeypatch.setenv(TIMEOUT, "1")
    mlflow_server.freeze()
    try:
        with pytest.raises(NotDelivered, match="did not answer completely in time"):
            channel.deliver(second)
    finally:
        mlflow_server.thaw()
    monkeypatch.setenv(TIMEOUT, "30")
    for each in (second, *rest):
        channel.deliver(each)
    assert_all_arrived(url, run)


def test_nobody_there_is_told_without_the_password(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(NotDelivered) as later:
        on(Run(tmp_path), f"http://127.0.0.1:{port}").deliver(epoch(1))
    assert str(later.value) == f"MLflow at 127.0.0.1:{port} cannot be reached (nobody answers there)"


def test_a_server_that_never_answers_costs_its_thread_the_patience_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIMEOUT, "1")
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        began_s = time.monotonic()
        with pytest.raises(NotDelivered, match="did not answer completely in time"):
            on(Run(tmp_path), f"http://127.0.0.1:{hole.getsockname()[1]}").deliver(epoch(1))
        assert time.monotonic() - began_s < 10  # MLflow's own patience would be a quarter of an hour


def test_a_server_that_refuses_its_name_is_told_the_flag(url: str, tmp_path: Path) -> None:
    with Gate(url, host="v100-1:5599") as gate, pytest.raises(Refused) as refused:
        on(Run(tmp_path), gate.url.replace("127.0.0.1", "localhost")).deliver(epoch(1))
    assert '--allowed-hosts "localhost,localhost:*,127.0.0.1:*,10.*"' in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401, "who are you"), "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (Answer(403, {"error_code": "PERMISSION_DENIED", "message": "read only"}), r"does not allow it \(read only\)"),
        (Answer(404, "<h1>nginx</h1>"), "is no MLflow server"),
    ],
)
def test_what_a_person_must_mend_is_said_with_the_way_out(
    gate: Gate, tmp_path: Path, answer: Answer, words: str
) -> None:
    gate.always = Fault("answer", answer)
    with pytest.raises(Refused, match=words) as refused:
        on(Run(tmp_path), gate.url).deliver(epoch(1))
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(429, {}, {"Retry-After": "47"}), "has had too many requests (429)"),
        (Answer(503, "busy", {"Retry-After": "47"}), "has a fault of its own (503)"),
        (Answer(500, "oh"), "has a fault of its own (500)"),
        (Answer(200, "<html>hello</html>"), "its answer makes no sense"),
        (Answer(200, {}), "its answer makes no sense"),
        (Answer(403, "<html>Sign in</html>"), "answered 403 with a page or nothing"),
        (Answer(302, "", {"Location": "/login"}), "redirects (302), which is not followed"),
    ],
)
def test_what_time_may_mend_is_tried_later(gate: Gate, tmp_path: Path, answer: Answer, words: str) -> None:
    gate.always = Fault("answer", answer)
    with pytest.raises(NotDelivered) as later:
        on(Run(tmp_path), gate.url).deliver(epoch(1))
    assert gate.url.removeprefix("http://") in str(later.value)
    assert words in str(later.value)
    assert later.value.retry_after_s == (47.0 if answer.headers.get("Retry-After") else None)
    assert not any("login" in request.path for request in gate.requests)


def test_a_server_that_keeps_numbers_but_no_files_gets_the_numbers(
    gate: Gate, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    channel = on(run, gate.url, experiment="no files")
    gate.refuses = "/mlflow-artifacts/"
    for each in life_of(run):
        for _ in range(3):
            with suppress(NotDelivered):
                channel.deliver(each)
                break
    found = run.remembered["run_id"]
    assert history(url, found, "dice") == [(1, 0.6), (2, 0.7), (3, 0.8)]
    assert kept(url, found).info.status == "FINISHED"
    assert "files of this run are not kept there" in caplog.text


def test_a_server_that_begins_anew_gets_a_new_run(url: str, tmp_path: Path) -> None:
    run = Run(tmp_path)
    channel = on(run, url, experiment="wiped")
    channel.deliver(run.started())
    client(url).set_tag(run.remembered["run_id"], "carpus.run_id", "of another")
    channel.context.memory.set(run_id="0" * 32)
    channel.deliver(epoch(1))
    assert history(url, run, "dice") == [(1, 0.6)]
    assert kept(url, run).data.params["trainer.epochs"] == "3"
