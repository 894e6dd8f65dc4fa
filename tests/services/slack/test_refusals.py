from __future__ import annotations

from pathlib import Path

import pytest

from services.channel import NotDelivered, QueuedEvent, Refused
from services.slack.errors import SENTENCES
from tests.services.slack.runs import START_S, Night, bot, failed, finished, started
from tests.services.slack.standin import TOKEN, Channel, SlackStandIn
from tests.standin import Answer, Fault

FIRST = QueuedEvent("first", START_S, started())
RESET = Fault("reset")
GARBAGE = Fault("answer", Answer(500, f"<html>{TOKEN}</html>"))
REFUSED = Fault("answer", Answer(200, {"ok": False, "error": "invalid_auth"}))


@pytest.mark.parametrize("code", SENTENCES)
def test_what_a_person_must_mend_is_a_sentence_with_the_way_out(
    tmp_path: Path, workspace: SlackStandIn, code: str
) -> None:
    workspace.rejections = [code]
    with pytest.raises(Refused) as caught:
        bot(tmp_path, workspace).deliver(FIRST)
    sentence = str(caught.value)
    assert sentence.startswith(("SLACK_BOT_TOKEN: ", "services.slack.channel=#runs: ", "services.slack.base_url: "))
    assert "{" not in sentence
    assert TOKEN not in sentence


def test_refusals_come_from_the_state_of_the_workspace(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.scopes = {"files:write"}
    with pytest.raises(Refused, match="lacks the scope chat:write"):
        bot(tmp_path, workspace).deliver(FIRST)
    workspace.scopes = {"chat:write"}
    workspace.channels = [Channel("C1", "open", has_bot=False), Channel("C2", "closed", has_bot=False, is_private=True)]
    for channel, words in (("open", "not in this channel"), ("closed", "no such channel"), ("typo", "no such channel")):
        with pytest.raises(Refused, match=f"services.slack.channel={channel}: .*{words}"):
            bot(tmp_path, workspace, channel=channel).deliver(FIRST)
    workspace.channels = [Channel("C1", "old", is_archived=True)]
    with pytest.raises(Refused, match="archived"):
        bot(tmp_path, workspace, channel="old").deliver(FIRST)


def test_an_uninvited_bot_tells_all_that_needs_no_file(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.channels = [Channel("C1", "runs", has_bot=False)]
    queued = QueuedEvent("end", START_S + 999, failed(trace="Traceback"))
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    with pytest.raises(Refused, match=r"/invite @carpus"):
        channel.deliver(queued)
    assert len(workspace.replies(workspace.parents[0])) == 2
    workspace.channels[0].has_bot = True
    bot(tmp_path, workspace).deliver(queued)
    assert [len(note.files) for note in workspace.replies(workspace.parents[0])] == [0, 0, 1]


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "msg_blocks_too_long"])
def test_a_message_whose_blocks_are_not_taken_goes_as_text(tmp_path: Path, workspace: SlackStandIn, code: str) -> None:
    workspace.rejections = [code]
    channel = bot(tmp_path, workspace)
    channel.deliver(FIRST)
    (parent,) = workspace.parents
    assert parent.blocks == []
    assert "*Epoch*\n1/4" in parent.text
    workspace.rejections = [code]
    Night(channel).send(finished())
    assert parent.blocks == []
    assert "2 h 05 min" in parent.text


def test_no_failure_names_the_token(tmp_path: Path, workspace: SlackStandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for fault in (RESET, GARBAGE, REFUSED):
        workspace.fail(fault)
        with pytest.raises((NotDelivered, Refused)) as caught:
            bot(tmp_path / str(len(workspace.requests)), workspace).deliver(FIRST)
        assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
