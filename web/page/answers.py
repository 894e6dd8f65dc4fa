"""What happens when a person acts: a handler answers, or one sentence on the page says why it cannot."""

from __future__ import annotations

import html
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from utils.arrays import Size
from utils.errors import UserError
from web.faults import Refused
from web.page.texts import Say
from web.settings import Limits

log = logging.getLogger(__name__)

MEGA = 1_000_000


class Unusable(UserError):
    """An uploaded file that cannot be used."""


BUSY = (429, 503)
"""Statuses of refusals that do not depend on the file."""
Outputs: TypeAlias = tuple[Any, ...]
Upload: TypeAlias = Mapping[str, Any]
"""A file as Gradio describes it: where it lies, and the name that the person knows it by."""
Handler: TypeAlias = Callable[..., Awaitable[Outputs]]


class Room:
    """Counts the requests of the page that are in work or waiting; there are `most` at the same time."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place during the block. Raises `Refused` if all are taken."""
        if self.taken >= self.most:
            raise Refused(503, f"{self.taken} requests are in work already.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Answers:
    """Wraps handlers in one language. `folder` is where Gradio writes uploads."""

    def __init__(self, say: Say, limits: Limits, room: Room, folder: Path) -> None:
        self.say, self.limits, self.room, self.folder = say, limits, room, folder.resolve()

    def to(self, handler: Handler, outputs: int, *, clears: bool = False) -> Handler:
        """Return a function for Gradio: the notice, then what a handler returns, so many outputs.

        A fault becomes the notice, and the outputs stay as they are. If it is an upload that cannot be used and
        `clears` is set, they are emptied: they would show something else.
        """

        @wraps(handler)
        async def answer(*values: Any) -> Outputs:
            unchanged: Outputs = (gr.update(),) * outputs
            try:
                with self.room.place():
                    return ("", *await handler(*values))
            except Refused as refused:
                sentence = self.refusal(refused, "")
            except UserError as fault:
                sentence = str(fault)
                if clears and isinstance(fault, Unusable):
                    unchanged = (None,) * outputs
            except Exception:
                log.exception("the page: %s failed", handler.__qualname__)
                sentence = self.say("failed")
            return (self.notice(sentence), *unchanged)

        return answer

    def read(self, upload: Upload | None) -> tuple[bytes, str]:
        """Return the content of an uploaded file and its name.

        Raises `UserError` if there is none, it is too large, or a client names a file that nobody has uploaded.
        """
        if upload is None:
            raise self.fault("first_a_picture")
        path = Path(upload["path"]).resolve()
        if not path.is_relative_to(self.folder):
            raise self.fault("failed")
        name = Path(str(upload.get("orig_name") or path.name)).name
        try:
            size_mb = path.stat().st_size / MEGA
            if size_mb > self.limits.file_mb:
                raise Unusable(self.say("too_large", name=name, mb=f"{size_mb:.1f}", most=f"{self.limits.file_mb:g}"))
            return path.read_bytes(), name
        except OSError as error:
            raise self.fault("gone") from error

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Turn a refusal of the file in work into a sentence with its name."""
        try:
            yield
        except Refused as refused:
            kind = UserError if refused.status in BUSY else Unusable
            raise kind(self.refusal(refused, name)) from refused

    @contextmanager
    def without_path(self, path: Path, name: str, text: str = "bad_image") -> Iterator[None]:
        """Turn a `UserError` of a reader into a sentence with the file's name in the place of a path."""
        try:
            yield
        except UserError as fault:
            if str(path) not in str(fault):
                raise
            raise Unusable(self.say(text, name=name, reason=str(fault).replace(str(path), name))) from fault

    def refuse_large(self, name: str, size_hw: Size) -> None:
        """Raise `UserError` for an image of more pixels than the limit."""
        if math.prod(size_hw) > self.limits.megapixels * MEGA:
            raise Unusable(self.say("too_many_pixels", name=name, most=f"{self.limits.megapixels:g}"))

    def refusal(self, refused: Refused, name: str) -> str:
        """Return the sentence for a refusal of the engine."""
        if refused.status in BUSY:
            return self.say("busy")
        if refused.status == 413:
            return self.say("too_many_pixels", name=name, most=f"{self.limits.megapixels:g}")
        return self.say("bad_image", name=name, reason=f"{name}{refused.sentence.removeprefix('file')}")

    def fault(self, text: str, **values: object) -> UserError:
        """Return the error with a text of the page."""
        return UserError(self.say(text, **values))

    def notice(self, sentence: str) -> str:
        """Return the HTML of a sentence that asks for attention."""
        return f'<p class="carpus-warning" role="alert">{html.escape(sentence)}</p>'
