from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.channel import NotDelivered, QueuedEvent, Refused
from services.slack.bot import SlackBot
from tests.services.slack.runs import START_S, Night, bot, failed, finished, report, started, step
from tests.services.slack.standin import SlackStandIn
from tests.standin import Answer, Fault

PNG = b"\x89PNG\r\n\x1a\n picture"
RESET, RESET_AFTER = Fault("reset"), Fault("reset_after")
PASS = Fault("slow")
"""No fault: the true answer, at once."""
GARBAGE = Fault("answer", Answer(200, "<html>log in to the hotel's network</html>"))


def answered(status: int, body: Any = "", **headers: str) -> Fault:
    return Fault("answer", Answer(status, body, headers))


def tried(channel: SlackBot, queued: QueuedEvent) -> str:
    """How a delivery went: `done`, or the exception's name."""
    try:
        channel.deliver(queued)
    except (NotDelivered, Refused) as error:
        return type(error).__name__
    return "done"


FIRST = QueuedEvent("first", START_S, started())


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (RESET, "AnswerLost"),
        (RESET_AFTER, "AnswerLost"),
        (GARBAGE, "AnswerLost"),
        (answered(504), "AnswerLost"),
        (answered(200, "null"), "AnswerLost"),
        (answered(200, "[1]"), "AnswerLost"),
        (answered(200, b"\xff\xfe\xfa"), "AnswerLost"),
        (answered(200, {"ok": False}), "AnswerLost"),
        (answered(200, {"ok": True}), "AnswerLost"),
        (answered(500), "NotDelivered"),
        (answered(503, {"ok": False}), "NotDelivered"),
        (answered(403, "<html>blocked</html>"), "NotDelivered"),
        (answered(200, {"ok": False, "error": "fatal_error"}), "NotDelivered"),
    ],
    ids=str,
)
def test_what_failed_once_arrives_later_and_everything_else_after_it(
    tmp_path: Path, workspace: SlackStandIn, fault: Fault, outcome: str
) -> None:
    """`AnswerLost`: the request may have taken effect."""
    channel = bot(tmp_path, workspace)
    workspace.fail(fault)
    assert tried(channel, FIRST) == outcome
    assert tried(channel, FIRST) == "done"
    Night(channel).send(finished())
    assert len(workspace.replies(workspace.parents[-1])) == 1
    assert len(workspace.parents) == (2 if fault is RESET_AFTER else 1)


def test_a_message_is_repeated_once_at_most(tmp_path: Path, workspace: SlackStandIn) -> None:
    outcomes: list[str] = []
    for faults in ([RESET_AFTER], [PASS, RESET_AFTER], []):
        workspace.fail(*faults)
        outcomes.append(tried(bot(tmp_path, workspace), FIRST))  # each time another process
    assert outcomes == ["AnswerLost", "AnswerLost", "done"]
    assert len(workspace.calls("chat.postMessage")) == 2


def test_a_message_that_was_being_sent_at_a_kill_is_repeated_once(tmp_path: Path, workspace: SlackStandIn) -> None:
    channel = bot(tmp_path, workspace)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    channel.thread.known = channel.thread.connect()
    channel.thread.known.client._perform_urllib_http_request_internal = die  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        channel.deliver(FIRST)
    assert tried(bot(tmp_path, workspace), FIRST) == "done"
    assert len(workspace.parents) == 1


def test_a_rate_limit_says_how_long_to_wait(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.fail(answered(429, {"ok": False, "error": "ratelimited"}, **{"Retry-After": "47"}))
    with pytest.raises(NotDelivered) as caught:
        bot(tmp_path, workspace).deliver(FIRST)
    assert caught.value.retry_after_s == 47
    assert len(workspace.requests) == 1


def test_an_edit_is_tried_again_at_once_but_only_once(tmp_path: Path, workspace: SlackStandIn) -> None:
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    channel.next_edit_s = 0
    workspace.fail(RESET_AFTER)
    Night(channel).send(step(0, 1))
    assert workspace.parents[0].edits == 2
    channel.next_edit_s = 0
    workspace.always = RESET
    assert tried(channel, QueuedEvent("later", START_S + 999, step(0, 2), 9)) == "NotDelivered"
    assert len(workspace.calls("chat.update")) == 4


@pytest.mark.parametrize("count", range(7))
def test_an_error_told_in_many_steps_goes_on_where_it_broke_off(
    tmp_path: Path, workspace: SlackStandIn, count: int
) -> None:
    Night(bot(tmp_path, workspace)).send(started())
    queued = QueuedEvent("end", START_S + 999, failed(trace="Traceback"))
    workspace.fail(*[PASS] * count, RESET, RESET)
    for _ in range(4):
        if tried(bot(tmp_path, workspace), queued) == "done":
            break
    (parent,) = workspace.parents
    assert [len(note.files) for note in workspace.replies(parent)] == [0, 0, 1]
    requests = len(workspace.requests)
    bot(tmp_path, workspace).deliver(queued)  # the outbox was not told before a kill
    assert len(workspace.requests) == requests


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4], ids=["url", "bytes", "url 2", "bytes 2", "complete"])
def test_an_upload_is_whole_or_not_there(tmp_path: Path, workspace: SlackStandIn, before: int) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    queued = QueuedEvent("report", START_S + 999, report(a=tmp_path / "0.png", b=tmp_path / "1.png"))
    workspace.fail(*[PASS] * before, answered(500), *[answered(500)] * (before in (0, 2)))  # an address is asked twice
    assert tried(channel, queued) == "NotDelivered"
    assert workspace.replies(workspace.parents[0]) == []
    assert tried(channel, queued) == "done"
    assert [len(note.files) for note in workspace.replies(workspace.parents[0])] == [2]


def test_an_upload_whose_last_answer_was_lost_is_repeated_once(tmp_path: Path, workspace: SlackStandIn) -> None:
    (tmp_path / "0.png").write_bytes(PNG)
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    queued = QueuedEvent("report", START_S + 999, report(a=tmp_path / "0.png"))
    outcomes: list[str] = []
    for _ in range(3):
        lost = [PASS, PASS, RESET_AFTER]
        workspace.fail(*(lost if not outcomes else [PASS, *lost]))
        outcomes.append(tried(channel, queued))
        workspace.faults.clear()
    assert outcomes == ["AnswerLost", "AnswerLost", "done"]
    assert len(workspace.calls("files.completeUploadExternal")) == 2


def test_a_delivery_ends_in_time_where_slack_is_slow(
    tmp_path: Path, workspace: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("services.slack.client.time.monotonic", lambda: now_s[0])
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    answer = workspace.reply

    def slowly(request: Any) -> Any:
        now_s[0] += 6
        return answer(request)

    monkeypatch.setattr(workspace, "reply", slowly)
    with pytest.raises(NotDelivered, match="Slack is slow"):
        channel.deliver(QueuedEvent("report", START_S + 999, report(a=tmp_path / "0.png", b=tmp_path / "1.png")))
    assert len(workspace.requests) == 1 + 3


def test_anywhere_else_is_asked_through_the_proxy(
    tmp_path: Path, workspace: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", workspace.url)
    channel = bot(tmp_path, workspace, base_url="http://slack.invalid/api/")
    assert tried(channel, FIRST) == "done"
    assert [request.headers["host"] for request in workspace.requests] == ["slack.invalid"]
