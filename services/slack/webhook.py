"""The channel with an incoming webhook alone: single messages at the start, the end and an error.

A webhook's answer does not identify the message, so nothing can be edited, replied to or attached.
"""

from __future__ import annotations

import json
from typing import Any

from services.channel import AnswerLost, Channel, Context, EventRefused, NotDelivered, QueuedEvent, Refused, occasion_of
from services.delivery.delivery_log import DeliveryLog
from services.delivery.snapshot import Snapshot, snapshot_after, snapshot_as_dict, snapshot_from
from services.http import describe_answer, is_page, send_request
from services.slack.blocks import Message, message
from services.slack.bot import SlackSettings
from services.slack.errors import RETRY_AFTER_S
from services.slack.messages import note_of, trace_note
from utils.events import End, EpochEnded, Event, FoldsJoined, RunFailed, RunStarted

MAKE_ANEW = "Make a new one in the app's page Incoming Webhooks."
SENTENCES = {
    "invalid_token": f"SLACK_WEBHOOK_URL: Slack does not know this address any more. {MAKE_ANEW}",
    "no_service": f"SLACK_WEBHOOK_URL: this webhook was removed, or its app switched off. {MAKE_ANEW}",
    "no_team": f"SLACK_WEBHOOK_URL: Slack knows no workspace at this address. {MAKE_ANEW}",
    "no_active_hooks": f"SLACK_WEBHOOK_URL: this webhook is switched off. {MAKE_ANEW}",
    "action_prohibited": "SLACK_WEBHOOK_URL: an administrator forbids posting there. Ask them.",
    "channel_not_found": f"SLACK_WEBHOOK_URL: the webhook's channel is gone. {MAKE_ANEW}",
    "channel_is_archived": "SLACK_WEBHOOK_URL: the webhook's channel is archived. Reopen it, or make a new webhook.",
}
NOT_TAKEN = ("invalid_payload", "invalid_blocks", "msg_too_long", "no_text")
POSTED_EVENTS = RunStarted | End | FoldsJoined


class SlackWebhook(Channel):
    """A run in Slack as a few messages."""

    def __init__(self, about: Context, settings: SlackSettings) -> None:
        self.about, self.settings = about, settings
        self.sent = DeliveryLog(about.memory, "slack")
        self.snapshot = snapshot_from(about.memory.get("snapshot"))

    def accepts(self, event: Event) -> bool:
        """Whether the event is posted, or is an epoch, by which a later error can say how far the run was."""
        return isinstance(event, EpochEnded) or (
            isinstance(event, POSTED_EVENTS) and occasion_of(event) in self.settings.events
        )

    def must_arrive(self, event: Event) -> bool:
        return isinstance(event, POSTED_EVENTS)

    def deliver(self, queued: QueuedEvent) -> None:
        """Post one message. If its answer is lost, it is repeated once at most, see `DeliveryLog`."""
        if self.sent.is_delivered(queued.id):
            return
        if queued.seq >= self.snapshot.seq:
            self.snapshot = snapshot_after(self.snapshot, queued)
        shown = message_of(queued.event, self.snapshot, self.about, self.settings.owner)
        if shown is None:
            return
        hook = self._hook()
        self.sent.remember(snapshot=snapshot_as_dict(self.snapshot))
        self.sent.send_once(queued.id, "message", lambda: hook.post(shown), hook.check_connection)
        self.sent.mark_delivered(queued.id)

    def _hook(self) -> Hook:
        self.about.secrets.export()
        address = self.about.secrets.get("SLACK_WEBHOOK_URL")
        if not address:
            raise Refused("SLACK_BOT_TOKEN and SLACK_WEBHOOK_URL are not set any more. Set one of them.")
        return Hook(address)


class Hook:
    """A webhook. Its address is a secret, so no message contains it. Its methods raise `NotDelivered` and `Refused`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def post(self, message: Message) -> None:
        """Send a message once; if its blocks are refused, as plain text. Raises `AnswerLost`."""
        answer = self._ask({"text": message.text, "blocks": list(message.blocks)})
        if answer.startswith(NOT_TAKEN):
            answer = self._ask({"text": message.in_full})
        if answer != "ok":
            raise AnswerLost("the webhook gave an answer that is not Slack's")

    def check_connection(self) -> None:
        """Return if Slack answers. The request is a message without text, which Slack refuses."""
        if not self._ask({"text": ""}).startswith(NOT_TAKEN):
            raise NotDelivered("the webhook gave an answer that is not Slack's")

    def _ask(self, body: dict[str, Any]) -> str:
        """Send a request; returns `ok` or the reason why the message was refused."""
        headers = {"Content-Type": "application/json;charset=utf-8"}
        reply = send_request(
            "POST", self.address, body=json.dumps(body).encode(), headers=headers, name="the webhook's server"
        )
        if reply.status == 429:
            raise NotDelivered("the webhook: too many requests", reply.retry_after_s or RETRY_AFTER_S)
        said, meaning = reply.text, f"the webhook {describe_answer(reply.status, reply.headers)}"
        if reply.status == 504 or (reply.status == 200 and is_page(said)):
            raise AnswerLost(meaning)
        if reply.status == 407 or 300 <= reply.status < 400 or is_page(said):
            raise NotDelivered(meaning, reply.retry_after_s)
        for word, sentence in SENTENCES.items():
            if said.startswith(word):
                raise Refused(sentence)
        if reply.status != 200 and not said.startswith(NOT_TAKEN):
            kind = EventRefused if 400 <= reply.status < 500 else NotDelivered
            raise kind(f"the webhook answered {reply.status}: {said[:80]!r}")
        return said


def message_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """The message about an event, with the end of a traceback; None if it is not posted."""
    note = note_of(event, now, about, owner)
    if note is None or not isinstance(event, RunFailed) or not event.trace:
        return note
    return message(note.text, [*note.blocks, *trace_note(event, about, file_follows=False).blocks])
