"""Messages through apprise, whose scheme `json://` sends to a server on loopback; mail goes to one of SMTP."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest
import requests

from services import CHANNELS
from services.apprise import Apprise, missing, sending
from services.channel import AnswerLost, EventRefused, Language, NotDelivered, QueuedEvent, Refused
from services.delivery.delivery import open_delivery, usable_channels
from services.delivery.outbox import OutboxWriter
from services.secrets import MalformedSecret, Secrets, fingerprint
from tests.services.slack.runs import FACTS, context, epoch_ended, failed, finished, interrupted, report, started
from tests.standin import Answer, Fault, Request, StandIn
from utils.events import Event
from utils.redact import redact

EVENTS: dict[int, Event] = {1: started(), 2: finished()}


class Team(StandIn):
    """Accepts every message; `text` is its title and text, by the path of the address."""

    def reply(self, request: Request) -> Answer:
        return Answer(200)

    def texts(self, path: str = "/one") -> list[str]:
        values = [request.json for request in self.requests if request.path == path]
        return [f"{each['title']}\n{each['message']}" for each in values]

    def address(self, path: str = "/one") -> str:
        return f"json://{self.url.removeprefix('http://')}{path}"


@pytest.fixture
def team() -> Iterator[Team]:
    with Team() as running:
        yield running


def channel(folder: Path, *addresses: str, language: Language = "en", **settings: object) -> Apprise:
    about = context(folder, language=language, APPRISE_URLS=" ".join(addresses))
    return Apprise(about, **settings)  # type: ignore[arg-type]


def sent(event: Event, id: str = "e1") -> QueuedEvent:
    return QueuedEvent(id, 1_800_000_000.0, event, 1)


def test_start_end_and_error_reach_every_address(tmp_path: Path, team: Team) -> None:
    made = channel(tmp_path, team.address(), team.address("/two"))
    events: list[Event] = [started(), finished(), failed("boom"), interrupted()]
    for number, event in enumerate(events):
        made.deliver(sent(event, str(number)))
    assert team.texts() == team.texts("/two")
    begun, done, broken, stopped = team.texts()
    assert begun == "▶️ mine/fold2: training started, 4 epochs, 640 images, Tesla V100-SXM2-32GB.\nv100-1, kim"
    assert done.startswith("✅ mine/fold2 is done: best Dice 0.9000 in epoch 3, 4 epochs in 2 h 05 min.\n")
    assert broken == f"❌ mine/fold2 failed.\nboom\nContinue with: {FACTS.command}\nv100-1, kim"
    assert "by SIGTERM" in stopped
    types = [request.json["type"] for request in team.requests if request.path == "/one"]
    assert types == ["info", "success", "failure", "warning"]


def test_only_what_is_chosen_is_accepted(tmp_path: Path, team: Team) -> None:
    made = channel(tmp_path, team.address(), events=("end",))
    events: list[Event] = [started(), epoch_ended(0, 0.5), finished(), report(), failed()]
    assert [made.accepts(event) for event in events] == [False, False, True, False, False]


def test_the_language_is_that_of_the_team(tmp_path: Path, team: Team) -> None:
    channel(tmp_path, team.address(), language="ko").deliver(sent(finished()))
    assert "학습이 끝났습니다" in team.texts()[0]


def test_a_message_arrives_once_at_each_address(tmp_path: Path, team: Team) -> None:
    team.faults.extend([Fault("answer", Answer(503)), None])  # type: ignore[list-item]
    with pytest.raises(NotDelivered, match=r"^127\.0\.0\.1:\d+ has a fault of its own \(503\)$"):
        channel(tmp_path, team.address(), team.address("/two")).deliver(sent(finished()))
    for _ in range(2):
        channel(tmp_path, team.address(), team.address("/two")).deliver(sent(finished()))
    assert [request.path for request in team.requests] == ["/one", "/two", "/one"]


def test_a_message_whose_answer_is_lost_is_sent_twice_at_most(tmp_path: Path, team: Team) -> None:
    team.always = Fault("reset_after")
    for _ in range(2):
        with pytest.raises(AnswerLost):
            channel(tmp_path, team.address()).deliver(sent(finished()))
    channel(tmp_path, team.address()).deliver(sent(finished()))
    assert len(team.texts()) == 2


def test_a_refusal_concerns_one_event_and_an_address_that_is_down_keeps_it(tmp_path: Path, team: Team) -> None:
    down = "json://127.0.0.1:1/three"
    team.fail(Fault("answer", Answer(404, "no such webhook")))
    with pytest.raises(EventRefused, match=r"^127\.0\.0\.1:\d+ answered 404: 'no such webhook'"):
        channel(tmp_path, team.address(), team.address("/two")).deliver(sent(finished()))
    team.fail(Fault("answer", Answer(404, "no such webhook")))
    with pytest.raises(NotDelivered, match=r"^127\.0\.0\.1:1 cannot be reached \(nobody answers there\)$") as caught:
        channel(tmp_path, team.address(), down).deliver(sent(finished()))
    assert not isinstance(caught.value, EventRefused)


def test_an_address_that_is_down_delays_no_other_and_loses_nothing(tmp_path: Path, team: Team) -> None:
    def deliver(*addresses: str) -> dict[str, int]:
        secrets = Secrets(tmp_path / ".env", {"APPRISE_URLS": " ".join(addresses)})
        off = {name: {"enabled": False} for name in CHANNELS if name != "apprise"}
        with open_delivery(replace(FACTS, folder=tmp_path), off, secrets) as delivery:
            delivery.close(20.0, 20.0)
            return dict(delivery.channels_left)

    down, up = "json://127.0.0.1:1/down", team.address()
    outbox = OutboxWriter(replace(FACTS, folder=tmp_path), [f"apprise:{fingerprint(each)}" for each in (down, up)])
    outbox.write([outbox.entry_of(QueuedEvent(str(n), 0.0, event, n)) for n, event in EVENTS.items()], to_disk=False)
    assert deliver(down, up) == {f"apprise:{fingerprint(down)}": 2}
    assert len(team.texts()) == 2
    assert deliver(up) == {}, "nothing waits for an address that was taken out"
    assert (len(team.texts()), (tmp_path / "outbox.jsonl").exists()) == (2, False)


def test_several_addresses_are_several_channels(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / ".env", {"APPRISE_URLS": "json://one json://two"})
    names = [name for name in usable_channels({}, secrets) if name.startswith("apprise")]
    assert names == [f"apprise:{fingerprint(address)}" for address in ("json://one", "json://two")]


def test_two_threads_send_at_once_and_requests_of_others_stay_as_they_are(tmp_path: Path, team: Team) -> None:
    channel(tmp_path, team.address()).deliver(sent(finished()))
    adapters: list[str] = []
    lines: list[str] = []
    both, log = Barrier(2), logging.getLogger("apprise")

    def adapter() -> str:
        return type(requests.Session().get_adapter("https://elsewhere")).__name__

    def first() -> None:
        with sending():
            both.wait(20)
            log.warning("of the first")
            adapters.append(adapter())
        both.wait(20)

    thread = Thread(target=first)
    thread.start()
    with sending() as written:
        both.wait(20)
        both.wait(20)  # the first thread has ended its message
        log.warning("of the second")
        adapters.append(adapter())
        lines += written
    thread.join()
    assert [*adapters, adapter()] == ["AppriseAdapter", "AppriseAdapter", "HTTPAdapter"]
    assert lines == ["of the second"]


def test_a_redirect_is_not_followed(tmp_path: Path, team: Team) -> None:
    team.fail(Fault("answer", Answer(307, "", {"Location": "/elsewhere"})))
    with pytest.raises(NotDelivered, match="redirects"):
        channel(tmp_path, team.address()).deliver(sent(finished()))
    assert [request.path for request in team.requests] == ["/one"]


@pytest.mark.parametrize(
    ("greeting", "kind"), [(b"554 no access\r\n", EventRefused), (b"421 too busy\r\n", NotDelivered)]
)
def test_a_mail_server_that_refuses_is_told_from_one_that_is_busy(
    tmp_path: Path, greeting: bytes, kind: type[Exception]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(greeting)

        Thread(target=answer, daemon=True).start()
        address = f"mailto://me:hunter2hunter2@127.0.0.1:{listener.getsockname()[1]}?mode=insecure&from=a@b.example"
        with pytest.raises(NotDelivered, match="mailto did not take it") as caught:
            channel(tmp_path, address).deliver(sent(finished()))
    assert type(caught.value) is kind
    assert "hunter2hunter2" not in str(caught.value)


def test_what_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / ".env", {})
    assert missing(secrets, {}) == "APPRISE_URLS is not set"
    wrong = Secrets(tmp_path / ".env", {"APPRISE_URLS": "json://host/a nonsense://x"})
    assert missing(wrong, {}) == "apprise does not know the form of address 2 in APPRISE_URLS"
    with pytest.raises(Refused, match="address 1 in APPRISE_URLS"):
        channel(tmp_path, "nonsense://x").deliver(sent(finished()))
    with pytest.raises(MalformedSecret, match=r"APPRISE_URLS: its character 19 \(…\)"):
        missing(Secrets(tmp_path / ".env", {"APPRISE_URLS": "discord://123/abcd..."}), {})


def test_no_part_of_an_address_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = "json://127.0.0.1:1/TheSecretOfTheWebhook"
    with pytest.raises(NotDelivered) as caught:
        channel(tmp_path, address).deliver(sent(finished()))
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("apprise")]
    assert not logging.getLogger("apprise").propagate, "what apprise writes reaches no log of ours"
    assert "TheSecretOfTheWebhook" not in "".join([str(caught.value), *ours, (tmp_path / "services.json").read_text()])
    assert redact(f"{address} and https://elsewhere/bot/TheSecretOfTheWebhook") == "*** and https://elsewhere/bot/***"


def test_secrets_in_a_reason_are_masked(tmp_path: Path, team: Team) -> None:
    channel(tmp_path, team.address()).deliver(sent(replace(failed(), reason="bad xoxb-12-secret")))
    assert "bad ***" in team.texts()[0]
