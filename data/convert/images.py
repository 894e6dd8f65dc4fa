"""The images that labels speak of: found below a folder by the names that labels give them, with their sizes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image as PillowImage

from data.files import IMAGE_SUFFIXES, Found, LeftOut, files_below, name_left_out, refuse_unreadable
from data.films.reader import image_size
from utils.arrays import Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.text import composed, list_names, printable

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageFolder:
    """The images below a folder."""

    folder: Path

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """The files by their path below the folder, composed (NFC).

        Raises `UserError` if there are none, or if a folder cannot be read.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder.absolute()}: no such folder of images. Name it with --images.")
        found: dict[str, Path] = {}
        for path in all_below(self.folder):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                name = composed(path.relative_to(self.folder).as_posix())
                if name in found:
                    raise UserError(f"{path}: another file has the same name, composed (NFC). Rename one.")
                found[name] = path
        if not found:
            raise UserError(f"{self.folder.absolute()}: no image in it. Name the folder of images with --images.")
        return found

    @cached_property
    def by_stem(self) -> Mapping[str, list[str]]:
        """The names by their path without the suffix."""
        stems: dict[str, list[str]] = {}
        for name in self.files:
            stems.setdefault(stem_of(name), []).append(name)
        return stems

    def file_of(self, name: str, where: object) -> Path:
        """Return the file of an image. Raises `UserError` that begins with `where` if it is not there."""
        if name not in self.files:
            hint = did_you_mean(name, self.files) if len(self.files) < 1000 else ""
            raise UserError(f"{where}: the image {printable(name)} is not in {self.folder}. {hint or 'Add it.'}")
        return self.files[name]

    def name_of_stem(self, stem: str, where: object) -> str:
        """Return the name of the one image with this path without suffix. Raises `UserError` if there is not one."""
        names = self.by_stem.get(composed(stem), [])
        if len(names) != 1:
            found = f"are two images, {list_names(names)}" if names else "is no image"
            raise UserError(
                f"{where}: there {found} for {printable(stem)} in {self.folder}. Name the right folder with --images."
            )
        return names[0]

    def sizes_of(self, names: Iterable[str], where: object) -> dict[str, Size]:
        """Return the sizes of images. Raises `UserError` for those that are shown turned: a label may mean either."""
        sizes, turned = {}, []
        for name in names:
            sizes[name], orientation = _look_at(self.file_of(name, where))
            if orientation != 1:
                turned.append(name)
        if turned:
            raise UserError(
                f"{self.folder}: {len(turned)} images have an orientation in EXIF, so labelling tools show them turned "
                f"and their labels may be in either frame: {list_names(turned)}. Save them upright, then label them."
            )
        return sizes

    def refuse_other_sizes(self, stated: Mapping[str, Size], where: object) -> None:
        """Raise `UserError` for images that are not there, or not as large as their labels say."""
        sizes = self.sizes_of(stated, where)
        other = [name for name, size_hw in stated.items() if sizes[name] != size_hw]
        if other:
            first = f"{other[0]} has {sizes[other[0]][1]} x {sizes[other[0]][0]} px"
            expected = f"{stated[other[0]][1]} x {stated[other[0]][0]} px"
            more = f" ({len(other)} such images)" if len(other) > 1 else ""
            raise UserError(
                f"{where}: says {expected}, but {first}{more}. Was the image resized after it was labelled?"
            )


def all_below(folder: Path) -> list[Path]:
    """Return all files below a folder, and log what is left out. Raises `UserError` for folders that cannot be read."""
    entries = list(files_below(folder))
    left_out = [entry for entry in entries if isinstance(entry, LeftOut)]
    refuse_unreadable(left_out)
    name_left_out(folder, left_out)
    return [entry.path for entry in entries if isinstance(entry, Found)]


def stem_of(name: str) -> str:
    """Return a path without its suffix."""
    return name.rpartition(".")[0] if "." in name.rpartition("/")[2] else name


def _look_at(path: Path) -> tuple[Size, int]:
    """Return the stored size of an image and its orientation in EXIF, 1 for upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PillowImage.open(path) as image:
                orientation = image.getexif().get(_ORIENTATION, 1)
                return (image.height, image.width), orientation if orientation in range(1, 9) else 1
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        return image_size(path), 1  # Of a kind that Pillow does not know, or it says what is wrong.
