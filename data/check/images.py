"""Check decoded images: broken ones, unusual formats and sizes, and which of them show the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data.check.checks import Checks, fault_of
from data.check.finding import Finding
from data.check.looks import Look, look_of, oddity_of, usual_look
from data.image import PNG_SIGNATURE, orientation_of, read_bytes
from utils.arrays import Floats32, Image, Size
from utils.errors import UserError

THUMB_PX = 32
SMALL_PX = 256
ALMOST_EQUAL = 0.9995
"""Correlation of two thumbnails above which they count as one image; different hands stay below 0.99."""

_BITS_AT, _COLOUR_AT, _HEADER_BYTES = 24, 25, 26
_WITH_ALPHA = (4, 6)
"""Bytes of a PNG's first chunk: bits per channel, colour type (4: grey and alpha, 6: colour and alpha)."""


@dataclass(frozen=True)
class ImageFacts:
    """What is kept of an image without its pixels; `size_hw` is None if it cannot be decoded."""

    file: str
    exclude: str | None
    faults: tuple[Finding, ...]
    size_hw: Size | None = None
    digest: bytes = b""
    thumb: Floats32 | None = None
    """float32[THUMB_PX²] with mean 0 and length 1; None for a blank image."""
    look: Look | None = None
    small: Image | None = None
    """The image with `SMALL_PX` on its longer side at most, until its label has been compared with it."""


def look_at_image(read_image: Callable[[Path], Image], path: Path, file: str, exclude: str | None) -> ImageFacts:
    """Decode one image as its task does and return what is needed of it."""
    try:
        image = read_image(path)
    except UserError as error:
        kind = "bit_depth" if _header(path)[_BITS_AT : _BITS_AT + 1] == b"\x10" else "bad_image"
        return ImageFacts(file, exclude, (Finding(kind, file, fault_of(error, path), exclude=exclude),))
    faults = []
    if _header(path)[_COLOUR_AT] in _WITH_ALPHA:
        faults.append(Finding("alpha", file, "it has an alpha channel", exclude=exclude))
    orientation = orientation_of(read_bytes(path))
    if orientation != 1:
        faults.append(Finding("orientation", file, f"its EXIF says {orientation}", exclude=exclude))
    thumb = _thumb(image)
    if thumb is None:
        faults.append(Finding("blank", file, f"every pixel is {image[0, 0]}", exclude=exclude))
    size_hw = (image.shape[0], image.shape[1])
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, salt=b"%dx%d" % size_hw).digest()
    return ImageFacts(file, exclude, tuple(faults), size_hw, digest, thumb, look_of(image), _small(image))


def _small(image: Image) -> Image:
    share = min(SMALL_PX / max(image.shape[:2]), 1.0)
    width, height = (max(1, round(side * share)) for side in (image.shape[1], image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def compare_images(facts: Sequence[ImageFacts], checks: Checks) -> Iterator[Finding]:
    """Yield duplicates (the later of two), and images of another size or look than most, if the task expects one."""
    usual = usual_size(facts)
    for fact in facts if checks.one_size else ():
        if fact.size_hw is not None and fact.size_hw != usual:
            found = f"{_wide_by_high(fact.size_hw)}, most are {_wide_by_high(usual)}"
            yield Finding("size", fact.file, found, exclude=fact.exclude)
    if checks.one_look:
        yield from _unlike([fact for fact in facts if fact.thumb is not None])
    yield from _duplicates([fact for fact in facts if fact.thumb is not None])


def _unlike(facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    usual = usual_look([fact.look for fact in facts if fact.look is not None])
    for fact in facts if usual is not None else ():
        oddity = oddity_of(fact.look, usual) if fact.look is not None and usual is not None else None
        if oddity is not None:
            yield Finding("look", fact.file, oddity, exclude=fact.exclude)


def usual_size(facts: Sequence[ImageFacts]) -> Size:
    """Return the commonest size; of equally common ones the largest."""
    sizes = Counter(fact.size_hw for fact in facts if fact.size_hw is not None)
    return max(sizes, key=lambda size_hw: (sizes[size_hw], size_hw), default=(0, 0))


def _duplicates(facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Yield duplicates: exact ones by their digests, others by their thumbnails, also mirrored.

    Of a copy in train and one in test, the one in train is the finding, because it can be left out.
    """
    ordered = sorted(facts, key=lambda fact: fact.exclude is not None)
    first: dict[bytes, ImageFacts] = {}
    for fact in ordered:
        original = first.setdefault(fact.digest, fact)
        if original is not fact:
            yield Finding("duplicate", fact.file, f"the same pixels as {original.file}", exclude=fact.exclude)
    unique = list(first.values())
    for one, other, mirrored in _almost_equal(unique):
        found = f"shows the same as {unique[one].file}{', mirrored' if mirrored else ''}"
        yield Finding("near_duplicate", unique[other].file, found, exclude=unique[other].exclude)


def _almost_equal(facts: Sequence[ImageFacts]) -> Iterator[tuple[int, int, bool]]:
    """Yield (earlier, later, is mirrored) for each image that is almost equal to an earlier one, its most similar."""
    if len(facts) < 2:
        return
    thumbs = np.stack([fact.thumb for fact in facts if fact.thumb is not None])
    flipped = thumbs.reshape(-1, THUMB_PX, THUMB_PX)[:, :, ::-1].reshape(len(thumbs), -1)
    for later in range(1, len(thumbs)):
        plain, mirrored = thumbs[:later] @ thumbs[later], flipped[:later] @ thumbs[later]
        nearest = int(np.maximum(plain, mirrored).argmax())
        if max(plain[nearest], mirrored[nearest]) > ALMOST_EQUAL:
            yield nearest, later, bool(mirrored[nearest] > plain[nearest])


def _thumb(image: Image) -> Floats32 | None:
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    small = cv2.resize(image, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    return None if int(image.min()) == int(image.max()) or not length else (small / length).astype(np.float32)


def _header(path: Path) -> bytes:
    """Return the first bytes of a PNG, as many of another file that are zero; empty if it cannot be opened."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return b""
    return header if header.startswith(PNG_SIGNATURE) else bytes(_HEADER_BYTES)


def _wide_by_high(size_hw: Size) -> str:
    return f"{size_hw[1]} x {size_hw[0]} px"
