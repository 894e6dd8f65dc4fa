"""The process beside a run, with Slack's stand-in at the other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services import flush
from services.delivery.publisher import EventPublisher
from services.secrets import Secrets
from tests.root import ROOT
from tests.services.channels import epoch, facts, finished, started
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn
from tests.standin import Answer, Fault
from utils.errors import UserError
from utils.events import RunFailed, StepEnded

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


def until(condition: Callable[[], Any]) -> None:
    end_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end_s, "it never came to pass"
        time.sleep(0.02)


def test_a_run_is_told_from_beginning_to_end(slack: SlackStandIn, tmp_path: Path) -> None:
    publisher = make_publisher(tmp_path / "mine", slack)
    for event in (started(), StepEnded(0, 1, 9, 0.5), epoch(0, best=True), epoch(1), finished()):
        publisher(event)
    publisher.close()
    until(lambda: not (tmp_path / "mine" / "outbox.jsonl").exists())
    (parent,) = slack.parents
    assert "done" in shown(parent.blocks).lower()


def test_telling_takes_no_time_and_raises_nothing_without_a_process(tmp_path: Path, slack: SlackStandIn) -> None:
    publisher = make_publisher(tmp_path / "mine", slack)
    publisher.starts = 99  # no other one is started
    publisher.process.kill()
    publisher.process.wait()
    for event in (started(), epoch(0), finished()):
        publisher(event)
    publisher.close()
    assert slack.parents == []
    assert len((tmp_path / "mine" / "outbox.jsonl").read_text().splitlines()) >= 2
    assert flush.flush([tmp_path]) == 0
    assert len(slack.parents) == 1


def test_a_process_that_dies_is_replaced_and_nothing_is_doubled(tmp_path: Path, slack: SlackStandIn) -> None:
    publisher = make_publisher(tmp_path / "mine", slack)
    publisher(started())
    until(lambda: slack.parents and '"delivered"' in (tmp_path / "mine" / "outbox.jsonl").read_text())
    publisher.process.kill()
    publisher(epoch(0, best=True))
    publisher(finished())
    publisher.close()
    assert publisher.starts == 2
    until(lambda: not (tmp_path / "mine" / "outbox.jsonl").exists())
    assert len(slack.parents) == 1
    assert "done" in shown(slack.parents[0].blocks).lower()


def test_what_a_dead_service_missed_is_sent_by_flush_once(tmp_path: Path, slack: SlackStandIn) -> None:
    slack.always = DOWN
    publisher = make_publisher(tmp_path / "mine", slack)
    for event in (started(), finished()):
        publisher(event)
    publisher.close()
    until(lambda: publisher.process.poll() is not None)
    assert (tmp_path / "mine" / "outbox.jsonl").exists()
    assert flush.flush([tmp_path]) == 2
    slack.always = None
    assert flush.flush([tmp_path]) == 0
    assert flush.flush([tmp_path]) == 0
    assert len(slack.parents) == 1
    assert not (tmp_path / "mine" / "outbox.jsonl").exists()


def test_what_a_dead_service_missed_is_sent_by_the_next_run(tmp_path: Path, slack: SlackStandIn) -> None:
    slack.always = DOWN
    first = make_publisher(tmp_path / "first", slack)
    first(started())
    first(finished())
    first.close()
    until(lambda: first.process.poll() is not None)
    slack.always = None
    second = make_publisher(tmp_path / "second", slack)
    second(started())
    until(lambda: len(slack.parents) == 2)
    until(lambda: not (tmp_path / "first" / "outbox.jsonl").exists())
    second(finished())
    second.close()
    assert len(slack.parents) == 2


def test_a_run_does_not_wait_for_a_service_that_hangs(tmp_path: Path, slack: SlackStandIn) -> None:
    slack.always = Fault("hang", seconds=LONG_S)
    publisher = make_publisher(tmp_path / "mine", slack)
    publisher(started())
    until(lambda: slack.requests)
    time.sleep(2.2)  # so long, and a service counts as slow
    publisher(finished())
    began_s = time.monotonic()
    publisher.close()
    assert time.monotonic() - began_s < 10
    assert publisher.process.poll() is None, "it goes on trying alone"
    publisher.process.kill()
    assert len((tmp_path / "mine" / "outbox.jsonl").read_text().splitlines()) >= 2


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
    code = KILLED.format(root=str(ROOT), url=slack.base_url, folder=str(tmp_path / "mine"))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ})
    try:
        until(lambda: slack.parents)
        run.send_signal(signal.SIGKILL)
        until(lambda: "lost" in shown(slack.parents[0].blocks).lower())
    finally:
        run.kill()
        run.communicate()
    until(lambda: not (tmp_path / "mine" / "outbox.jsonl").exists())


def test_a_failure_is_on_its_way_before_the_process_may_end(tmp_path: Path, slack: SlackStandIn) -> None:
    publisher = make_publisher(tmp_path / "mine", slack)
    publisher(RunFailed("mine", tmp_path / "mine", "another process of this run is gone"))
    assert not publisher.unacknowledged
    assert not publisher.queue
    publisher.close()
    until(lambda: len(slack.parents) == 1)


def test_flush_says_what_it_cannot_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with pytest.raises(UserError, match="no such folder"):
        flush.flush([tmp_path / "nowhere"])
    assert flush.flush([tmp_path]) == 0
    assert "nothing is left to send" in caplog.text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "outbox.jsonl").write_text("{}\n")
    assert flush.flush([tmp_path]) == 2
    assert "does not say for whom" in caplog.text
