"""A server on loopback in place of a real service: it answers by the real one's rules, and fails as a test says.

A test queues faults; each replaces one answer. All requests are kept, so that a test can count and check them.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """A request of a client."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """Fields of a form; the first one if several have the same name."""
        return {name: values[0] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = field(default_factory=dict)
    """Bytes or text, sent as they are; anything else is sent as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Fault:
    """An event that replaces one answer.

    `answer`: this answer, without an effect of the request; `reset`: the connection breaks before the request takes
    effect; `reset_after`: it breaks after that; `slow`: the true answer, `seconds` late; `hang`: none within `seconds`.
    """

    kind: Literal["answer", "reset", "reset_after", "slow", "hang"]
    answer: Answer = field(default_factory=Answer)
    seconds: float = 0.0


class StandIn:
    """A server on a free port of 127.0.0.1; use it in a `with`. Subclasses implement the answers in `reply`.

    `faults` are used one by one, then `always`. `reply` runs under a lock, so each request is atomic.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.lock = threading.RLock()
        self.ended = threading.Event()
        self.now: Callable[[], float] = time.time
        """The server's clock, in Unix seconds, which a test may replace."""

    def reply(self, request: Request) -> Answer:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def fail(self, *faults: Fault, times: int = 1) -> None:
        self.faults.extend(faults * times)

    def __enter__(self) -> Any:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for its headers to be acknowledged

            def answer_it(self) -> None:
                if standin.ended.is_set():  # a connection that is still open ends with the server
                    standin._break_off(self)
                else:
                    standin._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer_it

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, parse_qs(parts.query), headers, body)
        with self.lock:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else self.always
        try:
            self._send(handler, request, fault)
        except OSError:  # the client has closed the connection, as after some faults
            handler.close_connection = True

    def _send(self, handler: BaseHTTPRequestHandler, request: Request, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if fault and kind in ("slow", "hang"):
            self.ended.wait(fault.seconds)
        if kind in ("reset", "hang"):
            self._break_off(handler)
            return
        if fault and kind == "answer":
            answer = fault.answer
        else:
            with self.lock:
                answer = self.reply(request)
        if kind == "reset_after":
            self._break_off(handler)
            return
        handler.send_response(answer.status)
        kinds = {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(answer.payload))}
        for name, value in kinds.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.payload)

    @staticmethod
    def _break_off(handler: BaseHTTPRequestHandler) -> None:
        """Close with RST, so that the client sees `connection reset`."""
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.close()


def until(condition: Callable[[], Any], within_s: float = 120.0) -> None:
    """Wait until the condition holds, because another thread or process makes it true."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "the condition was never true"
        time.sleep(0.01)
