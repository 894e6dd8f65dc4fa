from __future__ import annotations

from pathlib import Path

import pytest

from services.channel import EventRefused, NotDelivered, QueuedEvent, Refused
from services.slack.errors import OF_FILES, SENTENCES
from tests.services.slack.runs import START_S, Night, bot, failed, finished, report, started
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
    channel.deliver(queued)
    *_, note = workspace.replies(workspace.parents[0])
    assert "Not attached: Traceback – the app is not in the channel; invite it: /invite @carpus" in note.text


UPLOAD_CODES = [code for code in OF_FILES if code not in ("missing_scope", "not_in_channel")] + ["a_new_code"]


@pytest.mark.parametrize("code", UPLOAD_CODES)
@pytest.mark.parametrize("before", [0, 1, 2], ids=["first", "second", "share"])
def test_a_file_that_slack_refuses_is_left_out_with_a_line_and_the_text_goes_through(
    tmp_path: Path, workspace: SlackStandIn, caplog: pytest.LogCaptureFixture, code: str, before: int
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG")
    channel = bot(tmp_path, workspace)
    night = Night(channel)
    night.send(started())
    # A rejection replaces an answer of the Web API; the upload of the bytes is none.
    workspace.accepted_before_rejection, workspace.rejections = before, [code]
    night.send(report(one=tmp_path / "one.png", two=tmp_path / "two.png"), finished())
    *_, attached, end = workspace.replies(workspace.parents[0])
    left_out = [["one"], ["two"], ["one", "two"]][before]
    assert f"Not attached: {', '.join(left_out)} – " in attached.text
    assert "Report: " in attached.text
    assert code in attached.text
    assert [file.title for file in attached.files] == [name for name in ("one", "two") if name not in left_out]
    assert "is done" in end.text
    assert [message.partition(" is not")[0] for message in caplog.messages] == [f"slack: {name}" for name in left_out]


def test_an_app_that_may_not_upload_still_tells_everything(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.scopes = {"chat:write"}
    Night(bot(tmp_path, workspace)).send(started(), failed(trace="Traceback"), finished())
    texts = [note.text for note in workspace.replies(workspace.parents[0])]
    assert any("the app lacks the scope files:write" in text for text in texts)
    assert "is done" in texts[-1]


def test_uploads_that_a_firewall_blocks_are_given_up_after_three_tries(
    tmp_path: Path, workspace: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.png").write_bytes(b"\x89PNG")
    Night(bot(tmp_path, workspace)).send(started())
    monkeypatch.setattr(workspace, "_receive", lambda request: Answer(503, "<html>blocked</html>"))
    queued = QueuedEvent("report", START_S + 999, report(one=tmp_path / "one.png"))
    for _ in range(2):
        with pytest.raises(NotDelivered, match="the upload"):
            bot(tmp_path, workspace).deliver(queued)
    bot(tmp_path, workspace).deliver(queued)
    (note,) = workspace.replies(workspace.parents[0])
    assert "Not attached: one – " in note.text


@pytest.mark.parametrize("code", ["a_new_code", "no_text", "too_many_attachments"])
def test_an_unknown_refusal_concerns_one_event(tmp_path: Path, workspace: SlackStandIn, code: str) -> None:
    channel = bot(tmp_path, workspace)
    workspace.rejections = [code]
    with pytest.raises(EventRefused, match=f"Slack answered {code}"):
        channel.deliver(FIRST)
    Night(channel).send(finished())
    assert len(workspace.parents) == 1


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
