"""Render one film of the preset `wide`: a hand, what is on it, the beam, the detector, the curve, what is written."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from data.phantom.anatomy import Anatomy
from data.phantom.extras import extras_of
from data.phantom.pose import PIXELS_PER_MM, pose
from data.phantom.radiograph import TISSUE_PER_MM, Shadow, cast_shadows, expose, project
from data.phantom.tissue import skin
from data.phantom.variation import HandVariation
from data.phantom.wide.curves import CURVES
from data.phantom.wide.detector import blurred, detect, process
from data.phantom.wide.draw import chance, choose, uniform
from data.phantom.wide.frame import Frame, cut, draw_frame, place_bones, place_extra, place_surface
from data.phantom.wide.hand import draw_body, draw_hand, loosen, reshape
from data.phantom.wide.objects import add_objects, ends_px
from data.phantom.wide.overlay import add_dust, add_marker, surround, write_on
from data.phantom.wide.ranges import Ranges
from utils.arrays import Bytes, Floats32

ROUNDING_MM = 3.0
FINEST_PX = 1024
"""Width of the blur of soft tissue; a film of fewer pixels than this is rendered at twice its size."""


def render_film(
    anatomy: Anatomy, seed: tuple[int, ...], ranges: Ranges, *, left: bool, bent: bool, size_px: int, inverted: float
) -> tuple[Bytes, list[Shadow]]:
    """Return a film, uint8 [H, W] with a longer side of `size_px`, and the mask of each bone in class order.

    `inverted` is the share of films whose bones are dark. The same seed gives the same film.
    """
    rng = np.random.default_rng((*seed, int(left)))
    hand = draw_hand(rng, ranges, draw_body(np.random.default_rng(seed), ranges), left=left, bent=bent)
    bones = loosen(rng, reshape(rng, pose(anatomy, hand)))
    frame = draw_frame(rng, ranges, bones, hand)
    surface = skin(bones, thickness=hand.body.tissue, scale=hand.body.scale)
    extras = [place_extra(frame, extra) for extra in extras_of(bones, surface, hand, None)]
    placed, surface = place_bones(frame, bones), place_surface(frame, surface)
    longer_px = size_px if size_px >= FINEST_PX else 2 * size_px
    attenuation = expose(placed, surface, extras, hand, longer_px, zoom=frame.zoom)
    height, width = frame.size_px(longer_px)
    attenuation = np.ascontiguousarray(attenuation[:height, :width])
    per_mm = longer_px * PIXELS_PER_MM
    tissue = np.zeros((longer_px, longer_px), np.float32)
    (x, y), box = project(surface.vertices, surface.faces, longer_px)
    tissue[y : y + box.shape[0], x : x + box.shape[1]] = box
    tissue = tissue[:height, :width]
    attenuation += TISSUE_PER_MM * (_rounded(tissue, per_mm * frame.zoom) - tissue)
    add_objects(rng, ranges, attenuation, tissue, ends_px(placed, per_mm), per_mm * frame.zoom)
    image = _develop(rng, ranges, attenuation, frame, hand, size_px, inverted)
    return image, cut(frame, cast_shadows(placed, size_px), image.shape[:2])


def _rounded(tissue_HW: Floats32, per_mm: float) -> Floats32:
    """Return the thickness of soft tissue without the ridges between the rods that form it; its outline stays."""
    inside = (tissue_HW > 0).astype(np.uint8)
    depth_mm = cv2.distanceTransform(inside, cv2.DIST_L2, 3) / per_mm
    smooth = blurred(tissue_HW, ROUNDING_MM * per_mm) / np.maximum(
        blurred(inside.astype(np.float32), ROUNDING_MM * per_mm), 1e-3
    )
    share = np.clip(depth_mm / (2 * ROUNDING_MM), 0, 1)
    rounded: Floats32 = tissue_HW + share * (smooth - tissue_HW) * inside
    return rounded


def _develop(
    rng: Generator,
    ranges: Ranges,
    attenuation: Floats32,
    frame: Frame,
    hand: HandVariation,
    size_px: int,
    inverted: float,
) -> Bytes:
    """Return the grey image of a film's attenuation."""
    per_mm = max(attenuation.shape) / max(frame.size_mm)
    signal = process(rng, ranges, detect(rng, ranges, attenuation, per_mm), per_mm)
    beam = frame.beam(attenuation.shape, edge_px=max(0.5, float(rng.uniform(0.2, 2.0)) * per_mm))
    grey = CURVES[choose(rng, ranges.curves)](rng, signal, beam, ranges.gain_sd)
    grey = _range(rng, ranges, grey)
    if chance(rng, 0.55):
        add_marker(rng, grey, attenuation, left=hand.left)
    if frame.bordered:
        grey = surround(rng, grey, beam)
    if inverted and chance(rng, inverted):
        grey = 1 - grey
    height, width = frame.size_px(size_px)
    grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    if chance(rng, ranges.written_on):
        write_on(rng, grey)
    if chance(rng, 0.1):
        add_dust(rng, grey)
    return _stored(rng, ranges, grey)


def _range(rng: Generator, ranges: Ranges, grey: Floats32) -> Floats32:
    """Return grey values between a film's black and its white, with corners that are darker or brighter."""
    black = uniform(rng, ranges.black) if chance(rng, 0.4) else 0.0
    white = uniform(rng, ranges.white)
    ranged = np.float32(black) + np.float32(white - black) * grey
    if chance(rng, 0.3):
        height, width = grey.shape
        x, y = np.linspace(-1, 1, width, dtype=np.float32) ** 2, np.linspace(-1, 1, height, dtype=np.float32) ** 2
        ranged *= 1 - np.float32(rng.uniform(-0.15, 0.3) / 2) * (x + y[:, None])
    toned: Floats32 = np.clip(ranged, 0, 1)
    return toned


def _stored(rng: Generator, ranges: Ranges, grey: Floats32) -> Bytes:
    """Return the image as it comes out of an archive: resized once more, or compressed as JPEG."""
    size = grey.shape[::-1]
    if chance(rng, 0.2):
        smaller = rng.uniform(0.45, 0.9)
        grey = cv2.resize(
            grey, (max(8, int(size[0] * smaller)), max(8, int(size[1] * smaller))), interpolation=cv2.INTER_AREA
        )
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
    levels: Bytes = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    if not chance(rng, 0.6):
        return levels
    coded = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, round(uniform(rng, ranges.jpeg))])[1]
    decoded: Bytes = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return decoded
