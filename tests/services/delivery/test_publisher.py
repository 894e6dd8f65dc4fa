"""The notifier process beside a run, with Slack's stand-in at the other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.delivery import publisher as publishers
from services.delivery.outbox import OutboxReader
from services.delivery.publisher import EventPublisher
from services.flush import flush
from services.secrets import Secrets
from tests.root import ROOT
from tests.services.channels import epoch, facts, finished, started
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn
from tests.standin import Answer, Fault, until
from utils.events import Event, RunFailed, RunFinished, StepEnded

LONG_S = 30.0

DOWN = Fault("answer", Answer(503, "down"))


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStandIn]:
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    with SlackStandIn() as standin:
        yield standin


def settings_for(standin: SlackStandIn) -> dict[str, Any]:
    slack = {"channel": "runs", "base_url": standin.base_url}
    return {"language": "en", "slack": slack, "mlflow": {"local": False}}  # MLflow takes seconds to begin


def make_publisher(folder: Path, standin: SlackStandIn) -> EventPublisher:
    folder.mkdir(parents=True, exist_ok=True)
    return EventPublisher(facts(folder), settings_for(standin), Secrets(folder / ".env"))


def process_of(publisher: EventPublisher) -> subprocess.Popen[bytes]:
    assert publisher.notifier.process is not None
    return publisher.notifier.process


def events_in(folder: Path) -> list[str]:
    return [type(entry.queued.event).__name__ for entry in OutboxReader(folder).read_new()]


def test_a_run_is_told_from_beginning_to_end(slack: SlackStandIn, tmp_path: Path) -> None:
    publisher = make_publisher(tmp_path, slack)
    for event in (started(), StepEnded(0, 1, 9, 0.5), epoch(0, best=True), epoch(1), finished()):
        publisher(event)
    publisher.close()
    until(lambda: not (tmp_path / "outbox.jsonl").exists())
    (parent,) = slack.parents
    assert "done" in shown(parent.blocks).lower()


@pytest.mark.parametrize(
    "last",
    [finished(), RunFailed("mine", Path("mine"), "boom", trace="x" * 24_000_000)],
    ids=["end", "24 MB traceback"],
)
def test_the_end_is_on_disk_though_the_notifier_process_is_stopped(
    last: Event, slack: SlackStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publishers, "DEADLINE_S", 0.3)
    publisher = make_publisher(tmp_path, slack)
    process_of(publisher).send_signal(signal.SIGSTOP)
    try:
        for event in (started(), *(StepEnded(0, step, 9, 0.5) for step in range(9)), epoch(0), last):
            publisher(event)
        assert events_in(tmp_path) == ["RunStarted", "EpochEnded", type(last).__name__]
        publisher.close()
        assert "is not done yet; what it does not send is kept" in caplog.text
    finally:
        process_of(publisher).send_signal(signal.SIGCONT)
    if isinstance(last, RunFinished):
        until(lambda: not (tmp_path / "outbox.jsonl").exists())
        assert len(slack.parents) == 1, "it goes on where it was stopped"
    process_of(publisher).kill()


def test_nothing_is_lost_without_a_process_or_a_thread(
    tmp_path: Path, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr("services.delivery.publisher.subprocess.Popen", refuse)
        full.setattr("threading.Thread.start", no_thread)
        publisher = make_publisher(tmp_path, slack)
    for event in (started(), epoch(0), finished()):
        publisher(event)
    publisher.close()
    assert events_in(tmp_path) == ["RunStarted", "EpochEnded", "RunFinished"]
    assert all(record.exc_info is None for record in caplog.records)
    assert "no process for the services ([Errno 11] Resource temporarily unavailable)" in caplog.text
    assert "no thread for the services (can't start new thread)" in caplog.text
    assert flush([tmp_path], settings_for(slack)) == 0
    assert len(slack.parents) == 1


def test_a_process_that_dies_is_replaced_and_nothing_is_doubled(tmp_path: Path, slack: SlackStandIn) -> None:
    publisher = make_publisher(tmp_path, slack)
    publisher(started())
    until(lambda: slack.parents and '"settled"' in (tmp_path / "services.json").read_text())
    process_of(publisher).kill()
    publisher(epoch(0, best=True))
    publisher(finished())
    until(lambda: publisher.notifier.starts == 2)
    publisher.close()
    until(lambda: not (tmp_path / "outbox.jsonl").exists())
    assert len(slack.parents) == 1
    assert "done" in shown(slack.parents[0].blocks).lower()


def test_a_full_disk_stops_no_message(
    tmp_path: Path, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.delivery.outbox.append_lines", full)
    publisher = make_publisher(tmp_path, slack)
    publisher(started())
    publisher(finished())
    publisher.close()
    until(lambda: len(slack.parents) == 1 and "done" in shown(slack.parents[0].blocks))
    assert "could not be written (No space left on device)" in caplog.text


def test_a_run_does_not_wait_for_a_service_that_hangs(tmp_path: Path, slack: SlackStandIn) -> None:
    slack.always = Fault("hang", seconds=LONG_S)
    publisher = make_publisher(tmp_path, slack)
    publisher(started())
    until(lambda: slack.requests)
    time.sleep(2.2)  # so long, and a service counts as slow
    publisher(finished())
    began_s = time.monotonic()
    publisher.close()
    assert time.monotonic() - began_s < 10
    assert process_of(publisher).poll() is None, "it goes on trying alone"
    process_of(publisher).kill()
    assert events_in(tmp_path) == ["RunStarted", "RunFinished"]


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.services.delivery.test_publisher import make_publisher
from tests.services.channels import started
class At:
    base_url = {url!r}
publisher = make_publisher(Path({folder!r}), At())
publisher(started())
print("started", flush=True)
time.sleep(60)
"""


def test_a_run_that_is_killed_is_told_of(tmp_path: Path, slack: SlackStandIn) -> None:
    code = KILLED.format(root=str(ROOT), url=slack.base_url, folder=str(tmp_path))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ})
    try:
        until(lambda: slack.parents)
        run.send_signal(signal.SIGKILL)
        until(lambda: "lost" in shown(slack.parents[0].blocks).lower())
    finally:
        run.kill()
        run.communicate()
    until(lambda: not (tmp_path / "outbox.jsonl").exists())


def test_a_folder_that_cannot_be_locked_is_said_in_one_sentence(
    tmp_path: Path, slack: SlackStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".outbox.lock").mkdir()
    publisher = make_publisher(tmp_path, slack)
    publisher(finished())
    until(lambda: "the services stopped working (UserError: " in caplog.text)
    publisher.close()
    assert "Traceback" not in caplog.text
    assert events_in(tmp_path) == ["RunFinished"]
