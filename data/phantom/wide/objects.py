"""Things on a hand that no label names, drawn as attenuation: plaster, wires, screws, plates and nails.

Shapes: H, W pixels of the film. Coordinates are pixels; lengths are converted by `per_mm`, pixels in a mm of the hand.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from data.hand_bone.classes import BONES
from data.phantom.extras import METAL_PER_MM
from data.phantom.pose import PosedBone
from data.phantom.variation import TIPS
from data.phantom.wide.draw import chance
from data.phantom.wide.ranges import Ranges
from utils.arrays import Floats, Floats32

LONG_BONES = tuple(bone for bone in BONES[:19] if bone not in TIPS)
CARPAL_SCREWS = ("Scaphoid", "Scaphoid", "Capitate", "Hamate")
PLASTER_RADIUS_MM = 38.0
"""Half width of the sleeve that plaster forms around wrist and palm."""


def add_objects(
    rng: Generator, ranges: Ranges, attenuation_HW: Floats32, skin_HW: Floats32, ends: dict[str, Floats], per_mm: float
) -> None:
    """Add what a hand carries to its attenuation. `ends` are the ends [2, 2] of each bone in pixels, by its name."""
    if chance(rng, ranges.nails):
        _add_nails(rng, attenuation_HW, ends, per_mm)
    if chance(rng, ranges.metal):
        for _ in range(int(rng.integers(1, 4))):
            _METAL[int(rng.integers(len(_METAL)))](rng, attenuation_HW, ends, per_mm)
    if chance(rng, ranges.plaster):
        attenuation_HW += _plaster(rng, skin_HW, ends, per_mm)


def ends_px(bones: tuple[PosedBone, ...], per_mm: float) -> dict[str, Floats]:
    """Return the ends of bones that are placed on a film, in its pixels."""
    return {bone.name: bone.ends[:, :2] * per_mm - 0.5 for bone in bones}


def add_capsule(
    image_HW: Floats32, a: Floats, b: Floats, radius: tuple[float, float], per_mm: float, weight: float
) -> None:
    """Add `weight` times the thickness (mm) of a rod with round ends from `a` to `b`, whose radius may taper."""
    reach = max(radius) + 2
    x0, y0 = np.maximum(np.floor(np.minimum(a, b) - reach), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(np.maximum(a, b) + reach), image_HW.shape[::-1]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return
    axis, yx = b - a, np.mgrid[y0:y1, x0:x1].astype(np.float32)
    x, y = yx[1] - a[0], yx[0] - a[1]
    along = np.clip((x * axis[0] + y * axis[1]) / max(float(axis @ axis), 1e-6), 0, 1)
    squared = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2
    radii = radius[0] + along * (radius[1] - radius[0])
    thickness = 2 * np.sqrt(np.maximum(radii**2 - squared, 0)) / per_mm
    image_HW[y0:y1, x0:x1] += np.float32(weight) * thickness.astype(np.float32)


def _add_nails(rng: Generator, image: Floats32, ends: dict[str, Floats], per_mm: float) -> None:
    """Add a nail to each finger: a thin plate from the middle of the last bone to beyond its tip; some are painted."""
    painted = chance(rng, 0.2)
    per_nail = rng.uniform(0.08, 0.3) if painted else rng.uniform(0.01, 0.04)
    beyond, width = rng.uniform(2, 12) * per_mm, rng.uniform(4.0, 6.0) * per_mm
    for tip in TIPS:
        near, far = ends[tip]
        along = (far - near) / max(float(np.linalg.norm(far - near)), 1e-6)
        across = np.array([-along[1], along[0]])
        back, front = far - along * rng.uniform(5, 8) * per_mm, far + along * (3 * per_mm + beyond)
        half = width * (1.15 if tip == "finger-1" else 1.0)
        corners = [back - across * half, back + across * half, front + across * half * 0.7, front - across * half * 0.7]
        plate = cv2.fillConvexPoly(np.zeros(image.shape, np.float32), np.rint(corners).astype(np.int32), per_nail)
        image += cv2.GaussianBlur(plate, (0, 0), max(0.6 * per_mm, 0.5))


def _add_wire(rng: Generator, image: Floats32, ends: dict[str, Floats], per_mm: float) -> None:
    """Add a wire of steel along a finger's bone and out of its end, a little aslant."""
    near, far = ends[str(rng.choice(LONG_BONES))]
    aslant = rng.normal(0, 2.0, (2, 2)) * per_mm
    beyond = (far - near) * rng.uniform(0.1, 0.7)
    radius = rng.uniform(0.45, 0.9) * per_mm
    add_capsule(image, near + aslant[0], far + beyond + aslant[1], (radius, radius), per_mm, METAL_PER_MM)


def _add_screw(rng: Generator, image: Floats32, ends: dict[str, Floats], per_mm: float) -> None:
    """Add a screw of titanium through a carpal bone."""
    near, far = ends[str(rng.choice(CARPAL_SCREWS))]
    middle, half = (near + far) / 2, (far - near) * rng.uniform(0.3, 0.55)
    turned = half @ _spin(rng.normal(0, 0.4))
    _thread(image, middle - turned, middle + turned, rng.uniform(1.0, 1.7) * per_mm, per_mm)


def _add_plate(rng: Generator, image: Floats32, ends: dict[str, Floats], per_mm: float) -> None:
    """Add a plate along a metacarpal, a phalanx or the radius, held by screws that are seen from their heads."""
    near, far = ends[str(rng.choice((*LONG_BONES, "Radius", "Radius")))]
    if np.linalg.norm(far - near) > 80 * per_mm:  # the end of the radius
        near = far + (near - far) * 0.4
    start, end = near + 0.15 * (far - near), near + 0.9 * (far - near)
    half, thick = rng.uniform(2.2, 4.5) * per_mm, rng.uniform(1.0, 2.2)
    plate = np.zeros(image.shape, np.float32)
    cv2.line(plate, _point(start), _point(end), METAL_PER_MM * thick, max(1, round(2 * half)))
    steps = max(2, round(float(np.linalg.norm(end - start)) / (8 * per_mm)))
    for t in np.linspace(0.08, 0.92, steps):
        hole = _point(start + t * (end - start))
        filled = METAL_PER_MM * 8.0 if rng.random() < 0.75 else 0.0
        cv2.circle(plate, hole, max(1, round(half * 0.55)), filled, -1)
    image += cv2.GaussianBlur(plate, (0, 0), max(0.15 * per_mm, 0.5))


def _add_band(rng: Generator, image: Floats32, ends: dict[str, Floats], per_mm: float) -> None:
    """Add a bracelet or the band of a watch around the end of the forearm: two arcs, of front and back."""
    radius, ulna = ends["Radius"], ends["Ulna"]
    down = (radius[0] - radius[1]) / max(float(np.linalg.norm(radius[0] - radius[1])), 1e-6)
    place = down * rng.uniform(8, 40) * per_mm
    a, b = radius[1] + place, ulna[1] + place
    out = (a - b) * 0.55
    thick = rng.uniform(0.5, 2.0) * per_mm
    for sign in (-1, 1):
        turns = np.linspace(0, np.pi, 25)
        arc = [(a + b) / 2 + np.cos(t) * ((a - b) / 2 + out) + sign * np.sin(t) * down * 5 * per_mm for t in turns]
        for p, q in pairwise(arc):
            add_capsule(image, p, q, (thick, thick), per_mm, METAL_PER_MM / 2)


_METAL = (_add_wire, _add_wire, _add_screw, _add_plate, _add_band)


def _thread(image: Floats32, a: Floats, b: Floats, radius: float, per_mm: float) -> None:
    """Add a screw: a core, and a thread whose turns are 1.2 mm apart."""
    add_capsule(image, a, b, (0.65 * radius, 0.65 * radius), per_mm, METAL_PER_MM)
    turns = max(2, round(float(np.linalg.norm(b - a)) / (1.2 * per_mm)))
    across = np.array([-(b - a)[1], (b - a)[0]]) / max(float(np.linalg.norm(b - a)), 1e-6) * radius
    for t in np.linspace(0, 1, turns):
        middle = a + t * (b - a)
        add_capsule(image, middle - across, middle + across, (0.3 * per_mm, 0.3 * per_mm), per_mm, METAL_PER_MM)


def _plaster(rng: Generator, skin: Floats32, ends: dict[str, Floats], per_mm: float) -> Floats32:
    """Return the attenuation of a sleeve around wrist and palm that ends near the knuckles.

    The beam passes through two walls of it in the middle, and along one wall at its sides, which are brighter.
    """
    middle = ends["finger-11"]
    axis = (middle[1] - middle[0]) / max(float(np.linalg.norm(middle[1] - middle[0])), 1e-6)
    edge = middle[0] + (middle[1] - middle[0]) * rng.uniform(0.3, 0.95)
    y, x = np.mgrid[: skin.shape[0], : skin.shape[1]].astype(np.float32)
    below = (x - edge[0]) * axis[0] + (y - edge[1]) * axis[1] < 0
    gap = max(1, round(rng.uniform(2, 6) * per_mm))
    grown = cv2.dilate((skin > 0).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1,) * 2))
    depth = cv2.distanceTransform(grown, cv2.DIST_L2, 3) / per_mm
    wall = rng.uniform(2.5, 7.0)
    walls = _half_chord(depth, PLASTER_RADIUS_MM) - _half_chord(depth - wall, PLASTER_RADIUS_MM - wall)
    wraps = cv2.GaussianBlur(rng.standard_normal(skin.shape, np.float32), (0, 0), 6 * per_mm, sigmaY=1.5 * per_mm)
    wraps = 1 + 0.12 * wraps / max(float(wraps.std()), 1e-6)
    sleeve = 2 * walls * wraps * rng.uniform(0.006, 0.025) * below
    soft: Floats32 = cv2.GaussianBlur(sleeve.astype(np.float32), (0, 0), max(0.5 * per_mm, 0.5))
    return soft


def _half_chord(depth_mm: Floats32, radius_mm: float) -> Floats32:
    """Return half the way through a cylinder, mm, at depths from its rim; beyond its middle it stays the same."""
    depth = np.clip(depth_mm, 0, radius_mm)
    half: Floats32 = np.sqrt(np.maximum(depth * (2 * radius_mm - depth), 0))
    return half


def _spin(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _point(place: Floats) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))
