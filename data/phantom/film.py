"""Develops the film: from attenuation along the beam to the grey image that a viewer shows."""

from __future__ import annotations

import cv2
import numpy as np

from data.phantom.pose import PIXELS_PER_MM, Box
from data.phantom.variation import Collimation, FilmVariation, Marker
from utils.arrays import Bytes, Floats32

HALF_GREY = 0.6
"""Attenuation that is developed to half of full white at mean gain; with GRADIENT and FULL_WHITE it gives the contest's
mean (0.122) and standard deviation (0.168)."""

GRADIENT = 1.35
FULL_WHITE = 0.82
DARKEST = 3.0
"""Greatest attenuation that a film shows behind metal, since scattered quanta arrive there too."""


def develop(attenuation: Floats32, film: FilmVariation, size_px: int, *, bones_mm: Box) -> Bytes:
    """The grey image, uint8 [size_px, size_px], of a film's attenuation (0 in air) at the same or a finer pixel.

    `bones_mm` bounds the bones, which no collimation may cut.
    """
    seen = _add_grain(attenuation, film)
    seen = _process(seen, film)
    grey = _tone(seen, film)
    if film.collimation is not None:
        grey *= _open_part(film.collimation, bones_mm, len(grey))
    if film.marker is not None:
        grey = np.maximum(grey, _letters(film.marker, len(grey)))
    if len(grey) != size_px:
        grey = cv2.resize(grey, (size_px, size_px), interpolation=cv2.INTER_AREA)
    levels: Bytes = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    return levels


def _add_grain(attenuation: Floats32, film: FilmVariation) -> Floats32:
    """Blur by the focal spot and the screen, an uneven beam, and the noise of counted quanta."""
    size = len(attenuation)
    pixel_mm = 1 / (PIXELS_PER_MM * size)
    sharp = cv2.GaussianBlur(np.minimum(attenuation, DARKEST), (0, 0), max(film.blur_mm / pixel_mm, 0.3))
    place = np.linspace(-1, 1, size, dtype=np.float32)
    sharp += np.float32(film.heel[0]) * place + np.float32(film.heel[1]) * place[:, None]
    grain = np.exp(sharp / 2) / np.float32(np.sqrt(film.photons) * pixel_mm)
    noise = np.random.default_rng(film.seed).standard_normal(sharp.shape, dtype=np.float32)
    grainy: Floats32 = sharp + grain * cv2.GaussianBlur(noise, (0, 0), 0.6)
    return grainy


def _process(seen: Floats32, film: FilmVariation) -> Floats32:
    """What a digital system does for the eye: level the large scale inside the hand, and enhance edges."""
    inside = np.clip(seen / 0.2, 0, 1)
    levelled = seen - np.float32(film.levelling) * (_large_scale(seen, 14) - 0.4) * inside
    sharpened: Floats32 = levelled + np.float32(film.sharpening) * (seen - _large_scale(seen, 1.5)) * inside
    return sharpened


def _large_scale(film: Floats32, blur_mm: float) -> Floats32:
    """The film blurred by a Gaussian of `blur_mm`, computed on a coarse copy."""
    coarse_px = 256 if blur_mm > 4 else min(len(film), 1024)
    coarse = cv2.resize(film, (coarse_px, coarse_px), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(coarse, (0, 0), blur_mm * PIXELS_PER_MM * coarse_px)
    fine: Floats32 = cv2.resize(blurred, film.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return fine


def _tone(seen: Floats32, film: FilmVariation) -> Floats32:
    """The developing curve with its toe and shoulder, above the fog of air; darker towards the corners."""
    exposure = np.clip(seen * film.gain / HALF_GREY, 0, None) ** np.float32(GRADIENT * film.contrast)
    grey = FULL_WHITE * exposure / (exposure + 1)
    place = np.linspace(-1, 1, len(seen), dtype=np.float32) ** 2
    falling = 1 - np.float32(film.vignetting / 2) * (place + place[:, None])
    toned: Floats32 = (film.fog + (1 - film.fog) * grey) * falling
    return toned


def _open_part(collimation: Collimation, bones_mm: Box, size_px: int) -> Floats32:
    """1 where the beam reaches the film, 0 under the lead; the lead leaves the lower edge open."""
    left, right, top = collimation.gaps_mm
    per_mm = PIXELS_PER_MM * size_px
    x0, x1 = (bones_mm.left - left) * per_mm, (bones_mm.right + right) * per_mm
    y0 = (bones_mm.top - top) * per_mm
    corners = np.array([[x0, y0], [x1, y0], [x1, 2 * size_px], [x0, 2 * size_px]])
    turn = np.deg2rad(collimation.turn_deg)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([(x0 + x1) / 2, size_px / 2])
    turned = np.rint((corners - centre) @ spin.T + centre).astype(np.int32)
    opening = cv2.fillPoly(np.zeros((size_px, size_px), dtype=np.float32), [turned], 1.0)
    soft: Floats32 = cv2.GaussianBlur(opening, (0, 0), max(collimation.edge_mm * per_mm, 0.5))
    return soft


def _letters(marker: Marker, size_px: int) -> Floats32:
    """The marker's letters in their grey on black."""
    height_px = marker.height_mm * PIXELS_PER_MM * size_px
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(height_px / 6))
    scale = height_px / 21
    (width, height), _ = cv2.getTextSize(marker.text, font, scale, thick)
    across = marker.place[0] * size_px
    x = size_px - across - width if marker.at_right else across
    y = marker.place[1] * size_px
    film = np.zeros((size_px, size_px), dtype=np.float32)
    cv2.putText(film, marker.text, (round(x), round(y)), font, scale, marker.grey, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((x + width / 2, y - height / 2), marker.turn_deg, 1.0)
    letters: Floats32 = cv2.warpAffine(film, turn, (size_px, size_px))
    return letters
