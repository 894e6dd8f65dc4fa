"""Answers of many pictures, which are sent while they are made: a zip file, or JSON."""

from __future__ import annotations

import io
import json
import re
import zipfile
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from web.engine.prediction import Rendered
from web.faults import Refused

SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}


@dataclass(frozen=True)
class Item:
    """One file of a batch: what was made of it, or why nothing was."""

    name: str
    made: Rendered | None
    refused: Refused | None = None

    @property
    def about(self) -> dict[str, Any]:
        """Return its entry in JSON, without the content."""
        if self.refused is not None:
            return {"name": self.name, "status": self.refused.status, "error": self.refused.sentence}
        return {"name": self.name, "status": 200}


class _Sink(io.RawIOBase):
    """Takes what a zip file writes, until it is sent."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self.parts = b"".join(self.parts), []
        return taken


async def as_zip(items: AsyncGenerator[Item, None]) -> AsyncGenerator[bytes, None]:
    """Yield a zip file of the pictures, called as the photographs, and of `errors.json` if there are errors."""
    sink, names, errors = _Sink(), set[str](), []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
        async with aclosing(items):
            async for item in items:
                if item.made is None:
                    errors.append(item.about)
                    continue
                archive.writestr(free_name(item.name, item.made.media_type, names), item.made.content)
                yield sink.take()
        if errors:
            archive.writestr("errors.json", json.dumps(errors, ensure_ascii=False, indent=2))
    yield sink.take()


async def as_json(items: AsyncGenerator[Item, None]) -> AsyncGenerator[bytes, None]:
    """Yield `{"items": [{name, status, media_type, content in base64} or {name, status, error}, …]}`."""
    yield b'{"items": ['
    before = b""
    async with aclosing(items):
        async for item in items:
            entry = item.about
            if item.made is not None:
                entry |= {"media_type": item.made.media_type, "content": b64encode(item.made.content).decode()}
            yield before + json.dumps(entry).encode()
            before = b", "
    yield b"]}"


ANSWERS = {"zip": (as_zip, "application/zip"), "json": (as_json, "application/json")}


def free_name(sent: str, media_type: str, taken: set[str]) -> str:
    """Return a name in a zip file from that of a photograph: without folders, and not there yet."""
    stem = re.sub(r"[^\w .()-]", "_", PurePosixPath(sent.replace("\\", "/")).stem)[:100].strip(" .") or "image"
    names = (f"{stem}{number}{SUFFIXES[media_type]}" for number in chain([""], (f"-{n}" for n in count(2))))
    name = next(each for each in names if each.lower() not in taken)
    taken.add(name.lower())
    return name


class HeldAnswer(StreamingResponse):
    """A streamed answer that closes a stack when it has been sent, or the client has gone."""

    def __init__(self, stack: AsyncExitStack, content: AsyncGenerator[bytes, None], media_type: str) -> None:
        super().__init__(content, media_type=media_type)
        self._stack, self._content = stack, content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack, aclosing(self._content):
            await super().__call__(scope, receive, send)
