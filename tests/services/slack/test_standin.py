"""The stand-in refuses what Slack refuses; otherwise tests against it would prove little."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.services.slack.standin import TOKEN, Channel, SlackStandIn

TEXT: dict[str, Any] = {"channel": "C012AB3CD", "text": "hello"}


def ask(workspace: SlackStandIn, method: str, token: str | None = TOKEN, *, form: bool = False, **body: Any) -> Any:
    """The answer to a call, by hand."""
    kind = "application/x-www-form-urlencoded" if form else "application/json;charset=utf-8"
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = urlencode(body) if form else json.dumps(body)
    request = Request(f"{workspace.base_url}{method}", data.encode(), headers)
    with build_opener(ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, "invalid_blocks"),
        ({"blocks": [section("x" * 3000)] * 5}, "msg_blocks_too_long"),
        ({"thread_ts": "1.000001"}, "thread_not_found"),
        ({"channel": "typo"}, "channel_not_found"),
        ({"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({}, None),
    ],
)
def test_messages_keep_to_slacks_rules(workspace: SlackStandIn, body: dict[str, Any], error: str | None) -> None:
    assert ask(workspace, "chat.postMessage", **{**TEXT, **body}).get("error") == error


def test_a_call_needs_its_token_and_its_method(workspace: SlackStandIn) -> None:
    assert ask(workspace, "auth.test", token=None)["error"] == "not_authed"
    assert ask(workspace, "auth.test", token="xoxb-other")["error"] == "invalid_auth"
    assert ask(workspace, "files.upload")["error"] == "unknown_method"


def test_an_edit_needs_the_channels_id_and_a_message_that_is_there(workspace: SlackStandIn) -> None:
    ts = ask(workspace, "chat.postMessage", **{**TEXT, "channel": "#runs"}, blocks=[section("x")])["ts"]
    assert ask(workspace, "chat.update", channel="#runs", ts=ts, text="y")["error"] == "channel_not_found"
    assert ask(workspace, "chat.update", channel="C012AB3CD", ts="1.5", text="y")["error"] == "message_not_found"
    assert ask(workspace, "chat.update", channel="C012AB3CD", ts=ts, text="y")["ok"]
    assert workspace.messages[0].blocks == [section("x")], "blocks that are left out stay"
    ask(workspace, "chat.update", channel="C012AB3CD", ts=ts, text="y", blocks=[])
    assert workspace.messages[0].blocks == []


def test_a_file_needs_its_bytes_and_a_bot_that_is_in_the_channel(workspace: SlackStandIn) -> None:
    ts = ask(workspace, "chat.postMessage", **TEXT)["ts"]
    made = ask(workspace, "files.getUploadURLExternal", form=True, filename="a.png", length=3)
    done = {"form": True, "channel_id": "C012AB3CD", "thread_ts": ts, "files": json.dumps([{"id": made["file_id"]}])}
    assert ask(workspace, "files.completeUploadExternal", **done)["error"] == "file_not_found"
    workspace.files[made["file_id"]].content = b"abc"
    workspace.channels = [Channel("C012AB3CD", "runs", has_bot=False)]
    assert ask(workspace, "files.completeUploadExternal", **done)["error"] == "not_in_channel"
    workspace.channels[0].has_bot = True
    assert ask(workspace, "files.completeUploadExternal", **done)["ok"]
    assert ask(workspace, "files.completeUploadExternal", **done)["error"] == "file_not_found"
