"""Read the form of a request into memory: bounded in bytes, files, fields and time, and never on a disk."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from web.faults import Refused
from web.settings import Limits

Result = TypeVar("Result")
MOST_FIELDS, LARGEST_FIELD = 100, 10_000
OVERHEAD = 100_000
"""Bytes of a body beside its files: fields and boundaries."""
DRAIN_S, DRAINED = 2.0, 4
"""A body that is too large is read on for so long, and so many times the limit, so that its client reads the answer."""


class ClientGone(Exception):
    """The client has closed the connection, so nobody reads an answer."""


@dataclass(frozen=True)
class SentFile:
    """A file of a form: its name, for answers alone, and its content."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Form:
    """What a request has sent, its query included."""

    values: dict[str, str]
    files: dict[str, list[SentFile]]


@dataclass
class _Body:
    """The body of a request of at most so many bytes."""

    request: Request
    most: int
    is_read: bool = False

    @property
    def declared(self) -> int:
        """How long the request says that it is; 0 if it does not say."""
        said = self.request.headers.get("content-length", "")
        return int(said) if said.isdecimal() else 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises `ClientGone` if it ends too early."""
        while not self.is_read:
            message = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.is_read = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self) -> None:
        """Read what the client still sends, and forget it, so that it reads the answer; not for long."""
        read = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S), aclosing(self.chunks()) as chunks:
                async for chunk in chunks:
                    read += len(chunk)
                    if read > DRAINED * self.most:
                        break


@dataclass
class Uploads:
    """Reads forms; bodies that are held at the same time are counted together, and images for each client."""

    limits: Limits
    api_key: bytes | None = field(default=None, repr=False)
    held_bytes: int = 0
    of_client: dict[str, int] = field(default_factory=dict)

    def check_key(self, headers: Headers) -> None:
        """Raise `Refused` unless a request has the API key, if there is one. The comparison takes the same time."""
        given = headers.get("x-api-key", "").encode()
        if self.api_key is not None and not hmac.compare_digest(given, self.api_key):
            raise Refused(401, "The header X-API-Key is not the key of this server.")

    @asynccontextmanager
    async def form(self, request: Request, files: int) -> AsyncIterator[Form]:
        """Read a form with at most so many files; it is counted until the end of the block.

        Raises `Refused` for a body that is too large, too slow, or no form, `ClientGone` if it ends too early.
        """
        self.check_key(request.headers)
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise Refused(
                415, "Send the image in a form: Content-Type multipart/form-data, as curl -F file=@photo.jpg."
            )
        with _counted(self.of_client, request, self.limits.per_client):
            held: list[int] = []
            try:
                yield await self._read(request, files, held)
            finally:
                self.held_bytes -= sum(held)

    async def _read(self, request: Request, files: int, held: list[int]) -> Form:
        body = _Body(request, round(files * self.limits.file_mb * 1e6) + OVERHEAD)
        try:
            async with asyncio.timeout(self.limits.upload_s):
                return await _parsed(request, self._chunks(body, files, held), files, self.limits)
        except Refused:
            await body.drain()
            raise
        except TimeoutError:
            raise Refused(408, f"The request was not sent within {self.limits.upload_s:g} s.") from None

    async def _chunks(self, body: _Body, files: int, held: list[int]) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises `Refused` for too much of it, before it is read if that is declared."""
        if body.declared > body.most:
            raise self._too_large(files)
        async for chunk in body.chunks():
            self._hold(len(chunk), held)
            if sum(held) > body.most:
                raise self._too_large(files)
            yield chunk

    def _hold(self, size: int, held: list[int]) -> None:
        if self.held_bytes + size > self.limits.upload_mb_at_once * 1e6:
            raise Refused(503, "Too many uploads at the same time. Try again later.", retry_after_s=1)
        self.held_bytes += size
        held.append(size)

    def _too_large(self, files: int) -> Refused:
        each = f"{self.limits.file_mb:g} MB"
        return Refused(413, f"The upload is too large; expected at most {each}{' a file' if files > 2 else ''}.")


class _counted:
    """Counts a request of its client during a block. Raises `Refused` if there are too many."""

    def __init__(self, of_client: dict[str, int], request: Request, most: int | None) -> None:
        self.of_client, self.most = of_client, most
        self.client = request.client.host if request.client else ""

    def __enter__(self) -> None:
        if self.most is not None and self.of_client.get(self.client, 0) >= self.most:
            sentence = f"{self.most} requests of your address are in work already. Try again later."
            raise Refused(429, sentence, retry_after_s=1)
        self.of_client[self.client] = self.of_client.get(self.client, 0) + 1

    def __exit__(self, *_: object) -> None:
        self.of_client[self.client] -= 1
        if not self.of_client[self.client]:
            del self.of_client[self.client]


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Await work, and cancel it if the client closes the connection first: then `ClientGone` is raised."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _InMemory(MultiPartParser):
    """Keeps files in memory, and notes whether the last boundary has come."""

    spool_max_size = 1 << 40
    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True


async def _parsed(request: Request, chunks: AsyncGenerator[bytes, None], files: int, limits: Limits) -> Form:
    parser = _InMemory(request.headers, chunks, max_files=files, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        status = 413 if error.message.startswith("Too many") else 400
        raise Refused(status, f"The form cannot be read: {error.message}") from None
    except (ValueError, KeyError, IndexError, UnicodeError):
        raise Refused(400, "The form cannot be read: it is no multipart/form-data.") from None
    try:
        if not parser.is_whole:
            raise Refused(400, "The form cannot be read: it ends before its last boundary.")
        return _sorted([*request.query_params.multi_items(), *form.multi_items()], limits)
    finally:
        await form.close()


def _sorted(items: Sequence[tuple[str, str | UploadFile]], limits: Limits) -> Form:
    values: dict[str, str] = {}
    sent: dict[str, list[SentFile]] = {}
    for name, value in items:
        if isinstance(value, UploadFile):
            file = _sent(value, limits)
            if file.name or file.content:  # Browsers send an empty one for a field in which none is chosen.
                sent.setdefault(name, []).append(file)
        elif values.setdefault(name, value) != value:
            raise Refused(422, f"{name[:60]}: is given twice, with different values. Leave one out.")
    return Form(values, sent)


def _sent(file: UploadFile, limits: Limits) -> SentFile:
    content = file.file.read()
    if len(content) > limits.file_mb * 1e6:
        raise Refused(413, f"A file is larger than {limits.file_mb:g} MB.")
    return SentFile(file.filename or "", content)
