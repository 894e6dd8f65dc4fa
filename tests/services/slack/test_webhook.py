from __future__ import annotations

from pathlib import Path

import pytest

from services.channel import EventRefused, NotDelivered, QueuedEvent, Refused
from services.slack import slack
from services.slack.webhook import SENTENCES, SlackWebhook
from tests.services.slack.runs import (
    FACTS,
    START_S,
    Night,
    context,
    epoch_ended,
    failed,
    finished,
    interrupted,
    report,
    shown,
    started,
    step,
)
from tests.services.slack.standin import SlackStandIn
from tests.standin import Answer, Fault
from utils.events import Event

FIRST = QueuedEvent("first", START_S, started())


def hook(folder: Path, workspace: SlackStandIn, **settings: object) -> SlackWebhook:
    made = slack(context(folder, SLACK_WEBHOOK_URL=workspace.webhook_url), **settings)  # type: ignore[arg-type]
    assert isinstance(made, SlackWebhook)
    return made


def test_start_end_and_error_are_a_message_each(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(hook(tmp_path, workspace, owner="U012AB3CD"))
    night.send(started(), epoch_ended(0, 0.5), failed("boom", trace="Traceback\nKeyError"), finished())
    begun, broken, done = workspace.parents
    assert "training · mine/fold2" in shown(begun.blocks)
    for words in ("<@U012AB3CD>", "failed in epoch 1", "boom", "KeyError", f"```{FACTS.command}```", "log.txt"):
        assert words in shown(broken.blocks)
    assert "is done" in done.text


def test_what_cannot_be_shown_is_not_wanted(tmp_path: Path, workspace: SlackStandIn) -> None:
    channel = hook(tmp_path, workspace)
    events: list[Event] = [step(0, 1), report(), epoch_ended(0, 0.5), started(), finished(), failed(), interrupted()]
    assert [channel.accepts(event) for event in events] == [False, False, True, True, True, True, True]
    assert [channel.must_arrive(event) for event in events] == [False, False, False, True, True, True, True]
    assert not hook(tmp_path, workspace, events=("error",)).accepts(finished())


def test_a_message_arrives_once(tmp_path: Path, workspace: SlackStandIn) -> None:
    for _ in range(3):
        hook(tmp_path, workspace).deliver(FIRST)
    assert len(workspace.parents) == 1


@pytest.mark.parametrize(
    "fault", [Fault("reset"), Fault("answer", Answer(500, "rollup_error")), Fault("answer", Answer(200, "<html>"))]
)
def test_what_failed_arrives_later(tmp_path: Path, workspace: SlackStandIn, fault: Fault) -> None:
    workspace.fail(fault)
    with pytest.raises(NotDelivered):
        hook(tmp_path, workspace).deliver(FIRST)
    hook(tmp_path, workspace).deliver(FIRST)
    assert len(workspace.parents) == 1


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("answer", Answer(200, "<html>"))], ids=["mute", "garbage"])
def test_a_lost_answer_costs_one_repetition_after_slack_has_shown_that_it_answers(
    tmp_path: Path, workspace: SlackStandIn, fault: Fault
) -> None:
    workspace.always = fault
    for _ in range(4):
        with pytest.raises(NotDelivered):
            hook(tmp_path, workspace).deliver(FIRST)
    workspace.always = None
    hook(tmp_path, workspace).deliver(FIRST)
    assert len(workspace.parents) == 1
    assert [bool(request.json["text"]) for request in workspace.requests] == [True, False, False, False, False, True]


def test_a_rate_limit_says_how_long_to_wait(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.fail(Fault("answer", Answer(429, "rate_limited", {"Retry-After": "12"})))
    with pytest.raises(NotDelivered) as caught:
        hook(tmp_path, workspace).deliver(FIRST)
    assert caught.value.retry_after_s == 12


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(403, "<html>Sign in</html>"), "answered 403 with a page or nothing"),
        (Answer(302, "", {"Location": "http://login.example/?next=x"}), r"redirects to login\.example \(302\)"),
        (Answer(407, ""), "the proxy wants a login"),
    ],
)
def test_what_a_proxy_answers_is_no_refusal_of_the_message(
    tmp_path: Path, workspace: SlackStandIn, answer: Answer, words: str
) -> None:
    workspace.fail(Fault("answer", answer))
    with pytest.raises(NotDelivered, match=words) as caught:
        hook(tmp_path, workspace).deliver(FIRST)
    assert not isinstance(caught.value, EventRefused)


@pytest.mark.parametrize("word", SENTENCES)
def test_what_a_person_must_mend_is_a_sentence_without_the_address(
    tmp_path: Path, workspace: SlackStandIn, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    workspace.fail(Fault("answer", Answer(403, word)))
    with pytest.raises(Refused, match=r"^SLACK_WEBHOOK_URL: .*\.$") as caught:
        hook(tmp_path, workspace).deliver(FIRST)
    assert "SecretOfTheWebhook" not in str(caught.value) + caplog.text


def test_a_message_whose_blocks_are_not_taken_goes_as_text(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.fail(Fault("answer", Answer(400, "invalid_blocks")))
    hook(tmp_path, workspace).deliver(FIRST)
    assert workspace.parents[0].blocks == []
    assert "*Epoch*" in workspace.parents[0].text
