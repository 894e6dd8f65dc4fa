"""Turn attenuation along the beam into the grey image that a viewer shows."""

from __future__ import annotations

import cv2
import numpy as np

from data.phantom.pose import PIXELS_PER_MM, Box
from data.phantom.variation import Collimation, ImageVariation, Marker
from utils.arrays import Bytes, Floats32

HALF_GREY = 0.6
"""Attenuation that becomes half of full white at mean gain; with GRADIENT and FULL_WHITE it gives the contest's mean
(0.122) and standard deviation (0.168) of grey values."""

GRADIENT = 1.35
FULL_WHITE = 0.82
DARKEST = 3.0
"""Greatest attenuation behind metal, because scattered quanta arrive there too."""


def develop(attenuation: Floats32, variation: ImageVariation, size_px: int, *, bones_mm: Box) -> Bytes:
    """Return the grey image, uint8 [size_px, size_px], of attenuation (0 in air) that has as many pixels or more.

    `bones_mm` is the box of the bones, which no collimation may cut.
    """
    seen = _add_grain(attenuation, variation)
    seen = _process(seen, variation)
    grey = _tone(seen, variation)
    if variation.collimation is not None:
        grey *= _open_part(variation.collimation, bones_mm, len(grey))
    if variation.marker is not None:
        grey = np.maximum(grey, _letters(variation.marker, len(grey)))
    if len(grey) != size_px:
        grey = cv2.resize(grey, (size_px, size_px), interpolation=cv2.INTER_AREA)
    levels: Bytes = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    return levels


def _add_grain(attenuation: Floats32, variation: ImageVariation) -> Floats32:
    """Add the blur of focal spot and screen, the unevenness of the beam, and the noise of counted quanta."""
    size = len(attenuation)
    pixel_mm = 1 / (PIXELS_PER_MM * size)
    sharp = cv2.GaussianBlur(np.minimum(attenuation, DARKEST), (0, 0), max(variation.blur_mm / pixel_mm, 0.3))
    place = np.linspace(-1, 1, size, dtype=np.float32)
    sharp += np.float32(variation.heel[0]) * place + np.float32(variation.heel[1]) * place[:, None]
    grain = np.exp(sharp / 2) / np.float32(np.sqrt(variation.photons) * pixel_mm)
    noise = np.random.default_rng(variation.seed).standard_normal(sharp.shape, dtype=np.float32)
    grainy: Floats32 = sharp + grain * cv2.GaussianBlur(noise, (0, 0), 0.6)
    return grainy


def _process(seen: Floats32, variation: ImageVariation) -> Floats32:
    """Process as digital systems do: reduce large-scale differences inside the hand, and enhance edges."""
    inside = np.clip(seen / 0.2, 0, 1)
    levelled = seen - np.float32(variation.levelling) * (_large_scale(seen, 14) - 0.4) * inside
    sharpened: Floats32 = levelled + np.float32(variation.sharpening) * (seen - _large_scale(seen, 1.5)) * inside
    return sharpened


def _large_scale(image: Floats32, blur_mm: float) -> Floats32:
    """Return the image blurred by a Gaussian of `blur_mm`, computed on a coarse copy."""
    coarse_px = 256 if blur_mm > 4 else min(len(image), 1024)
    coarse = cv2.resize(image, (coarse_px, coarse_px), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(coarse, (0, 0), blur_mm * PIXELS_PER_MM * coarse_px)
    fine: Floats32 = cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return fine


def _tone(seen: Floats32, variation: ImageVariation) -> Floats32:
    """Apply the characteristic curve with toe and shoulder, add the fog of air, and darken the corners."""
    exposure = np.clip(seen * variation.gain / HALF_GREY, 0, None) ** np.float32(GRADIENT * variation.contrast)
    grey = FULL_WHITE * exposure / (exposure + 1)
    place = np.linspace(-1, 1, len(seen), dtype=np.float32) ** 2
    falling = 1 - np.float32(variation.vignetting / 2) * (place + place[:, None])
    toned: Floats32 = (variation.fog + (1 - variation.fog) * grey) * falling
    return toned


def _open_part(collimation: Collimation, bones_mm: Box, size_px: int) -> Floats32:
    """Return 1 where the beam reaches the detector and 0 under the lead, which leaves the lower edge open."""
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
    """Return the marker's letters in their grey on black."""
    height_px = marker.height_mm * PIXELS_PER_MM * size_px
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(height_px / 6))
    scale = height_px / 21
    (width, height), _ = cv2.getTextSize(marker.text, font, scale, thick)
    across = marker.place[0] * size_px
    x = size_px - across - width if marker.at_right else across
    y = marker.place[1] * size_px
    # Text is drawn on bytes, since OpenCV 5 draws none on floats, and with hard edges, which OpenCV 4 gave those.
    inked = np.zeros((size_px, size_px), dtype=np.uint8)
    cv2.putText(inked, marker.text, (round(x), round(y)), font, scale, 1, thick, cv2.LINE_8)
    canvas = inked * np.float32(marker.grey)
    turn = cv2.getRotationMatrix2D((x + width / 2, y - height / 2), marker.turn_deg, 1.0)
    letters: Floats32 = cv2.warpAffine(canvas, turn, (size_px, size_px))
    return letters
