from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.channel import NotDelivered, Refused, Told
from services.slack_bot import SlackBot
from services.slack_errors import SENTENCES, AnswerLost
from tests.services.slack_runs import START_S, Night, bot, failed, finished, report, started, step
from tests.services.slack_standin import TOKEN, Channel, SlackStandIn
from tests.standin import Answer, Fault

PNG = b"\x89PNG\r\n\x1a\n picture"
RESET, RESET_AFTER = Fault("reset"), Fault("reset_after")
PASS = Fault("slow")
"""No fault: the true answer, at once."""
GARBAGE = Fault("answer", Answer(200, "<html>log in to the hotel's network</html>"))


def answered(status: int, body: Any = "", **headers: str) -> Fault:
    return Fault("answer", Answer(status, body, headers))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def standin() -> Iterator[SlackStandIn]:
    with SlackStandIn() as standin:
        yield standin


def tried(channel: SlackBot, told: Told) -> str:
    """How a delivery went: `done`, or the exception's name."""
    try:
        channel.deliver(told)
    except (NotDelivered, Refused) as error:
        return type(error).__name__
    return "done"


FIRST = Told("first", START_S, started())


@pytest.mark.parametrize(
    "fault",
    [
        RESET,
        RESET_AFTER,
        GARBAGE,
        answered(500),
        answered(503, {"ok": False}),
        answered(504),
        answered(403, "<html>blocked</html>"),
        answered(200, "null"),
        answered(200, "[1]"),
        answered(200, b"\xff\xfe\xfa"),
        answered(200, {"ok": False, "error": "fatal_error"}),
        answered(200, {"ok": False}),
        answered(200, {"ok": True}),
    ],
    ids=str,
)
def test_what_failed_once_arrives_later_and_everything_else_after_it(
    tmp_path: Path, standin: SlackStandIn, fault: Fault
) -> None:
    channel = bot(tmp_path, standin)
    standin.fail(fault)
    assert tried(channel, FIRST) in ("NotDelivered", "AnswerLost")
    assert tried(channel, FIRST) == "done"
    Night(channel).tell(finished())
    assert len(standin.replies(standin.parents[-1])) == 1
    assert len(standin.parents) == (2 if fault is RESET_AFTER else 1)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (GARBAGE, "AnswerLost"),
        (answered(504), "AnswerLost"),
        (RESET_AFTER, "AnswerLost"),
        (answered(500), "NotDelivered"),
        (answered(403, "<html>blocked</html>"), "NotDelivered"),
        (answered(200, {"ok": False, "error": "fatal_error"}), "NotDelivered"),
    ],
    ids=str,
)
def test_what_may_have_taken_effect_is_told_from_what_has_not(
    tmp_path: Path, standin: SlackStandIn, fault: Fault, outcome: str
) -> None:
    standin.fail(fault)
    assert tried(bot(tmp_path, standin), FIRST) == outcome


def test_a_service_that_is_down_is_no_error_of_ours(tmp_path: Path, standin: SlackStandIn) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/api/"
        with pytest.raises(NotDelivered, match="no connection to Slack"):
            bot(tmp_path, standin, base_url=address).deliver(FIRST)
    bot(tmp_path, standin).deliver(FIRST)
    assert len(standin.parents) == 1


def test_a_black_hole_for_hours_costs_no_message_and_repeats_none(
    tmp_path: Path, standin: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = bot(tmp_path, standin)
    standin.always = Fault("hang")
    assert [tried(channel, FIRST) for _ in range(6)] == ["AnswerLost"] + ["NotDelivered"] * 5
    standin.always = None
    assert tried(channel, FIRST) == "done"
    assert len(standin.parents) == 1
    assert len(standin.calls("chat.postMessage")) == 2


def test_a_message_is_repeated_once_at_most(tmp_path: Path, standin: SlackStandIn) -> None:
    outcomes: list[str] = []
    for faults in ([RESET_AFTER], [PASS, RESET_AFTER], []):
        standin.fail(*faults)
        outcomes.append(tried(bot(tmp_path, standin), FIRST))  # each time another process
    assert outcomes == ["AnswerLost", "AnswerLost", "done"]
    assert len(standin.calls("chat.postMessage")) == 2


def test_a_message_that_was_being_sent_at_a_kill_is_repeated_once(tmp_path: Path, standin: SlackStandIn) -> None:
    channel = bot(tmp_path, standin)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    channel.thread.known = channel.thread.connect()
    channel.thread.known.client._perform_urllib_http_request_internal = die  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        channel.deliver(FIRST)
    assert tried(bot(tmp_path, standin), FIRST) == "done"
    assert len(standin.parents) == 1


def test_a_rate_limit_says_how_long_to_wait(tmp_path: Path, standin: SlackStandIn) -> None:
    standin.fail(answered(429, {"ok": False, "error": "ratelimited"}, **{"Retry-After": "47"}))
    with pytest.raises(NotDelivered) as caught:
        bot(tmp_path, standin).deliver(FIRST)
    assert caught.value.retry_after_s == 47
    assert len(standin.requests) == 1


def test_an_edit_is_tried_again_at_once_but_only_once(tmp_path: Path, standin: SlackStandIn) -> None:
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    channel.next_edit_s = 0
    standin.fail(RESET_AFTER)
    Night(channel).tell(step(0, 1))
    assert standin.parents[0].edits == 2
    channel.next_edit_s = 0
    standin.always = RESET
    assert tried(channel, Told("later", START_S + 999, step(0, 2))) == "NotDelivered"
    assert len(standin.calls("chat.update")) == 4


@pytest.mark.parametrize("count", range(7))
def test_an_error_told_in_many_steps_goes_on_where_it_broke_off(
    tmp_path: Path, standin: SlackStandIn, count: int
) -> None:
    Night(bot(tmp_path, standin)).tell(started())
    told = Told("end", START_S + 999, failed(trace="Traceback"))
    standin.fail(*[PASS] * count, RESET, RESET)
    for _ in range(4):
        if tried(bot(tmp_path, standin), told) == "done":
            break
    (parent,) = standin.parents
    assert [len(note.files) for note in standin.replies(parent)] == [0, 0, 1]
    requests = len(standin.requests)
    bot(tmp_path, standin).deliver(told)  # the outbox was not told before a kill
    assert len(standin.requests) == requests


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4], ids=["url", "url 2", "bytes", "bytes 2", "complete"])
def test_an_upload_is_whole_or_not_there(tmp_path: Path, standin: SlackStandIn, before: int) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    told = Told("report", START_S + 999, report(a=tmp_path / "0.png", b=tmp_path / "1.png"))
    standin.fail(*[PASS] * before, answered(500))
    assert tried(channel, told) == "NotDelivered"
    assert standin.replies(standin.parents[0]) == []
    assert tried(channel, told) == "done"
    assert [len(note.files) for note in standin.replies(standin.parents[0])] == [2]


def test_an_upload_whose_last_answer_was_lost_is_repeated_once(tmp_path: Path, standin: SlackStandIn) -> None:
    (tmp_path / "0.png").write_bytes(PNG)
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    told = Told("report", START_S + 999, report(a=tmp_path / "0.png"))
    outcomes: list[str] = []
    for _ in range(3):
        lost = [PASS, PASS, RESET_AFTER]
        standin.fail(*(lost if not outcomes else [PASS, *lost]))
        outcomes.append(tried(channel, told))
        standin.faults.clear()
    assert outcomes == ["AnswerLost", "AnswerLost", "done"]
    assert len(standin.calls("files.completeUploadExternal")) == 2


@pytest.mark.parametrize("code", SENTENCES)
def test_what_a_person_must_mend_is_a_sentence_with_the_way_out(
    tmp_path: Path, standin: SlackStandIn, code: str
) -> None:
    standin.rejections = [code]
    with pytest.raises(Refused) as caught:
        bot(tmp_path, standin).deliver(FIRST)
    sentence = str(caught.value)
    assert sentence.startswith(("SLACK_BOT_TOKEN: ", "services.slack.channel=#runs: ", "services.slack.base_url: "))
    assert "{" not in sentence
    assert TOKEN not in sentence


def test_refusals_come_from_the_state_of_the_workspace(tmp_path: Path, standin: SlackStandIn) -> None:
    standin.scopes = {"files:write"}
    with pytest.raises(Refused, match="lacks the scope chat:write"):
        bot(tmp_path, standin).deliver(FIRST)
    standin.scopes = {"chat:write"}
    standin.channels = [Channel("C1", "open", has_bot=False), Channel("C2", "closed", has_bot=False, is_private=True)]
    for channel, words in (("open", "not in this channel"), ("closed", "no such channel"), ("typo", "no such channel")):
        with pytest.raises(Refused, match=f"services.slack.channel={channel}: .*{words}"):
            bot(tmp_path, standin, channel=channel).deliver(FIRST)
    standin.channels = [Channel("C1", "old", is_archived=True)]
    with pytest.raises(Refused, match="archived"):
        bot(tmp_path, standin, channel="old").deliver(FIRST)


def test_an_uninvited_bot_tells_all_that_needs_no_file(tmp_path: Path, standin: SlackStandIn) -> None:
    standin.channels = [Channel("C1", "runs", has_bot=False)]
    told = Told("end", START_S + 999, failed(trace="Traceback"))
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    with pytest.raises(Refused, match=r"/invite @carpus"):
        channel.deliver(told)
    assert len(standin.replies(standin.parents[0])) == 2
    standin.channels[0].has_bot = True
    bot(tmp_path, standin).deliver(told)
    assert [len(note.files) for note in standin.replies(standin.parents[0])] == [0, 0, 1]


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "msg_blocks_too_long"])
def test_a_message_whose_blocks_are_not_taken_goes_as_text(tmp_path: Path, standin: SlackStandIn, code: str) -> None:
    standin.rejections = [code]
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    (parent,) = standin.parents
    assert parent.blocks == []
    assert "*Epoch*\n1/4" in parent.text
    standin.rejections = [code]
    Night(channel).tell(finished())
    assert parent.blocks == []
    assert "2 h 05 min" in parent.text


def test_a_delivery_ends_in_time_where_slack_is_slow(
    tmp_path: Path, standin: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("services.slack_client.time.monotonic", lambda: now_s[0])
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    channel = bot(tmp_path, standin)
    channel.deliver(FIRST)
    answer = standin.reply

    def slowly(request: Any) -> Any:
        now_s[0] += 6
        return answer(request)

    monkeypatch.setattr(standin, "reply", slowly)
    with pytest.raises(NotDelivered, match="Slack is slow"):
        channel.deliver(Told("report", START_S + 999, report(a=tmp_path / "0.png", b=tmp_path / "1.png")))
    assert len(standin.requests) == 1 + 3


def test_no_proxy_stands_between_us_and_this_machine(
    tmp_path: Path, standin: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://kim:secret@127.0.0.1:9")
    (tmp_path / "0.png").write_bytes(PNG)
    Night(bot(tmp_path, standin)).tell(started(), report(a=tmp_path / "0.png"))
    assert len(standin.replies(standin.parents[0])[0].files) == 1


def test_anywhere_else_is_asked_through_the_proxy(
    tmp_path: Path, standin: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", standin.url)
    channel = bot(tmp_path, standin, base_url="http://slack.invalid/api/")
    assert tried(channel, FIRST) == "done"
    assert [request.headers["host"] for request in standin.requests] == ["slack.invalid"]


def test_a_broken_memory_file_costs_no_second_message(
    tmp_path: Path, standin: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utils.errors import UserError

    def full(*_: object) -> None:
        raise UserError("disk full")

    monkeypatch.setattr("services.memory.write_text", full)
    channel = bot(tmp_path, standin)
    Night(channel).tell(started(), finished())
    assert len(standin.parents) == 1
    assert len(standin.replies(standin.parents[0])) == 1


def test_no_failure_names_the_token(tmp_path: Path, standin: SlackStandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for fault in (RESET, GARBAGE, answered(500, TOKEN), answered(200, {"ok": False, "error": "invalid_auth"})):
        standin.fail(fault)
        with pytest.raises((NotDelivered, Refused)) as caught:
            bot(tmp_path / str(len(standin.requests)), standin).deliver(FIRST)
        assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"


def test_a_lost_answer_is_a_kind_of_delay() -> None:
    assert issubclass(AnswerLost, NotDelivered)
