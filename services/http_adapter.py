"""What all requests go through: an adapter of requests that limits the time of a whole call, and bounds its answer.

A call includes name look-up, connection, proxy, TLS, request and answer, however slowly each piece arrives. It runs in
a thread of its own, which is left behind when the time is over, and can send nothing from then on.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
)

from services.channel import AnswerLost, NotDelivered, Refused
from utils.redact import host_of

CONNECT_S, READ_S = 3.05, 10.0
"""Limits to connect, and between two pieces of an answer."""
LONGEST_S = 15.0
"""Limit of a whole call: name look-up, connection, proxy, request and answer."""
LARGEST = 32 << 20
"""Bytes of an answer at most. Hundreds of friends take 100 KiB; a run in MLflow with all its values takes some MiB."""
SOCKS = (
    "The proxy in ALL_PROXY or HTTPS_PROXY is a SOCKS proxy, for which a package is missing. Say: "
    ".venv/bin/python -m pip install PySocks, or name another proxy."
)
NO_PROXY = (
    "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not the address of a proxy, such as http://10.0.0.2:3128. Correct it."
)
NO_ADDRESS = "is not an address. Write one that begins with https://."
_CAUSES: dict[type[BaseException], str] = {
    NameResolutionError: "its name is not known here",
    NewConnectionError: "nobody answers there",
    ConnectTimeoutError: "no connection in time",
    requests.Timeout: "no connection in time",
    requests.exceptions.SSLError: "its certificate is not trusted here",
    requests.exceptions.ProxyError: "the proxy does not connect",
    TimeoutError: "no connection in time",
}
"""Why there is no connection, by exception."""


class Adapter(HTTPAdapter):
    """Sends each request once within a time limit, and reads the whole answer. Raises as `services.http.send_request`.

    `name`: the service in messages; else the address's host. `save` is called with each piece of an answer. Requests to
    this machine use no proxy.
    """

    def __init__(self, name: str = "", save: Callable[[bytes], object] | None = None, **pool: Any) -> None:
        super().__init__(**{**pool, "max_retries": 0})  # the caller tries again, and knows what has arrived
        self.name, self.save = name, save

    def limits(self, timeout: Any) -> tuple[float, float]:
        """Seconds for the whole call, and between two pieces of an answer; `timeout`: what the caller asks for."""
        return min(timeout or LONGEST_S, LONGEST_S), READ_S

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        longest_s, read_s = self.limits(kwargs.get("timeout"))
        kwargs |= {"stream": True, "timeout": (min(CONNECT_S, longest_s), min(read_s, longest_s))}
        if is_loopback(request.url):
            kwargs["proxies"] = {}
        call, send = Call(longest_s, self.save), super().send
        try:
            return call.run(lambda: call.read(send(request, *args, **kwargs)))
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            raise failure_of(error, self.name or host_of(request.url), was_sent=call.was_sent) from None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        is_known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not is_known:
            _watch(manager)
        return manager


class Session(requests.Session):
    """A session that follows no redirect: a token is sent to no other host than the configured one.

    `timeout` of a request is the limit of the whole call.
    """

    def __init__(self, name: str, save: Callable[[bytes], object] | None = None) -> None:
        super().__init__()
        self.name = name
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter(name, save))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            return super().request(*args, **kwargs)
        except (requests.RequestException, UnicodeError) as error:  # before it has reached the adapter
            raise failure_of(error, self.name, was_sent=False) from None

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Bearer(AuthBase):
    """Adds an access token to the header. It is always given as `auth`, also without a token, since a line in ~/.netrc
    would otherwise replace the header."""

    def __init__(self, token: Callable[[], str | None]) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class Call:
    """One call with its time limit."""

    def __init__(self, seconds: float, save: Callable[[bytes], object] | None = None) -> None:
        self.seconds, self.save = seconds, save
        self.was_sent = self.is_over = False
        """Whether a part of the request may have reached the service, and whether the time is over."""
        self.socket: socket.socket | None = None
        self.lock = Lock()

    def run(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Return what `send` returns. Raises what it raises, and `TimeoutError` after `seconds`."""
        result: Future[requests.Response] = Future()
        thread = Thread(target=self._run, args=(send, result), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no room for a thread; the limits of single steps remain
            self._run(send, result)
        wait([result], self.seconds)
        if not result.done():
            self._give_up()
            raise TimeoutError("no end of the call in time")
        return result.result()

    def read(self, answer: requests.Response) -> requests.Response:
        """Read the whole answer."""
        body = b""
        for piece in answer.iter_content(1 << 16):
            with self.lock, suppress(OSError):  # a piece that cannot be saved is still in memory
                if self.save and not self.is_over:
                    self.save(piece)
            body += piece
            if len(body) > LARGEST or self.is_over:
                answer.close()
                raise requests.ReadTimeout("no end of the answer in time")
        answer._content, answer._content_consumed = body, True
        return answer

    def begin_sending(self, connection: socket.socket) -> None:
        """Note that the request is sent now. Raises `TimeoutError` if the time is over."""
        with self.lock:
            if self.is_over:
                raise TimeoutError("no connection in time")
            self.was_sent, self.socket = True, connection

    def _run(self, send: Callable[[], requests.Response], result: Future[requests.Response]) -> None:
        before = _call.set(self)
        try:
            result.set_result(send())
        except BaseException as error:  # raised again in the thread that waits
            result.set_exception(error)
        finally:
            _call.reset(before)

    def _give_up(self) -> None:
        """End the call in its thread, which waits for the connection if the request was sent."""
        with self.lock:
            self.is_over = True
            with suppress(OSError):
                if self.socket is not None:
                    self.socket.shutdown(socket.SHUT_RDWR)


_call: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call that this thread works for."""


class _WatchedConnection:
    """A part of urllib3's connection that says when a request is sent. A proxy is asked for a connection before."""

    def endheaders(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        if call := _call.get():
            call.begin_sending(self.sock)
        super().endheaders(*args, **kwargs)  # type: ignore[misc]


def _watch(manager: Any) -> None:
    """Make a manager of connections use watched ones."""
    logging.getLogger("urllib3").setLevel(logging.INFO)  # below that it logs addresses, which may be secrets
    watched = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        connection = type("WatchedConnection", (_WatchedConnection, pool.ConnectionCls), {})
        watched[scheme] = type("WatchedPool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = watched


def failure_of(error: BaseException, host: str, *, was_sent: bool) -> NotDelivered | Refused:
    """The exception for one of requests, urllib3 or a socket, whose own text contains addresses and objects."""
    if isinstance(error, (InvalidSchema, InvalidURL, MissingSchema, UnicodeError, LocationValueError)):
        said = str(error).lower()
        is_proxy = isinstance(error, InvalidProxyURL) or "proxy" in said
        return Refused(SOCKS if "socks" in said else NO_PROXY if is_proxy else f"{host}: {NO_ADDRESS}")
    if not was_sent:
        return NotDelivered(f"{host} cannot be reached ({_cause(error)})")
    if "Timeout" in type(error).__name__:
        return AnswerLost(f"{host} did not answer completely in time")
    return AnswerLost(f"{host} broke off before the end of its answer ({type(error).__name__})")


def _cause(error: BaseException) -> str:
    """Why there is no connection, in a few words."""
    found: BaseException | None = error
    while found is not None:
        for kind, words in _CAUSES.items():
            if isinstance(found, kind):
                return words
        inner = getattr(found, "reason", None) or (found.args[0] if found.args else None)
        found = inner if isinstance(inner, BaseException) else None
    return type(error).__name__


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
