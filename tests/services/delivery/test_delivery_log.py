from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.channel import AnswerLost, NotDelivered
from services.delivery.delivery_log import DeliveryLog, SharedNotes
from services.delivery.run_memory import RunMemory


class Service:
    """Counts what it gets; `failures` are raised one by one after a message has been counted."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures, self.got, self.checks = list(failures), list[str](), 0
        self.is_up = True

    def send(self, parts: Sequence[str] = ("x",)) -> Sequence[str]:
        self.got += parts
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        return parts

    def check(self) -> None:
        self.checks += 1
        if not self.is_up:
            raise NotDelivered("down")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path) -> DeliveryLog:
    """The log as another process opens it."""
    return DeliveryLog(RunMemory(folder).block("slack"), "slack")


def test_a_message_arrives_once(folder: Path) -> None:
    service = Service()
    for _ in range(3):
        opened(folder).send_once("e1", "note", service.send, service.check)
    assert (service.got, service.checks) == (["x"], 0)


def test_a_message_without_an_answer_is_sent_twice_at_most(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(*[AnswerLost("?")] * 9)
    for _ in range(2):
        with pytest.raises(AnswerLost):
            opened(folder).send_once("e1", "note", service.send, service.check)
    for _ in range(2):
        opened(folder).send_once("e1", "note", service.send, service.check)
    assert (service.got, service.checks) == (["x", "x"], 1)
    assert caplog.messages == ["slack: two tries brought no answer to go by; whether note arrived is not known"]


def test_a_message_is_not_repeated_into_a_service_that_is_down(folder: Path) -> None:
    service = Service(AnswerLost("?"))
    with pytest.raises(AnswerLost):
        opened(folder).send_once("e1", "note", service.send, service.check)
    service.is_up = False
    for _ in range(5):
        with pytest.raises(NotDelivered):
            opened(folder).send_once("e1", "note", service.send, service.check)
    service.is_up = True
    opened(folder).send_once("e1", "note", service.send, service.check)
    assert service.got == ["x", "x"]


def test_what_had_no_effect_may_be_sent_any_number_of_times(folder: Path) -> None:
    service = Service(*[NotDelivered("no")] * 5)
    for _ in range(5):
        with pytest.raises(NotDelivered):
            opened(folder).send_once("e1", "note", service.send, service.check)
    opened(folder).send_once("e1", "note", service.send, service.check)
    assert service.checks == 0


def test_a_try_is_on_disk_before_it_is_made(folder: Path) -> None:
    def look(parts: Sequence[str]) -> Sequence[str]:
        assert opened(folder)._lost("e1", "a") == 1
        return parts

    opened(folder).send_parts("e1", ["a", "b"], look, lambda: None)


def test_only_the_parts_that_are_left_are_sent(folder: Path) -> None:
    log, service = opened(folder), Service()
    log.send_parts("e1", ["a", "b", "c"], lambda parts: [*service.send(parts)][:1], service.check)
    log.send_parts("e1", ["a", "b", "c"], service.send, service.check)
    assert (service.got, service.checks) == (["a", "b", "c", "b", "c"], 1)
    log.mark_delivered("e1")
    assert log.is_delivered("e1")
    assert not log.notes.get("parts")


def test_failures_are_counted_over_processes(folder: Path) -> None:
    assert [opened(folder).count("e1", "files") for _ in range(3)] == [1, 2, 3]


def test_a_disk_that_is_full_stops_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    log, service = opened(folder), Service()
    for _ in range(2):
        log.send_once("e1", "note", service.send, service.check)
    assert service.got == ["x"], "this process remembers"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"told": 3}'])
def test_shared_notes_that_are_damaged_are_empty(folder: Path, text: str) -> None:
    path = folder / "mlflow.json"
    path.write_text(text)
    notes = SharedNotes(path)
    with notes.locked():
        notes.set(run_id="a")
    assert (SharedNotes(path).get("run_id"), notes.get("nothing", 5)) == ("a", 5)


@pytest.mark.parametrize("wrong", [None, 5, "x", [1, 2], {"a": 5}])
def test_a_file_that_somebody_has_edited_stops_no_message(tmp_path: Path, wrong: object) -> None:
    block = dict.fromkeys(("settled", "told", "parts", "given_up", "message", "left_out"), wrong)
    (tmp_path / "services.json").write_text(json.dumps({"slack": block}))
    memory = RunMemory(tmp_path).block("slack")
    assert memory.get("settled", 0) == (wrong if wrong == 5 else 0)
    deliveries, sent = DeliveryLog(memory, "slack"), []
    deliveries.send_once("e", "message", lambda: sent.append("e"), lambda: None)
    deliveries.mark_delivered("e")
    assert (sent, deliveries.is_delivered("e")) == (["e"], True)
