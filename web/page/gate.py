"""Let through what the page needs of Gradio's endpoints, and refuse the others and all that names a path or an address.

Gradio also offers to fetch addresses, to forward to other servers, an API, and developers' tools. A path of a client is
that of a file which it has uploaded, or it is refused here, before Gradio sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.page.files import PageFiles

PASSED = re.compile(
    r"/?|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/(assets|static|svelte)/.*"
    r"|/gradio_api/(info/?|app_id/?|theme\.css|startup-events|upload|upload_progress|cancel|reset/?)"
    r"|/gradio_api/(queue/(join|data)/?|heartbeat/.*|file=.*)"
)
"""Paths below the page's own."""
LARGEST_JSON = 1_000_000
"""Bytes of the body of an event."""


class Gate:
    """Stands before a Gradio app. Uploads are in the folder of `files`, the only one that files are served from.

    `largest_upload` is in bytes, for all files of one upload together; `head` is HTML for the head of the page.
    """

    def __init__(self, app: ASGIApp, files: PageFiles, largest_upload: int, head: str = "") -> None:
        self.app, self.files, self.largest_upload, self.head = app, files, largest_upload, head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not PASSED.fullmatch(path) or not self._serves(path):
            await _refuse(404, "Not found.")(scope, receive, send)
        elif path == "/gradio_api/upload":
            await self._upload(scope, receive, send)
        elif path.startswith("/gradio_api/queue/join"):
            await self._join(scope, receive, send)
        elif path in ("", "/"):
            await self._page(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _serves(self, path: str) -> bool:
        """Whether a file may be asked for; true for all that asks for none."""
        _, asks, file = path.partition("/gradio_api/file=")
        return not asks or self._is_own(file)

    def _is_own(self, path: str) -> bool:
        return Path(unquote(path)).resolve().is_relative_to(self.files.folder.resolve())

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an upload whose size is known and within the limit, once there is room for it."""
        declared = Headers(scope=scope).get("content-length", "")
        if not declared.isdigit() or int(declared) > self.largest_upload:
            await _refuse(413, f"An upload has at most {self.largest_upload} bytes.")(scope, receive, send)
            return
        self.files.make_room(int(declared))
        await self.app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the page with `head` at the beginning of its head, before the scripts of Gradio."""
        start: Message | None = None
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body") or start is None:
                return
            page = body.replace(b"<head>", b"<head>" + self.head, 1)
            page = page.replace(b'<link rel="manifest" href="/manifest.json" />', b"", 1)
            headers = MutableHeaders(raw=list(start["headers"]))
            if "content-length" in headers and scope["method"] != "HEAD":
                headers["content-length"] = str(len(page))
            await send({**start, "headers": headers.raw})
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, collect)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read an event and pass it on if each path in it is that of a file of this page."""
        body = await _body(receive)
        try:
            paths = [] if body is None else list(_paths_in(json.loads(body)))
        except (ValueError, RecursionError):
            body = None
        if body is None or not all(map(self._is_own, paths)):
            refused = _refuse(400, "This event names a file that was not uploaded, or cannot be read.")
            await refused(scope, receive, send)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


async def _body(receive: Receive) -> bytes | None:
    """Read the body of a request; None if it is too large or ends too early."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_JSON:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _paths_in(value: Any) -> Iterator[str]:
    """Yield all that the files of an event name as their path."""
    if isinstance(value, dict):
        if value.get("path") is not None:
            yield str(value["path"])
        for item in value.values():
            yield from _paths_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _paths_in(item)


def _refuse(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)
