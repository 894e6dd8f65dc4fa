"""Finished pictures of cut-outs by name, and the formats of their files; nothing here loads torch.

picture, file_format = PICTURES["colour"](colour="white"), FORMATS["jpeg"](quality=92)
pixels = picture.draw(photo, alpha, object_colours(photo, alpha))
content = file_format.encode(Bands.of(pixels), Notes())
"""

from __future__ import annotations

from collections.abc import Callable

from data.cutout.photos.head import Notes
from data.cutout.pictures import kinds
from data.cutout.pictures.base import Bands, Picture
from data.cutout.pictures.formats import Format, jpeg, png, webp

__all__ = ["FORMATS", "PICTURES", "Bands", "Format", "Notes", "Picture"]

PICTURES: dict[str, Callable[..., Picture]] = {
    "rgba": kinds.rgba,
    "mask": kinds.mask,
    "colour": kinds.colour,
    "picture": kinds.picture,
    "blur": kinds.blur,
    "sheet": kinds.sheet,
}

FORMATS: dict[str, Callable[..., Format]] = {"png": png, "webp": webp, "jpeg": jpeg}
