"""`POST /remove-background` and `POST /batch-remove-background`."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import zipfile
from base64 import b64encode
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field, create_model
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from utils.arrays import Image
from utils.errors import UserError
from web.api.answers import BINARY, responses, time_header
from web.api.parameters import described, read
from web.api.uploads import Form, SentFile, Uploads, unless_gone
from web.engine.engine import Engine
from web.engine.look import MEDIA_TYPES, Look
from web.engine.prediction import Rendered, refuse_other
from web.faults import Refused

log = logging.getLogger(__name__)

AHEAD = 2
"""Images of one batch that are in work at a time."""
SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}
MODEL: Any = (
    str | None,
    Field(None, max_length=200, description="A model's name; without it the first that cuts out."),
)
Cut: Any = create_model("Cut", __base__=Look, model=MODEL)
"""The parameters of `/remove-background`."""
Archive = Literal["zip", "json"]
Batch: Any = create_model(
    "Batch", __base__=Cut, answer=(Archive, Field("zip", description="A zip file of pictures, or JSON with base64."))
)
"""The parameters of `/batch-remove-background`."""
FILES = {"file": "The photograph.", "background_file": "For `output=picture`: the picture to lay the object on."}
MANY = {"files": "The photographs.", "background_file": FILES["background_file"]}
PICTURES = dict.fromkeys(MEDIA_TYPES.values(), BINARY)
ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "error": {"type": "string", "description": "Why there is no picture, in one sentence."},
        "status": {"type": "integer"},
        "media_type": {"type": "string"},
        "content": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["name", "status"],
}
ITEMS = {"schema": {"type": "object", "properties": {"items": {"type": "array", "items": ITEM}}, "required": ["items"]}}


def router(engine: Engine, uploads: Uploads) -> APIRouter:
    """Return the endpoints for cut-outs."""
    api = APIRouter(tags=["cut-outs"])

    @api.post(
        "/remove-background",
        responses=responses(PICTURES),
        response_class=Response,
        openapi_extra=described(Cut, FILES),
    )
    async def remove_background(request: Request) -> Response:
        """Cut out what a photograph shows."""
        async with uploads.form(request, len(FILES)) as form:
            look = read(Cut, form.values)
            (file,) = files_of(form, "file", 1)
            ground = await ground_of(engine, form)
            check(engine, look, ground)
            made = await unless_gone(request, cut_out(engine, file, look, ground))
        return Response(made.content, media_type=made.media_type, headers=time_header(request))

    @api.post(
        "/batch-remove-background",
        responses=responses({"application/zip": BINARY, "application/json": ITEMS}),
        response_class=Response,
        openapi_extra=described(Batch, MANY, many="files"),
    )
    async def batch_remove_background(request: Request) -> Response:
        """Cut out what several photographs show. One that cannot be read gets an error; the others are made.

        The answer is sent while it is made: a zip file of pictures, with `errors.json` if there are any, or JSON.
        """
        async with AsyncExitStack() as stack:
            form = await stack.enter_async_context(uploads.form(request, engine.settings.limits.files + 1))
            look: Any = read(Batch, form.values)
            files = files_of(form, "files", engine.settings.limits.files)
            ground = await ground_of(engine, form)
            check(engine, look, ground)
            engine.refuse_if_full()
            items = made_in_order(engine, files, look, ground)
            write, media_type = ANSWERS[look.answer]
            return _Held(stack.pop_all(), write(items), media_type=media_type)

    return api


class _Held(StreamingResponse):
    """A streamed answer that closes a stack when it has been sent, or the client has gone."""

    def __init__(self, stack: AsyncExitStack, content: AsyncIterator[bytes], media_type: str) -> None:
        super().__init__(content, media_type=media_type)
        self._stack, self._content = stack, content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack, aclosing(self._content):  # type: ignore[type-var]
            await super().__call__(scope, receive, send)


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


async def made_in_order(
    engine: Engine, files: Sequence[SentFile], look: Any, ground: Image | None
) -> AsyncGenerator[Item, None]:
    """Yield the items of a batch in their order; two are in work at a time."""
    tasks: deque[asyncio.Task[Item]] = deque()
    waiting = deque(files)
    try:
        while waiting or tasks:
            while waiting and len(tasks) < AHEAD:
                tasks.append(asyncio.create_task(_item(engine, waiting.popleft(), look, ground)))
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _item(engine: Engine, file: SentFile, look: Any, ground: Image | None) -> Item:
    try:
        return Item(file.name, await cut_out(engine, file, look, ground))
    except Refused as refused:
        return Item(file.name, None, refused)
    except UserError as error:
        return Item(file.name, None, Refused(422, str(error)))
    except Exception:
        log.exception("an image of a batch failed")
        return Item(file.name, None, Refused(500, "The server failed at this image; its log says why."))


def check(engine: Engine, look: Any, ground: Image | None) -> None:
    """Raise `UserError` for a request that cannot be answered, whatever its images show."""
    model = engine.model_for(look.model, cuts_out=True)
    refuse_other(model)
    look.check(ground)


async def cut_out(engine: Engine, file: SentFile, look: Any, ground: Image | None) -> Rendered:
    """Return the finished picture of one photograph."""
    model = engine.model_for(look.model, cuts_out=True)
    async with engine.turn(file.content, model.name) as image:
        prediction = await engine.predict(image)
        with engine.metrics.stages.labels("picture").time():
            return await engine.run(prediction.cutout, look, ground)


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


def files_of(form: Form, field: str, most: int) -> list[SentFile]:
    """Return the files of a field. Raises `Refused` if there are none, too many, or a file in another field."""
    known = {field, "background_file"}
    other = next((name for name in form.files if name not in known), None)
    if other is not None:
        raise Refused(422, f"'{other[:60]}' is no field for files. Send images as {field}.")
    files = form.files.get(field, [])
    if not files:
        raise Refused(400, f"There is no file in the field {field}. Send one, as curl -F {field}=@photo.jpg.")
    if len(files) > most:
        raise Refused(413, f"{len(files)} files in the field {field}, expected at most {most}.")
    return files


async def ground_of(engine: Engine, form: Form) -> Image | None:
    """Return the picture to lay objects on, RGB in sRGB; None if none was sent. Raises `Refused` for no image."""
    sent = form.files.get("background_file", [])
    if not sent:
        return None
    if len(sent) > 1:
        raise Refused(413, "There are several files in the field background_file, expected one.")
    return await engine.ground(sent[0].content)
