"""Requests to an incoming webhook by slack-sdk. Its address is a secret, so no message contains it."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

from slack_sdk.webhook import WebhookClient, WebhookResponse

from services.channel import AnswerLost, NotDelivered, Refused
from services.slack.blocks import Message
from services.slack.client import TIMEOUT_S, ask_directly, is_loopback, seconds_to_wait, silent_log

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


class Hook:
    """A webhook. Its methods raise `NotDelivered` and `Refused`."""

    def __init__(self, address: str) -> None:
        self.client = DirectClient(address, timeout=TIMEOUT_S, logger=silent_log(), retry_handlers=[])

    def post(self, message: Message) -> None:
        """Send a message once; if its blocks are refused, as plain text. Raises `AnswerLost`."""
        answer = self._ask({"text": message.text, "blocks": list(message.blocks)})
        if answer.startswith(NOT_TAKEN):
            answer = self._ask({"text": message.in_full})
        if answer != "ok":
            raise AnswerLost("the webhook gave an answer that is not Slack's")

    def check_connection(self) -> None:
        """Return if Slack answers. The request is a message without text, which Slack refuses."""
        answer = self._ask({"text": ""})
        if not answer.startswith(NOT_TAKEN):
            raise NotDelivered("the webhook gave an answer that is not Slack's")

    def _ask(self, body: dict[str, Any]) -> str:
        """Send a request; returns `ok` or the reason why the message was refused."""
        try:
            answer = self.client.send_dict(body)
        except HTTPError as error:
            raise NotDelivered(f"the webhook answered {error.code}") from None
        except URLError as error:
            raise NotDelivered(f"the webhook: no connection to Slack ({error.reason})") from None
        except (OSError, HTTPException, ValueError) as error:
            raise AnswerLost(f"the webhook: no answer that can be read ({type(error).__name__})") from None
        return _reason(answer.status_code, answer.body, answer.headers)


class DirectClient(WebhookClient):
    """slack-sdk's client, without a proxy for requests to this machine."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        if not is_loopback(url):
            asked: WebhookResponse = super()._perform_http_request_internal(url, req)
            return asked
        answer = ask_directly(req, self.timeout)
        return WebhookResponse(
            url=url, status_code=answer["status"], body=answer["body"], headers=dict(answer["headers"])
        )


def _reason(status: int, body: str, headers: Mapping[str, Any]) -> str:
    """The webhook's answer. Raises an exception if the answer is not about the message itself."""
    if status == 429:
        raise NotDelivered("the webhook: too many requests", seconds_to_wait(headers))
    if status == 504:
        raise AnswerLost("the webhook answered 504")
    for word, sentence in SENTENCES.items():
        if body.startswith(word):
            raise Refused(sentence)
    if status != 200 and not body.startswith(NOT_TAKEN):
        raise NotDelivered(f"the webhook answered {status}")
    return body
