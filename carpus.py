"""Carpus as a library: load a trained network, cut out what a photograph shows, segment the bones of a hand.

    import carpus

    model = carpus.load("u2netp.onnx", refine="soft")
    model.cutout("photo.jpg").save("photo.png")

    bones = carpus.load("runs/mine").predict("hand.png")
    bones.masks["Radius"], bones.outlines["Radius"], bones.overlay()

    trained = carpus.train("configs/mine.yaml", ["trainer.epochs=20"])
    trained.best_score, trained.metrics, carpus.load(trained.folder)

`load` takes a run's folder, a weights file or an ONNX file; torch is loaded for the first two only. Every fault is a
`UserError` with one sentence. See docs/library.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image as PillowImage
from pydantic import ValidationError

from data.cutout.photos.head import Notes
from data.cutout.photos.reader import Photograph
from data.cutout.pictures import FORMATS, PICTURES
from data.cutout.pictures.base import Bands, finish
from data.masks import plain_rle as rle
from data.masks.outline import outlines
from data.masks.packed import plane
from data.refine import PRESETS, object_colours, preset
from data.refine.cases.special_cases import handle_cases
from data.task import Task
from runtime.decode import as_alpha, probabilities
from runtime.given_images import Given, photograph_of
from runtime.settings import gives_own_colours
from utils.arrays import Bytes, Colour, Floats32, Image, Mask, Packed, Ring, StoredMask
from utils.config.component import component
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import expand, replacing

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import Config
    from utils.events import Event

__all__ = ["Cutout", "Model", "Segmentation", "SpecialCases", "Training", "UserError", "load", "rle", "train"]

log = logging.getLogger(__name__)

SHOWN_PX = 640
"""Longest side of a picture that a notebook shows."""


class Predictor(Protocol):
    """A network with all that surrounds it between pixels and a mask."""

    @property
    def task(self) -> Task: ...

    def logits(self, image: Image) -> Floats32: ...

    def mask_of(self, logits_Chw: Floats32, image: Image) -> StoredMask: ...

    def oddity(self, image: Image) -> str | None: ...


def load(
    path: str | Path, *, refine: str | None = None, threshold: float | None = None, settings: Sequence[str] = ()
) -> Model:
    """Load a trained network from a run's folder, a weights file (.safetensors, .pth) or an ONNX file (.onnx).

    `refine`: for cut-outs, the name of a preset: plain, u2net, nuggy, soft or people. `threshold`: for hard masks, a
    probability above 0 and below 1. Without them the network predicts as it was trained or exported. `settings`:
    further keys of `predict`, as on the command line: `["predict.tta.hflip=true"]`. Raises `UserError` for a file that
    holds no such network, and for settings that cannot be.
    """
    from trainer.records.weights_files import weights_of

    if refine is not None and refine not in PRESETS:
        raise UserError(f"refine: '{refine}' is not a preset of refinements. {did_you_mean_of_all(refine, PRESETS)}")
    given = {"refine": refine, "threshold": threshold}
    overrides = [*settings, *(f"predict.{key}={value}" for key, value in given.items() if value is not None)]
    weights = weights_of(Path(expand(str(path))))
    if weights.suffix == ".onnx":
        from runtime.predictor import open_predictor

        predictor = open_predictor(weights, overrides, workers=1)
        return Model(predictor, gives_own_colours(predictor.settings.predict, predictor.task))
    from trainer.one_image import load_image_predictor

    by_torch = load_image_predictor(weights, overrides)
    return Model(by_torch, gives_own_colours(by_torch.trained.config.predict, by_torch.task))


def train(
    config: str | Path | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    *,
    callbacks: Sequence[Callable[[Event], object]] = (),
    resume: bool = False,
) -> Training:
    """Train a network as a config says; return what came of it.

    `config`: a YAML file, its values as a dict, or a checked `Config`; to continue with `resume`, also the folder of a
    run. `overrides`: keys as on the command line, `["trainer.epochs=20"]`. `callbacks` are called with each event of
    `utils.events`, in the training process, so they must be quick; one that raises is logged and called no more. One
    with a method `stop_requested()` may stop the run, as Ctrl-C does: its state is saved. Ctrl-C raises
    `KeyboardInterrupt` after that, and `train(folder, resume=True)` continues. Raises `UserError` for every fault that
    the caller can fix.
    """
    from trainer.runs.from_python import read_config, train_config

    read = read_config(config, overrides, resume=resume)
    finished = train_config(read, callbacks, resume=resume)
    whole = read.folder if isinstance(read.fold, int) else read.run.folder / read.run.name
    return Training(whole.absolute(), finished)


@dataclass(frozen=True)
class Training:
    """What a training has left in its folder. Tables are read when they are asked for; see `trainer.records.tables`."""

    folder: Path
    """The run's folder, which `load` takes; of several folds the folder that holds theirs."""
    finished: bool
    """Whether it came to its end; if not, a callback has stopped it."""

    @property
    def best_score(self) -> float:
        """The score of the best weights: the mean over held-out images and classes, those of all folds."""
        return float(self.scores["score"].mean())

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each held-out image and class. Raises `UserError` before the first evaluation."""
        from trainer.records.tables import scores

        return scores(self.folder)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each epoch: losses, scores, learning rates, seconds."""
        from trainer.records.tables import metrics

        return metrics(self.folder)


@dataclass(frozen=True)
class Model:
    """A trained network. `cutout` is for soft objects in photographs, `predict` for classes with hard masks."""

    predictor: Predictor = field(repr=False)
    own_colours: bool = True
    """Whether `cutout` gives soft edges the object's own colours, without those of the ground."""

    @property
    def task(self) -> str:
        """The name of the task: "foreground", "hand_bone"."""
        return self.predictor.task.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.predictor.task.classes

    def cutout(self, image: Given) -> Cutout:
        """Cut out what a photograph shows; an alpha that the image has already is multiplied into the result.

        `image`: a path, the bytes of an image file, a Pillow image, or an array uint8[H, W, 3] (RGB), [H, W, 4] or
        [H, W]. Raises `UserError` for what is no image, and if the network segments something else.
        """
        photo = self._photograph("cutout", image)
        mask = self.predictor.mask_of(self.predictor.logits(photo.pixels), photo.pixels)
        return Cutout(photo, np.ascontiguousarray(mask[..., 0]), self.own_colours)

    def special_cases(self, image: Given, *, confidence: float = 0.5) -> SpecialCases:
        """Cut out what a photograph shows with the preset `soft`, without and with the handling of special cases.

        These are hair that the network has not seen, specks of a texture that it took for the ground, and glass. Each
        is handled if its detector is at least so sure (0..1). Raises `UserError` as `cutout` does.
        """
        if not 0 <= confidence <= 1:
            raise UserError(f"special_cases: confidence={confidence} is outside 0..1. Give a number between.")
        photo = self._photograph("special_cases", image)
        height, width = photo.pixels.shape[:2]
        matting, *rest = preset("soft")
        alpha = matting(photo.pixels, probabilities(self.predictor.logits(photo.pixels), (height, width))[0])
        handled = handle_cases(photo.pixels, alpha, confidence)
        cuts = []
        for each in (handled.before, handled.after):
            for refine in rest:
                refine.change(photo.pixels, each)
            cuts.append(Cutout(photo, as_alpha(each), self.own_colours))
        return SpecialCases(cuts[0], cuts[1], handled.confidences)

    def _photograph(self, called: str, image: Given) -> Photograph:
        task = self.predictor.task
        if not task.encoding.soft or len(task.classes) != 1:
            raise UserError(f"{called}: this network is for task '{task.name}', which cuts nothing out. Call predict.")
        return photograph_of(task, image)

    def predict(self, image: Given) -> Segmentation:
        """Segment an image into classes that may overlap.

        `image`: as for `cutout`; radiographs are read as they are stored. One that looks unlike those that the network
        was trained on, such as an inverted one, is logged as a warning. Raises `UserError` for what is no image.
        """
        task = self.predictor.task
        pixels = photograph_of(task, image).pixels
        logits = self.predictor.logits(pixels)
        mask = task.encoding.harden(self.predictor.mask_of(logits, pixels))
        oddity = self.predictor.oddity(pixels)
        if oddity is not None:
            name = image if isinstance(image, (str, Path)) else "the given image"
            log.warning("%s: looks unlike those that the network was trained on: %s", name, oddity)
        return Segmentation(task.classes, pixels, mask, logits, task.class_colours, oddity)


@dataclass(frozen=True, repr=False)
class Cutout:
    """What a photograph shows, cut out, at the photograph's size; shown by a notebook as a picture."""

    photo: Photograph
    """The photograph, upright: `photo.pixels` is uint8[H, W, 3], RGB."""
    mask: Bytes
    """How much of each pixel the object covers, uint8[H, W]: 0 to 255."""
    own_colours: bool = True

    @property
    def alpha(self) -> Bytes:
        """The mask times the alpha that the image has already, uint8[H, W]."""
        return self.photo.alpha_with(self.mask)

    @cached_property
    def colours(self) -> Image:
        """The object's colours, uint8[H, W, 3], straight (never premultiplied)."""
        return object_colours(self.photo.pixels, self.mask) if self.own_colours else self.photo.pixels

    @property
    def rgba(self) -> Bytes:
        """The object, uint8[H, W, 4]: its colours, and the alpha; away from it colours are black."""
        return self._draw("rgba", {})[0].pixels

    @property
    def image(self) -> PillowImage.Image:
        """The object as a Pillow image, RGBA."""
        return PillowImage.fromarray(self.rgba)

    def picture(self, kind: str = "rgba", **settings: Any) -> PillowImage.Image:
        """Return a finished picture: rgba, mask, colour, picture, blur or sheet, with settings of `predict.picture`.

        Examples: `picture("colour", colour="white")`, `picture("blur")`, `picture("picture", file="beach.jpg")`. Raises
        `UserError` for another kind.
        """
        return PillowImage.fromarray(self._draw(kind, settings)[0].pixels)

    def save(self, path: str | Path, kind: str = "rgba", **settings: Any) -> Path:
        """Write a picture, by its suffix as PNG, WebP or JPEG, and return its path; `kind` as for `picture`.

        Without a kind it is the object with its alpha. A JPEG has none, so it needs another kind. The colour profile of
        the photograph is kept. Raises `UserError` for another suffix, and if the file cannot be written.
        """
        target = Path(expand(str(path)))
        suffixes = {build().suffix: build() for build in FORMATS.values()}
        chosen = suffixes.get(".jpg" if target.suffix.lower() == ".jpeg" else target.suffix.lower())
        if chosen is None:
            raise UserError(f"{target}: cut-outs are written as {', '.join(suffixes)}. Name a file with one of these.")
        drawn, notes = self._draw(kind, settings)
        if drawn.channels == 4 and not chosen.takes_alpha:
            raise UserError(f"{target}: a {chosen.suffix} file has no alpha. Name a .png file, or kind='colour'.")
        with replacing(target) as file:
            file.write(chosen.encode(drawn, notes))
        return target

    def _draw(self, kind: str, settings: Mapping[str, Any]) -> tuple[Bands, Notes]:
        """Return a picture, and what its file notes beside the pixels."""
        try:
            picture = component("picture", lambda: PICTURES).read({"name": kind, **settings}).build()
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            raise UserError(f"picture('{kind}'): {'; '.join(faults)}") from error
        return finish(picture, self.photo, self.mask, self.own_colours)

    def _repr_png_(self) -> bytes:
        return _as_png(self.picture("sheet"))

    def __repr__(self) -> str:
        height, width = self.alpha.shape
        return f"<Cutout {width} x {height} px, {(self.alpha >= 128).mean():.0%} of it object>"


@dataclass(frozen=True)
class SpecialCases:
    """A cut-out before and after the handling of special cases; shown by a notebook one above the other."""

    before: Cutout
    after: Cutout
    confidences: Mapping[str, float]
    """How sure each detector was, 0..1, by its name: hair, texture, transparency."""

    def _repr_png_(self) -> bytes:
        sheets = [np.asarray(cut.picture("sheet")) for cut in (self.before, self.after)]
        return _as_png(PillowImage.fromarray(np.vstack(sheets)))


@dataclass(frozen=True, repr=False)
class Segmentation:
    """The classes that were found in an image, at the image's size; shown by a notebook as an overlay."""

    classes: tuple[str, ...]
    image: Image
    """The image, uint8[H, W] or uint8[H, W, 3]."""
    packed: Packed
    """All masks in bits, uint8[H, W, K]; see `data.masks.packed`."""
    logits: Floats32 = field(repr=False)
    """The network's own output at its own size, float32[C, h, w]."""
    colours: Sequence[Colour] = field(repr=False)
    """The colour of each class in the overlay."""
    oddity: str | None = None
    """How the image looks unlike those that the network was trained on, in a few words with figures; None if it does
    not, or if the network's file does not say how those looked."""

    @cached_property
    def masks(self) -> Mapping[str, Mask]:
        """The mask bool[H, W] of each class, by its name."""
        return {name: plane(self.packed, index) for index, name in enumerate(self.classes)}

    @property
    def probabilities(self) -> Floats32:
        """The probability of each class, float32[C, H, W] in 0..1. 29 classes at 2048 px take half a gigabyte."""
        return probabilities(self.logits, (self.image.shape[0], self.image.shape[1]))

    def probability(self, name: str) -> Floats32:
        """Return the probability of one class, float32[H, W] in 0..1. Raises `UserError` for another name."""
        if name not in self.classes:
            raise UserError(f"'{name}' is not a class of this network. {did_you_mean_of_all(name, self.classes)}")
        index = self.classes.index(name)
        found: Floats32 = probabilities(self.logits[index : index + 1], (self.image.shape[0], self.image.shape[1]))[0]
        return found

    @cached_property
    def outlines(self) -> Mapping[str, list[Ring]]:
        """The outlines of each class, int32[N, 2] of (x, y); filled together they give exactly its mask."""
        return {name: outlines(mask.view(np.uint8)) for name, mask in self.masks.items()}

    @property
    def rle(self) -> Mapping[str, str]:
        """The runs of each class as text: `start length …`, from 1 along the rows; `carpus.rle.decode` reads it."""
        return {name: rle.encode(mask) for name, mask in self.masks.items()}

    @property
    def areas(self) -> Mapping[str, int]:
        """The number of pixels of each class."""
        return {name: int(mask.sum()) for name, mask in self.masks.items()}

    def overlay(self, *, side_px: int | None = None) -> PillowImage.Image:
        """Return the image with every class in a colour of its own, at most `side_px` high and wide."""
        from trainer.drawing.overlays import draw_masks

        side = max(self.image.shape[:2]) if side_px is None else side_px
        drawn = draw_masks(self.image, self.packed, self.colours, side_px=side)
        return PillowImage.fromarray(np.ascontiguousarray(drawn[..., ::-1]))

    def _repr_png_(self) -> bytes:
        return _as_png(self.overlay(side_px=SHOWN_PX))

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found = sum(area > 0 for area in self.areas.values())
        odd = "" if self.oddity is None else f"; {self.oddity}"
        return f"<Segmentation {width} x {height} px, {found} of {len(self.classes)} classes found{odd}>"


def _as_png(picture: PillowImage.Image) -> bytes:
    """Return the bytes of a PNG for a notebook, at most `SHOWN_PX` high; wide ones as wide as two."""
    shown = picture.copy()
    shown.thumbnail((2 * SHOWN_PX, SHOWN_PX))
    buffer = BytesIO()
    shown.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
