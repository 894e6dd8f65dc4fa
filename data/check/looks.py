"""Find images that look unlike the others: much darker or brighter, or inverted. Everything is relative to a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from utils.arrays import Floats, Image
from utils.parallel import map_ahead

FEWEST = 8
"""With fewer images there is no telling what is usual."""
SAMPLED = 32
"""Images that are read to learn what is usual in a large set."""
BRIGHTNESS_SIGMAS, BRIGHTNESS = 6.0, 1.5
"""A mean is odd beyond both: so many deviations of the set, and a factor of 2 to this power.

Among rendered hands the mean differs by a factor of 1.6 from the usual one at most."""
SKEW_SIGMAS, SKEW = 8.0, 0.6
"""The same for the skew, from -1 to 1; that of rendered hands is 0.2 to 0.6, and inverted ones have the negative."""
_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""
_EVERY = 4
"""One of so many rows and columns is looked at."""
_BLACK = 0.25
"""The least mean that is told from darker ones."""


@dataclass(frozen=True)
class Look:
    """How an image looks: its mean grey value, 0..255, and (mean - median) / standard deviation."""

    mean: float
    skew: float


@dataclass(frozen=True)
class Usual:
    """How the images of a set look: the median of each measure and its spread, as a standard deviation."""

    brightness: float
    """The binary logarithm of the mean."""
    brightness_spread: float
    skew: float
    skew_spread: float

    def as_plain(self) -> dict[str, float]:
        """Return the numbers, rounded, for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def usual_from(plain: object) -> Usual | None:
    """Read what `Usual.as_plain` returned; None for anything else."""
    try:
        usual = Usual(**{str(name): float(value) for name, value in dict(plain).items()})  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None
    return usual if all(map(math.isfinite, asdict(usual).values())) else None


def look_of(image: Image) -> Look:
    """Measure an image, grey or RGB."""
    sampled = image[::_EVERY, ::_EVERY].astype(np.float32)
    mean, deviation = float(sampled.mean()), float(sampled.std())
    return Look(mean, (mean - float(np.median(sampled))) / deviation if deviation else 0.0)


def usual_look(looks: Sequence[Look]) -> Usual | None:
    """Return how most images of a set look; None if there are fewer than `FEWEST`."""
    if len(looks) < FEWEST:
        return None
    brightness = np.array([_brightness(look) for look in looks])
    skew = np.array([look.skew for look in looks])
    return Usual(*_median_and_spread(brightness), *_median_and_spread(skew))


def usual_look_of(read_image: Callable[[Path], Image], paths: Sequence[Path]) -> Usual | None:
    """Return how most images look, from `SAMPLED` of them at equal distances; None if there are too few."""
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, SAMPLED).astype(int)] if paths else []
    return usual_look(list(map_ahead(lambda path: look_of(read_image(path)), list(dict.fromkeys(chosen)))))


def oddity_from(image: Image, trained_on: object) -> str | None:
    """Return how an image differs from those that a network was trained on, in a few words; None if it does not.

    `trained_on`: how those looked, as a weights or ONNX file says; None is returned if it does not say that.
    """
    usual = usual_from(trained_on)
    return None if usual is None else oddity_of(look_of(image), usual)


def oddity_of(look: Look, usual: Usual) -> str | None:
    """Return how an image differs from the usual, in a few words with the figures; None if it does not."""
    off = look.skew - usual.skew
    if abs(off) > max(SKEW_SIGMAS * usual.skew_spread, SKEW) and look.skew * usual.skew < 0:
        return f"it looks inverted: skew of its grey values {look.skew:+.2f}, usual {usual.skew:+.2f}"
    brighter = _brightness(look) - usual.brightness
    if abs(brighter) > max(BRIGHTNESS_SIGMAS * usual.brightness_spread, BRIGHTNESS):
        times = f"{2 ** abs(brighter):.1f} times {'brighter' if brighter > 0 else 'darker'}"
        return f"mean grey value {look.mean:.1f}, usual {2**usual.brightness:.1f}: {times}"
    return None


def _brightness(look: Look) -> float:
    return math.log2(max(look.mean, _BLACK))


def _median_and_spread(values: Floats) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, _SIGMA * float(np.median(np.abs(values - middle)))
