"""Run the application with uvicorn: a port that is bound first, patient with work and not with slow clients."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from utils.errors import UserError
from utils.text import list_names
from web.engine.engine import Engine
from web.settings import Serve

log = logging.getLogger(__name__)

REASONS = {
    errno.EADDRINUSE: "is in use by another program. Name another with --port",
    errno.EACCES: "may not be opened by this user. Name one above 1023 with --port",
    errno.EADDRNOTAVAIL: "cannot be opened at this host, which is no address of this machine. Name another with --host",
}


def serve(app: FastAPI, settings: Serve) -> None:
    """Answer requests until SIGTERM or Ctrl-C, then finish what runs. Raises `UserError` if the port cannot be used."""
    cv2.setNumThreads(1)  # Each worker handles an image of its own.
    listener = open_port(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    engine: Engine = app.state.engine
    for warning in engine.warnings:
        log.warning("%s", warning)
    shown = f"[{host}]" if ":" in host else host
    log.info("Serving %s at http://%s:%d (API: /docs). Ctrl-C ends it.", list_names(list(engine.models)), shown, port)
    config = uvicorn.Config(
        app,
        http=partial(ImpatientProtocol, header_s=settings.limits.header_s),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=round(settings.shutdown_s) or 1,
        lifespan="on",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # uvicorn sends itself the signal again at its end; the work is done then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    EndingServer(config, app.state.ends).run(sockets=[listener])
    log.info("All requests are answered.")


class EndingServer(uvicorn.Server):
    """Calls `ends` before it waits for what runs, so that answers without an end of their own come to one."""

    def __init__(self, config: uvicorn.Config, ends: Sequence[Callable[[], None]]) -> None:
        super().__init__(config)
        self.ends = ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all answers, then all connections."""
        for end in self.ends:
            end()
        await super().shutdown(sockets)


def open_port(host: str, port: int) -> socket.socket:
    """Open the port. Raises `UserError` if another program has it, or it may not be opened."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"host: '{host}' is no address. Name one, such as 127.0.0.1 or 0.0.0.0.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = REASONS.get(error.errno or 0, f"cannot be opened ({error.strerror}). Name another with --port")
        raise UserError(f"port {port}: {reason}.") from error
    return listener


class ImpatientProtocol(H11Protocol):
    """Closes a connection that sends no whole header for `header_s`, which uvicorn would wait for without end."""

    def __init__(self, *args: Any, header_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_s = header_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_header()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_header()

    def _wait_for_header(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self._header_s, self._close_if_waiting)

    def _close_if_waiting(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()
