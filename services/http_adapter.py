"""What all requests go through: an adapter of requests that limits the time of a whole call, and bounds its answer.

A call includes name look-up, connection, proxy, TLS, request and answer, however slowly each piece arrives. At its end
the connection is shut down, and whatever waits for it continues with an error.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import ip_address
from threading import Lock, Thread, Timer
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

from services.channel import SOCKS, AnswerLost, NotDelivered, Refused

CONNECT_S, READ_S = 3.05, 10.0
"""Limits to connect, and between two pieces of an answer."""
LONGEST_S = 15.0
"""Limit of a whole call: name look-up, connection, proxy, request and answer."""
LARGEST = 32 << 20
"""Bytes of an answer at most. Hundreds of friends take 100 KiB; a run in MLflow with all its values takes some MiB."""
NO_PROXY = (
    "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not the address of a proxy, such as http://10.0.0.2:3128. Correct it."
)
NO_ADDRESS = "is not an address. Write one that begins with https://."


class Call:
    """One call with its time limit, in the thread that makes it."""

    def __init__(self, seconds: float, save: Callable[[bytes], object] | None = None) -> None:
        self.seconds, self.save = seconds, save
        self.until_s = time.monotonic() + seconds
        self.was_sent = False
        """Whether a part of the request may have reached the service."""
        self.sockets: list[socket.socket] = []
        self.lock = Lock()

    @property
    def left_s(self) -> float:
        return self.until_s - time.monotonic()

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection down when the time is over."""
        # TLS takes the socket over into another object, so a duplicate is kept.
        with self.lock:
            self.sockets.append(socket.socket(fileno=os.dup(connection.fileno())))
        if self.left_s <= 0:
            self.interrupt()

    def interrupt(self) -> None:
        """Shut all connections down; a thread that waits for one of them continues with an error."""
        with self.lock:
            for each in self.sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self.lock:
            for each in self.sockets:
                each.close()
            self.sockets.clear()

    def connected(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """Connect in another thread, because neither a name look-up nor a list of dead addresses has a time limit."""
        found: list[Any] = []
        thread = Thread(target=_keep_result, args=(connect, found), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no room for a thread
            return connect()
        thread.join(max(self.left_s, 0.0))
        found.append(None)  # the first entry counts; a connection that comes later is closed by its thread
        if found[0] is None:
            raise ConnectTimeoutError("no connection in time")
        if isinstance(found[0], BaseException):
            raise found[0]
        connection: socket.socket = found[0]
        self.watch(connection)
        return connection

    def failure(self, host: str, error: BaseException) -> NotDelivered:
        """The exception of this call for one of a library, whose own text contains addresses and objects."""
        if not self.was_sent:
            return NotDelivered(f"{host} cannot be reached ({_cause(error)})")
        if self.left_s <= 0 or "Timeout" in type(error).__name__:
            return AnswerLost(f"{host} did not answer completely in time")
        return AnswerLost(f"{host} broke off before the end of its answer ({type(error).__name__})")


_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def time_limit(seconds: float | None = None, save: Callable[[bytes], object] | None = None) -> Iterator[Call]:
    """Limit all requests of this thread in the block to `seconds` together."""
    call = Call(LONGEST_S if seconds is None else seconds, save)
    timer = Timer(call.seconds, call.interrupt)
    timer.daemon = True
    with suppress(RuntimeError):  # the machine has no room for a thread; the limits of single steps remain
        timer.start()
    before = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(before)
        timer.cancel()
        call.close()


@contextmanager
def translated_errors(call: Call, host: str) -> Iterator[None]:
    """Translate errors of requests, urllib3 and sockets into `NotDelivered`, `AnswerLost` and `Refused`."""
    try:
        yield
    except (NotDelivered, Refused):
        raise
    except (InvalidSchema, InvalidURL, MissingSchema, UnicodeError, LocationValueError) as error:
        said = str(error).lower()
        is_proxy = isinstance(error, InvalidProxyURL) or "proxy" in said
        raise Refused(SOCKS if "socks" in said else NO_PROXY if is_proxy else f"{host}: {NO_ADDRESS}") from None
    except (requests.RequestException, HTTPError, OSError) as error:
        raise call.failure(host, error) from None


class Adapter(HTTPAdapter):
    """Sends requests within the time limit of the `Call` of this thread, and reads the whole answer.

    Requests to this machine use no proxy.
    """

    def limits(self, timeout: Any) -> tuple[float, float]:
        """Seconds for a call that has no limit yet, and between two pieces of an answer; `timeout`: what the library
        asks for."""
        return LONGEST_S, READ_S

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _limit(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            _limit(manager)
        return manager

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        call, (longest_s, read_s) = _call.get(), self.limits(kwargs.get("timeout"))
        if call is None:
            with time_limit(longest_s):
                return self.send(request, *args, **kwargs)
        if is_loopback(request.url):
            kwargs["proxies"] = {}
        left_s = max(call.left_s, 0.001)
        timeout = (min(CONNECT_S, left_s), min(read_s, left_s))
        answer = super().send(request, **{**kwargs, "stream": True, "timeout": timeout})
        try:
            answer._content = _body(answer, call)
        except BaseException:
            answer.close()
            raise
        answer._content_consumed = True
        return answer


class Bearer(AuthBase):
    """Adds an access token to the header. It is always given as `auth`, also without a token, since a line in ~/.netrc
    would otherwise replace the header."""

    def __init__(self, token: Callable[[], str | None]) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class Session(requests.Session):
    """A session that follows no redirect: a token is sent to no other host than the configured one."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def new_session() -> Session:
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session


class _LimitedConnection:
    """A part of urllib3's connection that registers its socket with the call, and notes that the request is sent."""

    def _new_conn(self: Any) -> socket.socket:
        connect = super()._new_conn  # type: ignore[misc]
        call = _call.get()
        return connect() if call is None else call.connected(connect)

    def _tunnel(self: Any) -> None:
        """Ask a proxy for a connection, which sends nothing to the service."""
        try:
            super()._tunnel()  # type: ignore[misc]
        finally:
            if call := _call.get():
                call.was_sent = False

    def send(self: Any, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        if call := _call.get():
            if not call.sockets:  # a connection of an earlier call
                call.watch(self.sock)
            call.was_sent = True
        super().send(data)  # type: ignore[misc]


def _limit(manager: Any) -> None:
    """Make a manager of connections use connections with a time limit."""
    logging.getLogger("urllib3").setLevel(logging.INFO)  # below that it logs addresses, which may be secrets
    limited = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        connection = type("LimitedConnection", (_LimitedConnection, pool.ConnectionCls), {})
        limited[scheme] = type("LimitedPool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = limited


def _keep_result(connect: Callable[[], socket.socket], found: list[Any]) -> None:
    try:
        connection = connect()
    except BaseException as error:  # raised again in the thread that waits
        found.append(error)
        return
    found.append(connection)
    if found[0] is not connection:
        connection.close()


def _body(answer: requests.Response, call: Call) -> bytes:
    body = b""
    for piece in answer.iter_content(1 << 16):
        if call.save:
            with suppress(OSError):  # a piece that cannot be saved is still in memory
                call.save(piece)
        body += piece
        if len(body) > LARGEST or call.left_s <= 0:
            raise requests.ReadTimeout("no end of the answer in time")
    return body


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


_CAUSES: dict[type[BaseException], str] = {
    NameResolutionError: "its name is not known here",
    NewConnectionError: "nobody answers there",
    ConnectTimeoutError: "no connection in time",
    requests.ConnectTimeout: "no connection in time",
    requests.exceptions.SSLError: "its certificate is not trusted here",
    requests.exceptions.ProxyError: "the proxy does not connect",
}


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
