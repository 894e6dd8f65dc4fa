"""Slack on loopback: channels, messages by time stamp, threads, files in three steps, and an incoming webhook.

It answers by the rules of Slack's Web API: bearer token, scopes, membership, limits of blocks and texts. What it keeps
can be looked at: `SlackStandIn.messages`, and as a picture by `docs.images.slack`.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from tests.services.slack.rules import fault_in_message
from tests.standin import Answer, Request, StandIn

TOKEN = "xoxb-1-secret-of-the-stand-in"
WEBHOOK_PATH = "/services/T012/B012/SecretOfTheWebhook"
SCOPES = ("chat:write", "files:write", "chat:write.public")


@dataclass
class Channel:
    id: str
    name: str
    has_bot: bool = True
    is_private: bool = False
    is_archived: bool = False


@dataclass
class File:
    id: str
    name: str
    length: int
    title: str = ""
    content: bytes | None = None
    is_shared: bool = False


@dataclass
class Message:
    ts: str
    channel: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    edits: int = 0
    by_webhook: bool = False


class Rejected(Exception):
    """An answer with `ok: false`; further keys of the answer by name."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.more = more


class SlackStandIn(StandIn):
    """One workspace with the channel `runs`, ID C012AB3CD, that the bot is in."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes = set(SCOPES)
        self.channels = [Channel("C012AB3CD", "runs")]
        self.messages: list[Message] = []
        self.files: dict[str, File] = {}
        self.rejections: list[str] = []
        """Codes with which to answer the next calls of the Web API."""
        self.accepted_before_rejection = 0
        """How many calls to accept before the next one is rejected."""
        self.editable = True
        """Whether the workspace lets messages be edited."""
        self.numbers = itertools.count(1)
        self.methods = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete_upload,
        }

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def webhook_url(self) -> str:
        return self.url + WEBHOOK_PATH

    @property
    def parents(self) -> list[Message]:
        """Messages of the channel itself, in order."""
        return [message for message in self.messages if message.thread_ts is None]

    def replies(self, parent: Message) -> list[Message]:
        return [message for message in self.messages if message.thread_ts == parent.ts]

    def calls(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.path == f"/api/{method}"]

    def reply(self, request: Request) -> Answer:
        if request.path == WEBHOOK_PATH:
            return self._webhook(request)
        if request.path.startswith("/upload/v1/"):
            return self._receive(request)
        method = request.path.removeprefix("/api/")
        try:
            if method not in self.methods:
                raise Rejected("unknown_method")
            self._check_token(request)
            if self.rejections and self.accepted_before_rejection:
                self.accepted_before_rejection -= 1
            elif self.rejections:
                raise Rejected(self.rejections.pop(0))
            return Answer(200, {"ok": True, **self.methods[method](_arguments(request))})
        except Rejected as error:
            return Answer(200, {"ok": False, "error": str(error), **error.more})

    def _check_token(self, request: Request) -> None:
        sent = request.headers.get("authorization", "")
        if not sent.startswith("Bearer "):
            raise Rejected("not_authed")
        if sent != f"Bearer {TOKEN}":
            raise Rejected("invalid_auth")

    def _auth_test(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"user": "carpus", "team": "stand-in"}

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._need("chat:write")
        channel = self._channel(arguments.get("channel"), by_name=True)
        if not channel.has_bot and "chat:write.public" not in self.scopes:
            raise Rejected("not_in_channel")
        self._check(arguments)
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None:
            self._message(channel, thread_ts, "thread_not_found")
        made = self._add(
            Message(
                self._new_ts(),
                channel.id,
                arguments["text"],
                arguments.get("blocks", []),
                thread_ts,
                bool(thread_ts and arguments.get("reply_broadcast")),
                arguments.get("metadata", {}),
            )
        )
        return {"channel": channel.id, "ts": made.ts, "message": {"text": made.text, "ts": made.ts}}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._need("chat:write")
        channel = self._channel(arguments.get("channel"), by_name=False)
        found = self._message(channel, arguments.get("ts"), "message_not_found")
        if found.by_webhook:
            raise Rejected("cant_update_message")
        if not self.editable:
            raise Rejected("edit_window_closed")
        self._check(arguments)
        found.text, found.edits = arguments["text"], found.edits + 1
        found.blocks = arguments.get("blocks", found.blocks)
        return {"channel": channel.id, "ts": found.ts, "text": found.text, "message": {"text": found.text}}

    def _upload_url(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._need("files:write")
        if not arguments.get("filename") or int(arguments.get("length", 0)) < 1:
            raise Rejected("invalid_arguments")
        made = File(f"F{next(self.numbers):09}", arguments["filename"], int(arguments["length"]))
        self.files[made.id] = made
        return {"upload_url": f"{self.url}/upload/v1/{made.id}", "file_id": made.id}

    def _receive(self, request: Request) -> Answer:
        found = self.files.get(request.path.rpartition("/")[2])
        if found is None or "authorization" in request.headers or len(request.body) != found.length:
            return Answer(400, "no such upload", {"Content-Type": "text/plain"})
        found.content = request.body
        return Answer(200, f"OK - {found.length}", {"Content-Type": "text/plain"})

    def _complete_upload(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._need("files:write")
        channel = self._channel(arguments.get("channel_id"), by_name=False)
        if not channel.has_bot:  # chat:write.public does not help here
            raise Rejected("not_in_channel")
        self._message(channel, arguments.get("thread_ts"), "invalid_thread_ts")
        shared = []
        for entry in json.loads(arguments["files"]):
            found = self.files.get(entry["id"])
            if found is None or found.content is None or found.is_shared:
                raise Rejected("file_not_found")
            found.title, found.is_shared = entry.get("title", found.name), True
            shared.append(found)
        text = arguments.get("initial_comment", "")
        self._add(Message(self._new_ts(), channel.id, text, thread_ts=arguments["thread_ts"], files=shared))
        return {"files": [{"id": file.id, "title": file.title} for file in shared]}

    def _webhook(self, request: Request) -> Answer:
        try:
            body = request.json
            if not body.get("text"):
                return Answer(400, "no_text")
            if fault := fault_in_message(body):
                return Answer(400, fault)
        except (ValueError, AttributeError):
            return Answer(400, "invalid_payload")
        if self.channels[0].is_archived:
            return Answer(410, "channel_is_archived")
        made = Message(self._new_ts(), self.channels[0].id, body["text"], body.get("blocks", []), by_webhook=True)
        self._add(made)
        return Answer(200, "ok", {"Content-Type": "text/html"})

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Rejected("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _channel(self, wanted: Any, *, by_name: bool) -> Channel:
        for channel in self.channels:
            if wanted == channel.id or (by_name and str(wanted).removeprefix("#") == channel.name):
                if channel.is_private and not channel.has_bot:
                    break
                if channel.is_archived:
                    raise Rejected("is_archived")
                return channel
        raise Rejected("channel_not_found")

    def _message(self, channel: Channel, ts: Any, otherwise: str) -> Message:
        for message in self.messages:
            if message.ts == ts and message.channel == channel.id:
                return message
        raise Rejected(otherwise)

    def _check(self, arguments: dict[str, Any]) -> None:
        if not arguments.get("text"):
            raise Rejected("no_text")
        if fault := fault_in_message(arguments):
            raise Rejected(fault)

    def _add(self, made: Message) -> Message:
        self.messages.append(made)
        return made

    def _new_ts(self) -> str:
        return f"{int(self.now())}.{next(self.numbers):06}"


def _arguments(request: Request) -> dict[str, Any]:
    is_json = request.headers.get("content-type", "").startswith("application/json")
    try:
        found = request.json if is_json and request.body.startswith(b"{") else request.form
    except ValueError:
        raise Rejected("invalid_json") from None
    return dict(found)
