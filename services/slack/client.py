"""Requests to Slack's Web API by slack-sdk: few tries, limited time, and exceptions of this project.

slack-sdk's own retries are switched off: whether a request may be repeated depends on its kind, see `Bot`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.request import Request

from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web import WebClient

from services.channel import AnswerLost, NotDelivered
from services.http import Reply, describe_answer, is_page, may_pass, repeat, retry_after_s, send_request
from services.slack.blocks import File, Message, PostedMessage
from services.slack.errors import RETRY_AFTER_S, FileRefused, MessageNotTaken, fault_of

BUDGET_S = 15
"""Limit of all requests of one delivery together."""
TIMEOUT_S = 10
QUICK_S = 3.0
"""A request that failed within this time is tried once more at once, if that is safe."""
WITH_EFFECT = ("chat.postMessage", "files.completeUploadExternal")
"""Requests that show something new in Slack, and are not sent twice at once."""


class Bot:
    """A bot in one channel. Every method raises `NotDelivered` and `Refused`.

    `edit`, `store` and `check_connection` can be repeated without an effect: they are tried again at once after a quick
    failure. `post` and `share` are sent once, and raise `AnswerLost` if it is not known whether they took effect.
    """

    def __init__(self, token: str, base_url: str, channel: str) -> None:
        self.client, self.channel = TimeLimitedClient(token, base_url), channel

    def start_delivery(self) -> None:
        """Start the time limit of a new delivery."""
        self.client.until_s = time.monotonic() + BUDGET_S

    def post(
        self,
        message: Message,
        metadata: Mapping[str, Any],
        *,
        thread: PostedMessage | None = None,
        broadcast: bool = False,
    ) -> PostedMessage:
        """Post a new message, in a thread if one is given; `broadcast` shows a reply in the channel as well.

        Raises `AnswerLost`, and `MessageGone` if the thread does not exist.
        """
        where: dict[str, Any] = {"channel": thread.channel if thread else self.channel, "metadata": dict(metadata)}
        where |= {"unfurl_links": False, "unfurl_media": False}
        if thread:
            where |= {"thread_ts": thread.ts, "reply_broadcast": broadcast}

        def send(text: str, blocks: Sequence[Any]) -> Mapping[str, Any]:
            return self._answer(lambda: self.client.chat_postMessage(text=text, blocks=blocks or None, **where))

        answer = _in_blocks_or_plain(message, send)
        if not answer.get("ts"):
            raise self._lost("an answer that is not Slack's")
        return PostedMessage(str(answer.get("channel", where["channel"])), str(answer["ts"]))

    def edit(self, posted: PostedMessage, message: Message) -> None:
        """Replace a message's content. Raises `MessageGone` if it cannot be edited."""

        def send(text: str, blocks: Sequence[Any]) -> Mapping[str, Any]:
            return self._twice(
                lambda: self.client.chat_update(channel=posted.channel, ts=posted.ts, text=text, blocks=blocks)
            )

        _in_blocks_or_plain(message, send)

    def store(self, file: File) -> str:
        """Upload a file, which nobody sees until it is shared; returns its id. Raises `FileRefused`."""
        try:
            content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        except OSError as error:
            raise FileRefused(f"cannot be read: {error.strerror}") from None
        answer = self._twice(
            lambda: self.client.files_getUploadURLExternal(
                filename=file.name, length=len(content), snippet_type=file.snippet_type
            )
        )
        address, file_id = answer.get("upload_url"), answer.get("file_id")
        if not isinstance(address, str) or not isinstance(file_id, str):
            raise NotDelivered("files.getUploadURLExternal: an answer that is not Slack's")
        reply = self.client.send("the upload", address, content, {})
        if may_pass(reply.status) or is_page(reply.text):
            said = describe_answer(reply.status, reply.headers)
            raise NotDelivered(f"the upload: Slack {said}", reply.retry_after_s)
        if reply.status != 200:
            raise FileRefused(f"the upload was answered with {reply.status}")
        return file_id

    def share(self, thread: PostedMessage, files: Mapping[str, str], comment: str = "") -> None:
        """Show stored files, given as titles by id, in a thread, with a comment.

        Raises `AnswerLost`, `FileRefused`, and `MessageGone` if the thread does not exist.
        """
        listed: list[dict[str, str | None]] = [{"id": file_id, "title": title} for file_id, title in files.items()]
        self._answer(
            lambda: self.client.files_completeUploadExternal(
                files=listed, channel_id=thread.channel, thread_ts=thread.ts, initial_comment=comment or None
            )
        )

    def check_connection(self) -> None:
        """Make a request that changes nothing; returns if Slack answers."""
        self._twice(lambda: self.client.api_call("auth.test"))

    def _twice(self, request: Callable[[], Any]) -> Mapping[str, Any]:
        """Make a request that can be repeated, and repeat it after a quick failure."""
        return repeat(lambda: self._answer(request), tries=2, within_s=QUICK_S)

    def _answer(self, request: Callable[[], Any]) -> Mapping[str, Any]:
        """Make a request and return its answer."""
        try:
            answer: Mapping[str, Any] = request().data
        except SlackApiError as error:
            raise self._fault(error) from None
        except (SlackRequestError, ValueError, AttributeError) as error:
            raise self._lost(f"no answer that can be read ({type(error).__name__})") from None
        except AnswerLost as error:
            raise self._lost(str(error)) from None
        return answer

    def _fault(self, error: SlackApiError) -> Exception:
        """The exception for Slack's answer. An answer without JSON comes from a proxy between Slack and this host."""
        answer = error.response.data if isinstance(error.response.data, dict) else {}
        status, code = error.response.status_code, str(answer.get("error", ""))
        if status == 429 or code in ("ratelimited", "rate_limited"):
            wait_s = retry_after_s(error.response.headers) or RETRY_AFTER_S
            return NotDelivered(f"{self.client.step}: too many requests", wait_s)
        if status == 504 or (status == 200 and (not code or "non-JSON" in code)):
            return self._lost(f"Slack {describe_answer(status)}")
        if status != 200 and ("non-JSON" in code or not code or status >= 500):
            said = describe_answer(status, error.response.headers)
            return NotDelivered(f"{self.client.step}: Slack {said}", retry_after_s(error.response.headers))
        return fault_of(self.client.step, code, channel=self.channel, needed=str(answer.get("needed", "")))

    def _lost(self, why: str) -> NotDelivered:
        return (AnswerLost if self.client.step in WITH_EFFECT else NotDelivered)(f"{self.client.step}: {why}")


class TimeLimitedClient(WebClient):
    """slack-sdk's client, which sends by `services.http`, with one time limit over several requests.

    `step` is the name of the last request.
    """

    def __init__(self, token: str, base_url: str) -> None:
        super().__init__(token, base_url=base_url, logger=silent_log(), retry_handlers=[])
        self.until_s = time.monotonic() + BUDGET_S
        self.step = ""

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self.step = api_method
        return super().api_call(api_method, **arguments)

    def send(self, step: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request within the time that is left. Raises `NotDelivered` if there is none."""
        self.step = step
        left_s = self.until_s - time.monotonic()
        if left_s < 1:
            raise NotDelivered(f"{step}: Slack is slow; the rest follows")
        return send_request("POST", url, body=body, headers=headers, within_s=min(left_s, TIMEOUT_S), name="Slack")

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        reply = self.send(self.step, url, bytes(req.data or b""), dict(req.header_items()))  # type: ignore[arg-type]
        return {"status": reply.status, "headers": reply.headers, "body": reply.text}


def silent_log() -> logging.Logger:
    """A logger for slack-sdk that writes nothing: slack-sdk would log a webhook's secret address."""
    log = logging.getLogger("services.slack.sdk")
    log.setLevel(logging.CRITICAL + 1)
    return log


def _in_blocks_or_plain(message: Message, send: Callable[[str, Sequence[Any]], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Send a message; if Slack refuses its blocks, as plain text."""
    try:
        return send(message.text, message.blocks)
    except MessageNotTaken:
        return send(message.in_full, ())
