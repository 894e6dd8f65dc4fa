"""The one place that talks to Slack's Web API, over slack-sdk: few tries, bounded time, errors in our words.

slack-sdk is told to repeat nothing: whether a request may be repeated depends on what it asks for, see `Bot`.
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

from services.channel import NotDelivered
from services.slack.blocks import Message, Place
from services.slack.errors import AnswerLost, NotTaken, fault_of
from services.slack.files import File

BUDGET_S = 15
"""For all requests of one delivery."""
TIMEOUT_S = 10
QUICK_S = 3.0
"""A request that failed within this time is tried once more at once, where that is safe."""
RETRY_AFTER_S = 30.0
"""Where a rate limit does not say how long to wait."""


class Bot:
    """A bot in one channel. Every method raises `NotDelivered` and `Refused`.

    `edit`, `upload` up to its last step, and `is_there` change nothing when repeated: they are tried again at once
    after a quick failure. `post` and the last step of `upload` are sent once and raise `AnswerLost` where nobody knows
    whether they took effect.
    """

    def __init__(self, token: str, base_url: str, channel: str) -> None:
        self.client, self.channel = Client(token, base_url), channel

    def begin(self) -> None:
        """A new delivery, with its time."""
        self.client.until_s = time.monotonic() + BUDGET_S

    def post(
        self, message: Message, metadata: Mapping[str, Any], *, thread: Place | None = None, broadcast: bool = False
    ) -> Place:
        """A new message, in a thread where one is given; `broadcast` shows a reply in the channel as well.

        Raises `AnswerLost`, and `Gone` where the thread is not there.
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
        return Place(str(answer.get("channel", where["channel"])), str(answer["ts"]))

    def edit(self, place: Place, message: Message) -> None:
        """Change a message. Raises `Gone` where it cannot be changed."""

        def send(text: str, blocks: Sequence[Any]) -> Mapping[str, Any]:
            return self._ask(
                lambda: self.client.chat_update(channel=place.channel, ts=place.ts, text=text, blocks=blocks),
                again=True,
            )

        _in_blocks_or_plain(message, send)

    def upload(self, thread: Place, files: Sequence[File], comment: str = "") -> None:
        """Files in a thread, with a comment; nothing is seen there before the last of the three steps.

        Raises `AnswerLost` where that step had no answer, and `Gone`.
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

    def is_there(self) -> None:
        """Return where Slack answers; a request that changes nothing."""
        self._ask(lambda: self.client.api_call("auth.test"), again=True)

    def _ask(self, request: Callable[[], Any], *, again: bool = False) -> Mapping[str, Any]:
        """The answer. `again`: repeating changes nothing, so a quick failure is tried once more."""
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
        """What Slack's answer means; one without JSON comes from something between Slack and us."""
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


class Client(WebClient):
    """slack-sdk's client, with one time limit over several requests and no proxy on the way to this very machine.

    `step` is the request that was made last.
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
    """Status, headers and text that this machine itself answers, whatever proxy the environment names."""
    with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as answer:
        return {"status": answer.status, "headers": answer.headers, "body": answer.read().decode()}


def silent_log() -> logging.Logger:
    """For slack-sdk, which would log a webhook's secret address, and every failure as an error."""
    log = logging.getLogger("services.slack.sdk")
    log.setLevel(logging.CRITICAL + 1)
    return log


def _in_blocks_or_plain(message: Message, send: Callable[[str, Sequence[Any]], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Send a message; as plain text where Slack does not take its blocks."""
    try:
        return send(message.text, message.blocks)
    except NotTaken:
        return send(message.in_full, ())


def seconds_to_wait(headers: Mapping[str, Any]) -> float:
    """How long a rate limit asks to wait."""
    values = [value for name, value in headers.items() if name.lower() == "retry-after"]
    try:
        return float(values[0])
    except (LookupError, TypeError, ValueError):
        return RETRY_AFTER_S
