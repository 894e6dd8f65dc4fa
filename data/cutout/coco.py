"""Turn COCO annotations into masks: `python -m data.cutout.coco --annotations FILE --images DIR --out MASKS`.

Each image gets a PNG of 0 and 255 with its path and stem below MASKS: `a/photo.JPG` → `a/photo.png`. The mask is the
union of the image's regions, pixel for pixel as pycocotools draws them, in the frame in which the image is shown.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from data.cutout.annotations import (
    AnnotatedImage,
    Annotations,
    mask_of,
    read_annotations,
    refuse_unknown_categories,
)
from data.cutout.pairs import first_of_each, image_files
from data.cutout.photos.head import Photo, look_at_photo, turn_upright
from utils.arrays import Bytes
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing
from utils.log import log_to_console
from utils.parallel import map_ahead
from utils.program import run_program
from utils.progress import track
from utils.text import list_names, pluralize

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of the images and annotations; each list holds names for the log."""

    written: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    """Images without a region: their masks are empty."""
    boxes: list[str] = field(default_factory=list)
    """Images with regions that say nothing about pixels, so what is known of their masks would be incomplete."""
    ambiguous: list[str] = field(default_factory=list)
    """Images that are shown turned or mirrored at the same size, so nobody knows which frame was annotated."""


def main() -> None:
    arguments = parse()
    log_to_console()
    wanted = None if arguments.categories is None else arguments.categories.split(",")
    convert(arguments.annotations, arguments.images, arguments.out, categories=wanted, crowds=not arguments.no_crowds)


def convert(
    annotations: Path, images: Path, out: Path, *, categories: Sequence[str] | None = None, crowds: bool = True
) -> Outcome:
    """Write a mask for each image that the annotations list and the folder holds.

    Only regions of `categories` count (None: all), and with `crowds` those of crowds too. What is not used is named in
    the log. Raises `UserError` for malformed annotations, for images of another size than these say, and if no image
    is there whose regions can be drawn.
    """
    found = read_annotations(annotations)
    if categories is not None:
        refuse_unknown_categories(found, categories)
    files = files_of(images)
    paired = pair(found, files, images)
    paired = [(wanted_of(image, categories, crowds), file) for image, file in paired]
    refuse_boxes_alone([image for image, _ in paired], annotations)
    refuse_shared_masks([image.name for image, _ in paired])
    refuse_unwritable([out / "mask.png"])
    outcome = Outcome()
    outcome.boxes = [image.name for image, _ in paired if not image.is_drawable]
    outcome.empty = [image.name for image, _ in paired if not image.regions]

    def write_one(pair: tuple[AnnotatedImage, Path]) -> None:
        """Draw and write one mask."""
        image, file = pair
        mask = _in_shown_frame(image, file, mask_of(image, annotations), outcome)
        target = out / mask_name(image.name)
        with replacing(target) as written:
            written.write(cv2.imencode(".png", mask)[1].tobytes())
        outcome.written.append(image.name)

    drawable = [pair for pair in paired if pair[0].is_drawable]
    for _ in track(map_ahead(write_one, drawable), "Drawing masks", len(drawable)):
        pass
    _report(found, files, paired, outcome, out)
    return outcome


def files_of(images: Path) -> Mapping[str, Path]:
    """List the image files of a folder by their path below it, with slashes and in the form NFC.

    Raises `UserError` for a folder that is missing, and for two files of one path, whose forms differ.
    """
    if not images.is_dir():
        raise UserError(f"--images {images.absolute()}: no such folder. Name the one that file_name is relative to.")
    found, doubled = first_of_each(image_files(images), str)
    for path, _ in doubled:
        raise UserError(
            f"{path}: there are two files of this name, whose letters are stored in two forms (NFC, and NFD as on a "
            "Mac), so nobody knows which one was annotated. Remove one."
        )
    return found


def pair(annotations: Annotations, files: Mapping[str, Path], images: Path) -> list[tuple[AnnotatedImage, Path]]:
    """Pair the annotated images with their files, by path or, if one file alone has it, by the end of the path.

    So `images/a.jpg` is found as `a.jpg`. Images without a file are named in the log; none with one is an error.
    """
    paired, missing = [], []
    for image in annotations.images:
        file = files.get(image.name) or _by_end(image.name, files)
        if file is None:
            missing.append(image.name)
        else:
            paired.append((image, file))
    if not paired:
        example = f" It lists {missing[0]}." if missing else ""
        raise UserError(
            f"--images {images}: holds none of the images of {annotations.path}.{example} Name their folder."
        )
    if missing:
        log.warning(
            "%s: %s not in %s: %s", annotations.path, pluralize(len(missing), "image"), images, list_names(missing)
        )
    return paired


def _by_end(name: str, files: Mapping[str, Path]) -> Path | None:
    """The only file whose path ends as `name` does, from its last part on; None if there are several or none."""
    parts = PurePosixPath(name).parts
    for start in range(1, len(parts)):
        if (path := files.get("/".join(parts[start:]))) is not None:
            return path
    alike = [path for other, path in files.items() if other.endswith(f"/{name}")]
    return alike[0] if len(alike) == 1 else None


def wanted_of(image: AnnotatedImage, categories: Sequence[str] | None, crowds: bool) -> AnnotatedImage:
    """Return an image with those of its regions that are to be drawn."""
    regions = [
        region
        for region in image.regions
        if (categories is None or region.category in categories) and (crowds or not region.is_crowd)
    ]
    return replace(image, regions=regions)


def refuse_boxes_alone(images: Sequence[AnnotatedImage], annotations: Path) -> None:
    """Raise `UserError` if no mask is known."""
    if not any(image.is_drawable for image in images):
        raise UserError(
            f"{annotations}: its annotations are boxes or keypoints, which say nothing about pixels. Label the objects "
            "with polygons or masks."
        )


def mask_name(name: str) -> str:
    """The path of an image's mask: the same with the suffix `.png`."""
    return str(PurePosixPath(name).with_suffix(".png"))


def refuse_shared_masks(names: Sequence[str]) -> None:
    """Raise `UserError` if two images would share a mask, such as `a.jpg` and `a.png`."""
    owner: dict[str, str] = {}
    for name in names:
        other = owner.setdefault(mask_name(name), name)
        if other != name:
            raise UserError(f"{other} and {name} would share the mask {mask_name(name)}. Rename one of them.")


def _in_shown_frame(image: AnnotatedImage, file: Path, mask: np.ndarray, outcome: Outcome) -> Bytes:
    """Bring a mask to the frame in which the image is shown, after the rotation that its camera noted.

    Annotations may be of the stored pixels or of the shown ones; their size says which, if a side is turned. Raises
    `UserError` if it is neither.
    """
    photo = look_at_photo(file)
    drawn = mask.astype(np.uint8) * np.uint8(255)
    if image.size_hw == photo.shown_hw:
        if photo.is_turned and photo.shown_hw == photo.stored_hw:
            outcome.ambiguous.append(image.name)
        return drawn
    if image.size_hw == photo.stored_hw:
        return turn_upright(drawn, photo.orientation)
    raise UserError(_of_another_size(image, photo, file))


def _of_another_size(image: AnnotatedImage, photo: Photo, file: Path) -> str:
    height, width = image.size_hw
    shown_height, shown_width = photo.shown_hw
    return (
        f"{file}: is {shown_width} x {shown_height} px, and its annotations are of {width} x {height} px. "
        "Annotate it again, or give the image that was annotated."
    )


def _report(
    annotations: Annotations,
    files: Mapping[str, Path],
    paired: Sequence[tuple[AnnotatedImage, Path]],
    outcome: Outcome,
    out: Path,
) -> None:
    """Log what was written, and name all that was not used."""
    used = {file for _, file in paired}
    unlabelled = [name for name, path in files.items() if path not in used]
    notes = (
        (unlabelled, "not annotated, so without a mask"),
        (outcome.empty, "without a region, so with an empty mask"),
        (outcome.boxes, "with boxes or keypoints alone, which say nothing about pixels, so without a mask"),
        (outcome.ambiguous, "shown turned or mirrored at the same size: check that the mask fits"),
    )
    for names, what in notes:
        if names:
            log.warning("%s %s: %s", pluralize(len(names), "image"), what, list_names(sorted(names)))
    if annotations.orphans:
        count = pluralize(len(annotations.orphans), "annotation")
        log.warning("%s of images that are not listed: %s", count, list_names(annotations.orphans))
    log.info("%s: %s", out, pluralize(len(outcome.written), "mask"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.cutout.coco", description="Draw the regions of a COCO data set as masks of 0 and 255."
    )
    parser.add_argument("--annotations", type=Path, required=True, help="the annotations.json")
    parser.add_argument("--images", type=Path, required=True, help="the folder that file_name is relative to")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write masks to")
    parser.add_argument("--categories", help="names of the categories to draw, with commas (default: all)")
    parser.add_argument("--no-crowds", action="store_true", help="leave out regions of crowds (iscrowd)")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
