"""The handlers of the page for cut-outs. Only `open`, `open_example` and `open_several` run a network."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import gradio as gr
from pydantic import ValidationError

from data.cutout.photos.head import look_at_photo
from data.cutout.photos.reader import read_photo
from data.refine import PRESETS
from utils.arrays import HALF_ALPHA, Image
from utils.errors import UserError
from utils.files import file_in_memory
from web.engine.engine import Engine
from web.engine.look import BaseLook, Look
from web.page.answers import Answers, Outputs, Upload
from web.page.cutout.controls import OUTPUTS, Controls, colour_named, controls_of
from web.page.cutout.drawing import Cutout
from web.page.examples import PHOTOGRAPHS
from web.page.files import PageFiles, free_of, safe_stem
from web.page.kept import Kept

VIEWS = ("transparent", "ground", "mask")
"""What the tabs show of a cut-out."""
AS_MODEL = "model"
"""The preset that a model is used with."""
FORMATS = {".png": "png", ".jpg": "jpeg"}


@dataclass(frozen=True)
class Settings:
    """The values of all settings, in the order of the components."""

    model: str
    preset: str
    controls: Controls
    ground: str
    """colour, picture or blur."""
    colour: str
    picture: Upload | None
    """An uploaded file, for the ground `picture`."""
    blur_percent: float
    own_colours: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> Settings:
        """Read the values in the order of the components."""
        count = 2 + len(fields(Controls))
        return cls(values[0], values[1], Controls(*values[2:count]), *values[count:])

    def look(self, view: str, suffix: str) -> BaseLook:
        """Return the look of a view in a format; a background whose picture is not chosen yet is the colour.

        Raises `ValidationError` for values that the page does not send.
        """
        on_ground = "colour" if self.ground == "picture" and self.picture is None else self.ground
        return Look(
            preset=None if self.preset == AS_MODEL else self.preset,
            output=OUTPUTS.get(view, on_ground),
            format=FORMATS[suffix],
            background=colour_named(self.colour),
            blur_strength=self.blur_percent / 100,
            own_colours=self.own_colours,
            **self.controls.fields,
        )


class Work:
    """Handlers in one language; `kept` is shared by all languages."""

    def __init__(self, engine: Engine, answers: Answers, files: PageFiles, kept: Kept[Cutout]) -> None:
        self.engine, self.answers, self.files, self.kept = engine, answers, files, kept
        self.models = {name: model for name, model in engine.models.items() if model.cuts_out}

    async def open(self, upload: Upload | None, key: str | None, view: str, *values: Any) -> Outputs:
        """Predict an uploaded photograph; returns the upload as it is, its key, the facts and the views' pictures."""
        return (gr.update(), *await self._opened(*self.answers.read(upload), key, view, values))

    async def open_again(self, upload: Upload | None, key: str | None, view: str, *values: Any) -> Outputs:
        """Do the same for another model, if there is a photograph."""
        if upload is None:
            return (gr.update(),) * (3 + len(VIEWS))
        return await self.open(upload, key, view, *values)

    async def open_example(self, index: int, key: str | None, view: str, *values: Any) -> Outputs:
        """Predict an example; returns the example first, to be shown as if it had been dropped."""
        path = PHOTOGRAPHS[index]
        return (self.files.example(path), *await self._opened(path.read_bytes(), path.name, key, view, values))

    async def draw(self, key: str | None, view: str, *values: Any) -> Outputs:
        """Draw the photograph that is kept anew; returns the facts and the pictures of the views."""
        if key is None:
            return (gr.update(),) * (1 + len(VIEWS))
        return await self.engine.run(self._drawn, self._cutout(key), view, Settings.of(values))

    async def write(self, view: str, suffix: str, key: str | None, *values: Any) -> Outputs:
        """Write a file at full size; returns its path."""
        cutout = self._cutout(key)
        content = await self.engine.run(self._file, cutout, view, suffix, self._settings(view, values))
        return (self.files.write(f"{safe_stem(cutout.name)}-{view}{suffix}", content),)

    async def write_several(self, uploads: Sequence[Upload] | None, view: str, suffix: str, *values: Any) -> Outputs:
        """Cut out several photographs; returns the path of a zip, the pictures, and what is wrong with some."""
        chosen, most = uploads or [], self.answers.limits.files
        if not chosen:
            raise self.answers.fault("first_a_picture")
        if len(chosen) > most:
            raise self.answers.fault("too_many_files", count=len(chosen), most=most)
        settings, packed = self._settings(view, values), io.BytesIO()
        shown: list[tuple[str, str]] = []
        faults = []
        with zipfile.ZipFile(packed, "w") as archive:
            for upload in chosen:
                try:
                    shown.append(await self._packed(archive, upload, view, suffix, settings))
                except UserError as fault:
                    faults.append(self.answers.notice(str(fault)))
        path = self.files.write("cutouts.zip", packed.getvalue()) if shown else None
        done = self.answers.say("several_done", done=len(shown), count=len(chosen))
        return gr.update(value=path, visible=bool(path)), shown, "".join([f"<p>{done}</p>", *faults])

    async def _packed(
        self, archive: zipfile.ZipFile, upload: Upload, view: str, suffix: str, settings: Settings
    ) -> tuple[str, str]:
        """Add the cut-out of a photograph to a zip; returns the path of a preview, and its name in the zip."""
        cutout = await self._predicted(*self.answers.read(upload), settings)
        name = free_of(archive.namelist(), f"{safe_stem(cutout.name)}-{view}", suffix)
        archive.writestr(name, await self.engine.run(self._file, cutout, view, suffix, settings))
        _, after = await self.engine.run(self._preview, cutout, view, settings)
        return self.files.jpeg(after), name

    async def positions(self, model: str, preset: str) -> Outputs:
        """Return the positions of the controls for a model and a preset."""
        chosen = self.models[model].refinements if preset == AS_MODEL else PRESETS[preset]
        return astuple(controls_of(chosen))

    async def _opened(self, content: bytes, name: str, key: str | None, view: str, values: Sequence[Any]) -> Outputs:
        settings = Settings.of(values)
        cutout = await self._predicted(content, name, settings)
        drawn = await self.engine.run(self._drawn, cutout, view, settings)
        return (self.kept.keep(cutout, cutout.size_bytes, instead_of=key), *drawn)

    async def _predicted(self, content: bytes, name: str, settings: Settings) -> Cutout:
        with self.answers.naming(name):
            async with self.engine.turn(content, settings.model) as image:
                begun = time.perf_counter()
                prediction = await self.engine.predict(image)
                return Cutout(name, prediction, time.perf_counter() - begun)

    def _settings(self, view: str, values: Sequence[Any]) -> Settings:
        """Read the settings of files. Raises `UserError` if the background is to be a picture, and none is chosen."""
        settings = Settings.of(values)
        if view == "ground" and settings.ground == "picture" and settings.picture is None:
            raise self.answers.fault("first_a_ground")
        return settings

    def _cutout(self, key: str | None) -> Cutout:
        cutout = self.kept.of(key)
        if cutout is None:
            raise self.answers.fault("first_a_picture" if key is None else "gone")
        return cutout

    def _drawn(self, cutout: Cutout, view: str, settings: Settings) -> Outputs:
        before, after = self._preview(cutout, view, settings)
        pair = self.files.jpeg(before), self.files.jpeg(after)
        return (self._facts(cutout), *(pair if name == view else gr.update() for name in VIEWS))

    def _preview(self, cutout: Cutout, view: str, settings: Settings) -> tuple[Image, Image]:
        look = self._look(settings, view, ".png")
        return cutout.preview(look, self._ground(look, settings))

    def _file(self, cutout: Cutout, view: str, suffix: str, settings: Settings) -> bytes:
        look = self._look(settings, view, suffix)
        return cutout.file(look, self._ground(look, settings))

    def _look(self, settings: Settings, view: str, suffix: str) -> BaseLook:
        try:
            return settings.look(view, suffix)
        except ValidationError as error:
            raise self.answers.fault("bad_setting") from error

    def _ground(self, look: BaseLook, settings: Settings) -> Image | None:
        """Decode the picture for the background, if there is to be one."""
        if look.output != "picture":
            return None
        content, name = self.answers.read(settings.picture)
        with file_in_memory(content) as path, self.answers.without_path(path, name):
            self.answers.refuse_large(name, look_at_photo(path).stored_hw)
            return read_photo(path).in_srgb.pixels

    def _facts(self, cutout: Cutout) -> str:
        assert cutout.last is not None
        alpha = cutout.last[1]
        facts = self.answers.say(
            "cutout_facts",
            width=alpha.shape[1],
            height=alpha.shape[0],
            network_s=f"{cutout.network_s:.2f}",
            refine_s=f"{cutout.refine_s:.2f}",
            covered=f"{100 * float((alpha >= HALF_ALPHA).mean()):.1f}",
        )
        empty = "" if alpha.any() else self.answers.notice(self.answers.say("nothing_found", name=cutout.name))
        return f"{empty}<p>{facts}</p>"
