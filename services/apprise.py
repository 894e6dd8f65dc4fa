"""Discord, Telegram, Teams, mail and many others through apprise: start, end and error of a run, to some addresses.

docs/services/apprise.md says how to write an address.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Literal

from services.channel import Channel, Context, EventRefused, NotDelivered, QueuedEvent, Refused, occasion_of
from services.delivery.delivery_log import DeliveryLog
from services.http import describe_answer, may_pass, retry_after_s
from services.secrets import Secrets, fingerprint
from services.texts.sentences import Words, sentence_of
from utils.events import End, Event, FoldsJoined, RunFailed, RunInterrupted, RunStarted
from utils.redact import host_of, redact

ADDRESSES = "APPRISE_URLS"
AppriseOccasion = Literal["start", "end", "error"]
TOLD = RunStarted | End | FoldsJoined


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """The reason why no address can be used, in a few words; None if all can be tried."""
    addresses = (secrets.get(ADDRESSES) or "").split()
    if not addresses:
        return f"{ADDRESSES} is not set"
    unknown = [number for number, address in enumerate(addresses, 1) if service_of(address) is None]
    return f"apprise does not know the form of address {unknown[0]} in {ADDRESSES}" if unknown else None


def parts(secrets: Secrets) -> list[str]:
    """A name for each address, which shows nothing of it."""
    return list(map(fingerprint, (secrets.get(ADDRESSES) or "").split()))


class Apprise(Channel):
    """Discord, Telegram, Teams, mail and many others: messages about start, end and errors. Secret: APPRISE_URLS, one
    or more addresses of apprise, with spaces between them.

    enabled: `false` to send nothing there.
    events: what deserves a message.
    """

    def __init__(
        self,
        context: Context,
        *,
        enabled: bool = True,
        events: tuple[AppriseOccasion, ...] = ("start", "end", "error"),
    ) -> None:
        self.context, self.events = context, events
        self.log = DeliveryLog(context.memory, "apprise")

    def accepts(self, event: Event) -> bool:
        return isinstance(event, TOLD) and occasion_of(event) in self.events

    def must_arrive(self, event: Event) -> bool:
        return True

    def deliver(self, queued: QueuedEvent) -> None:
        """Send one message to each address that it has not reached, as `DeliveryLog` says: once, and at most twice."""
        if self.log.is_delivered(queued.id):
            return
        self.context.secrets.export()
        why, failures = missing(self.context.secrets, {}), list[NotDelivered]()
        if why is not None:
            raise Refused(f"{why}.")
        for address in (self.context.secrets.get(ADDRESSES) or "").split():
            part = fingerprint(address)
            if self.context.part not in ("", part):
                continue
            try:
                self.log.send_once(queued.id, part, partial(send, address, queued.event, self.context), lambda: None)
            except NotDelivered as error:
                failures.append(error)
        # An event is given up for an address that refuses it, but not while another one cannot be reached.
        if failures:
            raise min(failures, key=lambda each: isinstance(each, EventRefused))
        self.log.mark_delivered(queued.id)


def message_of(event: Event, context: Context) -> tuple[str, str]:
    """The title and the text of a message."""
    words, lines = Words(context.facts, context.language), [f"{context.facts.host}, {context.facts.user}"]
    if isinstance(event, RunFailed | RunInterrupted) and event.command:
        lines.insert(0, f"{words.say('continue')} {event.command}")
    if isinstance(event, RunFailed):
        lines.insert(0, event.reason)
    return redact(sentence_of(event, words)), redact("\n".join(lines))


def send(address: str, event: Event, context: Context) -> None:
    """Send the message about an event to one address."""
    title, body = message_of(event, context)
    kinds = {RunStarted: "info", RunInterrupted: "warning", RunFailed: "failure"}
    service = service_of(address)
    use_adapter()
    with sending() as written:
        if service.notify(title=title, body=body, notify_type=kinds.get(type(event), "success")):
            return
    # It was no answer by HTTP, which the adapter judges: apprise gives the cause in its log alone.
    causes = re.findall(r"Exception: (.*)", "\n".join(written)) or written[-1:]
    is_refused = any(re.match(r"\(5\d\d,", cause) for cause in causes)  # SMTP: not even later
    why = f"{address.partition(':')[0]} did not take it ({' '.join(causes)[:200]})"
    raise (EventRefused if is_refused else NotDelivered)(why)


def service_of(address: str) -> Any:
    """Apprise's object for an address; None if its form is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # apprise imports modules that Python has deprecated
        import apprise

        log = logging.getLogger("apprise")
        log.propagate = False  # it writes parts of addresses
        log.setLevel(logging.DEBUG)
        return apprise.Apprise.instantiate(address)


_lines: ContextVar[list[str] | None] = ContextVar("lines", default=None)
"""What apprise has logged while this thread sends; None: it does not send."""


@contextmanager
def sending() -> Iterator[list[str]]:
    """Send the requests of this thread through the adapter, and yield the lines that apprise logs in it."""
    lines: list[str] = []
    before = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(before)


@cache
def use_adapter() -> None:
    """Make a thread that is `sending` use the adapter of all channels, since apprise makes a session for each request
    and returns nothing of an answer but its success. Sessions of other threads stay as they are."""
    import requests

    from services.http_adapter import LONGEST_S, READ_S, Adapter

    class AppriseAdapter(Adapter):
        def limits(self, timeout: Any) -> tuple[float, float]:
            return LONGEST_S, READ_S

        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            answer, host = super().send(request, *args, **kwargs), host_of(request.url)
            if may_pass(answer.status_code):
                said = describe_answer(answer.status_code, answer.headers)
                raise NotDelivered(f"{host} {said}", retry_after_s(answer.headers))
            if answer.status_code >= 400:
                raise EventRefused(f"{host} answered {answer.status_code}: {answer.text[:200]!r}")
            return answer

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (lines := _lines.get()) is not None:
                lines.append(record.getMessage())

    sessions: Any = requests.sessions
    usual = sessions.HTTPAdapter
    sessions.HTTPAdapter = lambda: usual() if _lines.get() is None else AppriseAdapter()
    logging.getLogger("apprise").addHandler(Lines())
