"""Write finished pictures of photographs with their predicted alpha: a folder of files, or one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from data.cutout.photos.reader import Photograph
from data.cutout.photos.store import PhotoStore
from data.cutout.pictures.base import Picture, finish
from data.cutout.pictures.formats import Format, jpeg, png, webp
from data.cutout.pictures.kinds import rgba
from data.sample import Sample
from utils.arrays import Bytes, StoredMask
from utils.files import clear_unfinished_of, refuse_unwritable, replacing
from utils.journal import Journal

log = logging.getLogger(__name__)

BY_SUFFIX = {".png": png(), ".webp": webp(), ".jpg": jpeg(), ".jpeg": jpeg()}
"""The format of a file that is named with this suffix."""


@dataclass(frozen=True)
class Style:
    """How finished pictures are drawn and stored."""

    picture: Picture
    file_format: Format | None = None
    """None: the format that the name of a file says, and PNG in a folder."""
    own_colours: bool = False
    """Whether soft edges have the object's own colours, without those of the ground."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes that a file may have; the first is that of files in a folder."""
        fits = {suffix: one for suffix, one in BY_SUFFIX.items() if one.takes_alpha or not self.picture.has_alpha}
        if self.file_format is None:
            return tuple(fits)
        return tuple(suffix for suffix, one in fits.items() if one.suffix == self.file_format.suffix)

    def encode(self, photo: Photograph, alpha: Bytes, suffix: str) -> bytes:
        """Return the content of a file with this suffix: a photograph with its predicted alpha, uint8[H, W]."""
        finished, notes = finish(self.picture, photo, alpha, self.own_colours)
        return (self.file_format or BY_SUFFIX[suffix]).encode(finished, notes)


PLAIN = Style(rgba())
"""Photographs with the alpha, as PNG."""


class CutoutWriter:
    """Writes the picture of each sample, in their order; use it in a `with`.

    `output` is a folder; if its name ends as that of a picture, it is the file of the only sample.

    A call that was interrupted goes on where it stopped if `origin` is the same, at a multiple of the images that are
    predicted `at_once`. Raises `UserError` if the output cannot be written.
    """

    def __init__(
        self,
        output: Path,
        samples: Sequence[Sample],
        origin: str,
        at_once: int,
        *,
        style: Style = PLAIN,
        photos: PhotoStore | None = None,
    ) -> None:
        self.output, self.samples, self.at_once, self.style = output, samples, at_once, style
        self.photos = photos or PhotoStore()
        self._images = {sample.name: sample.image for sample in samples}
        self._is_file = output.suffix.lower() in style.suffixes
        journal = output.with_name(f".{output.name}.part") if self._is_file else output / ".cutouts.part"
        origin = f"{origin} {style.picture.identity}".rstrip()
        self._journal = Journal(journal, origin, [sample.stamp for sample in samples])

    @property
    def done(self) -> int:
        return self._journal.done

    def __enter__(self) -> CutoutWriter:
        refuse_unwritable([self._path("name")])
        self._journal.__enter__()
        names = {self._path(sample.name).name for sample in self.samples}
        clear_unfinished_of(self._path("name").parent, names)
        noted = zip(self.samples, self._journal.records(), strict=False)
        gone = (place for place, (one, fault) in enumerate(noted) if not fault and not self._path(one.name).exists())
        there = next(gone, self.done)
        self._journal.cut(there)
        self._journal.cut_to_groups(self.at_once)
        self.photos.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.photos.close()
        # With images left out the same command is given again once they are corrected.
        if error is None and not self.left_out:
            self._journal.remove()
        self._journal.__exit__(kind, error, trace)

    def write_mask(self, name: str, mask_HWC: StoredMask, /) -> None:
        """Write the picture of the next sample, whose predicted alpha is uint8[H, W, 1]."""
        if self.samples[self.done].name != name:
            raise ValueError(f"expected the mask of {self.samples[self.done].name}, got that of {name}")
        self.write_content(self.content_of(name, mask_HWC))

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Keep the photographs that are decoded in a process that writes none."""
        self.photos.open()
        try:
            yield
        finally:
            self.photos.close()

    def content_of(self, name: str, mask_HWC: StoredMask, /) -> bytes:
        """Make the file of a sample, whose predicted alpha is uint8[H, W, 1]."""
        photo = self.photos.take(self._images[name])
        return self.style.encode(photo, mask_HWC[..., 0], self._path(name).suffix.lower())

    def write_content(self, content: bytes, /) -> None:
        """Write the file of the next sample."""
        with replacing(self._path(self.samples[self.done].name)) as file:
            file.write(content)
        self._journal.append(b"")

    @property
    def left_out(self) -> list[str]:
        """Why each image that has no picture has none."""
        return [reason.decode() for reason in self._journal.records() if reason]

    def leave_out(self, reason: str, /) -> None:
        """Note that the next sample has no picture. One that an earlier call has written stays, and is named."""
        sample = self.samples[self.done]
        self.photos.forget(sample.image)
        path = self._path(sample.name)
        if path.exists():
            log.warning("%s: is of an earlier call; its image has no prediction now", path)
        self._journal.append(reason.encode())

    def _path(self, name: str) -> Path:
        return self.output if self._is_file else self.output / f"{name}{self.style.suffixes[0]}"


@dataclass(frozen=True)
class OpenPictures:
    """Opens a writer of pictures in one style; as a value it can be compared, and sent to other processes."""

    style: Style
    photos: PhotoStore = field(default_factory=PhotoStore, compare=False)
    """Has the photographs that were decoded for prediction."""

    def __call__(self, output: Path, samples: Sequence[Sample], origin: str, at_once: int) -> CutoutWriter:
        return CutoutWriter(output, samples, origin, at_once, style=self.style, photos=self.photos)
