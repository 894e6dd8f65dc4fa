"""`POST /remove-background` and `POST /batch-remove-background`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field, create_model
from starlette.requests import Request
from starlette.responses import Response

from utils.arrays import Image
from utils.errors import UserError
from web.api.answers import BINARY, responses, time_header
from web.api.archive import ANSWERS, HeldAnswer, Item
from web.api.parameters import described, read
from web.api.uploads import Form, SentFile, Uploads, unless_gone
from web.engine.engine import Engine
from web.engine.look import MEDIA_TYPES, Look
from web.engine.prediction import Rendered, refuse_other
from web.faults import Refused

log = logging.getLogger(__name__)

AHEAD = 2
"""Images of one batch that are in work at a time."""
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
            return HeldAnswer(stack.pop_all(), write(items), media_type=media_type)

    return api


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
