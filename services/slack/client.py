"""Requests to Slack's Web API by slack-sdk: few tries, limited time, and exceptions of this project.

slack-sdk's own retries are switched off: whether a request may be repeated depends on its kind, see `Bot`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web import WebClient
from slack_sdk.web.file_upload_v2_result import FileUploadV2Result

from services.channel import AnswerLost, NotDelivered
from services.slack.blocks import Message, PostedMessage
from services.slack.errors import MessageNotTaken, fault_of
from services.slack.files import File

BUDGET_S = 15
"""Limit of all requests of one delivery together."""
TIMEOUT_S = 10
QUICK_S = 3.0
"""A request that failed within this time is tried once more at once, if that is safe."""
RETRY_AFTER_S = 30.0
"""The pause if a rate limit does not say how long to wait."""


class Bot:
    """A bot in one channel. Every method raises `NotDelivered` and `Refused`.

    `edit`, `upload` up to its last step, and `check_connection` can be repeated without an effect: they are tried again
    at once after a quick failure. `post` and the last step of `upload` are sent once, and raise `AnswerLost` if it is
    not known whether they took effect.
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
            return self._ask(lambda: self.client.chat_postMessage(text=text, blocks=blocks or None, **where))

        answer = _in_blocks_or_plain(message, send)
        if not answer.get("ts"):
            raise self._lost("an answer that is not Slack's")
        return PostedMessage(str(answer.get("channel", where["channel"])), str(answer["ts"]))

    def edit(self, posted: PostedMessage, message: Message) -> None:
        """Replace a message's content. Raises `MessageGone` if it cannot be edited."""

        def send(text: str, blocks: Sequence[Any]) -> Mapping[str, Any]:
            return self._ask(
                lambda: self.client.chat_update(channel=posted.channel, ts=posted.ts, text=text, blocks=blocks),
                again=True,
            )

        _in_blocks_or_plain(message, send)

    def upload(self, thread: PostedMessage, files: Sequence[File], comment: str = "") -> None:
        """Upload files into a thread, with a comment; they become visible in the last of three steps.

        Raises `AnswerLost` if that step had no answer, and `MessageGone`.
        """
        sent = [
            {"file": file.content, "filename": file.name, "title": file.title, "snippet_type": file.snippet_type}
            for file in files
        ]
        self._ask(
            lambda: self.client.files_upload_v2(
                file_uploads=sent, channel=thread.channel, thread_ts=thread.ts, initial_comment=comment or None
            )
        )

    def check_connection(self) -> None:
        """Make a request that changes nothing; returns if Slack answers."""
        self._ask(lambda: self.client.api_call("auth.test"), again=True)

    def _ask(self, request: Callable[[], Any], *, again: bool = False) -> Mapping[str, Any]:
        """Make a request and return its answer. `again`: it can be repeated, so it is after a quick failure."""
        started_s = time.monotonic()
        try:
            return self._answer(request)
        except NotDelivered as error:
            if not again or error.retry_after_s is not None or time.monotonic() - started_s > QUICK_S:
                raise
        return self._answer(request)

    def _answer(self, request: Callable[[], Any]) -> Mapping[str, Any]:
        client = self.client
        try:
            answer: Mapping[str, Any] = request().data
        except SlackApiError as error:
            raise self._fault(error) from None
        except (HTTPError, SlackRequestError) as error:
            raise NotDelivered(f"{client.step}: answered {getattr(error, 'code', 'an error')}") from None
        except URLError as error:
            raise NotDelivered(f"{client.step}: no connection to Slack ({error.reason})") from None
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            raise self._lost(f"no answer that can be read ({type(error).__name__})") from None
        return answer

    def _fault(self, error: SlackApiError) -> Exception:
        """The exception for Slack's answer. An answer without JSON comes from a proxy between Slack and this host."""
        answer = error.response.data if isinstance(error.response.data, dict) else {}
        status, code = error.response.status_code, str(answer.get("error", ""))
        if status == 429 or code in ("ratelimited", "rate_limited"):
            return NotDelivered(f"{self.client.step}: too many requests", seconds_to_wait(error.response.headers))
        if status == 504 or (status == 200 and (not code or "non-JSON" in code)):
            return self._lost("an answer that is not Slack's")
        if status != 200 and ("non-JSON" in code or not code or status >= 500):
            return NotDelivered(f"{self.client.step}: answered {status}")
        return fault_of(self.client.step, code, channel=self.channel, needed=str(answer.get("needed", "")))

    def _lost(self, why: str) -> NotDelivered:
        has_effect = self.client.step in ("chat.postMessage", "files.completeUploadExternal")
        return (AnswerLost if has_effect else NotDelivered)(f"{self.client.step}: {why}")


class TimeLimitedClient(WebClient):
    """slack-sdk's client with one time limit over several requests, and without a proxy for requests to this machine.

    `step` is the name of the last request.
    """

    def __init__(self, token: str, base_url: str) -> None:
        super().__init__(token, base_url=base_url, logger=silent_log(), retry_handlers=[])
        self.until_s = time.monotonic() + BUDGET_S
        self.step = ""

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self._next_step(api_method)
        return super().api_call(api_method, **arguments)

    def _upload_file(self, *, url: str, data: bytes, **arguments: Any) -> FileUploadV2Result:
        self._next_step("the upload")
        if not is_loopback(url):
            return super()._upload_file(url=url, data=data, **{**arguments, "timeout": self.timeout})
        answer = ask_directly(Request(url, data, method="POST"), self.timeout)
        return FileUploadV2Result(status=answer["status"], body=answer["body"])

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        if not is_loopback(url):
            return super()._perform_urllib_http_request_internal(url, req)
        return ask_directly(req, self.timeout)

    def _next_step(self, step: str) -> None:
        left_s = int(self.until_s - time.monotonic())
        if left_s < 1:
            raise NotDelivered(f"{step}: Slack is slow; the rest follows")
        self.step, self.timeout = step, min(left_s, TIMEOUT_S)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def ask_directly(request: Request, timeout_s: float) -> dict[str, Any]:
    """Send a request to this machine without the proxy of the environment; returns status, headers and text."""
    with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as answer:
        return {"status": answer.status, "headers": answer.headers, "body": answer.read().decode()}


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


def seconds_to_wait(headers: Mapping[str, Any]) -> float:
    """Seconds to wait by the headers of a rate limit."""
    values = [value for name, value in headers.items() if name.lower() == "retry-after"]
    try:
        return float(values[0])
    except (LookupError, TypeError, ValueError):
        return RETRY_AFTER_S
