"""Random variation from hand to hand and from image to image, drawn from a seeded generator.

`Body` is shared by both hands of a patient; `HandVariation` describes one hand and its pose, `ImageVariation` how its
radiograph was taken. Angles are radians unless a name says degrees; lengths are millimetres in the hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from data.hand_bone.classes import BONES
from utils.arrays import Floats

TIPS = ("finger-1", "finger-4", "finger-8", "finger-12", "finger-16")
BONE_SCALE_SD = np.array([0.045 if bone in (*TIPS, *BONES[19:]) else 0.025 for bone in BONES])
"""Standard deviation of each bone's size in addition to the hand's; together they give about the contest's spread of
areas."""


@dataclass(frozen=True)
class Sesamoid:
    """A small unlabelled bone beside a metacarpal's head; `across_mm` from its axis, positive to the thumb's side."""

    metacarpal: str
    across_mm: float
    radius_mm: float


@dataclass(frozen=True)
class FingerRing:
    """A band of metal around a proximal phalanx."""

    phalanx: str
    width_mm: float
    thickness_mm: float


@dataclass(frozen=True)
class Body:
    """The values that both hands of a patient share. All are factors with mean 1."""

    scale: float  # size of the hand
    bone_scales: Floats  # [29] size of each bone
    cortex: float  # thickness of the cortical rim; low in osteoporosis
    spongy: float  # density of spongy bone
    tissue: float  # thickness of soft tissue
    density: float = 1.0  # attenuation of bone


@dataclass(frozen=True)
class HandVariation:
    """One hand's shape and pose."""

    body: Body
    left: bool
    wrist_deg: float  # how far the line from lunate to middle metacarpal leans to the ulnar side
    angles: dict[str, float]  # by hinge
    tilt_rad: tuple[float, float]  # about the image's x and y: a palm that does not lie flat
    roll_deg: float  # the whole hand in the plane of the image
    shift: tuple[float, float]  # in the plane of the image, mm
    texture_seed: int  # of trabeculae and muscles
    sesamoids: tuple[Sesamoid, ...]
    rings: tuple[FingerRing, ...]


@dataclass(frozen=True)
class OtherHand:
    """The edge of the patient's other hand on the same image."""

    from_right: bool
    reach_mm: float  # into the image
    shift_mm: float  # down the image
    density: float  # of its tissue against this hand's


@dataclass(frozen=True)
class Collimation:
    """A rectangular opening of lead in the beam; outside it the image is black."""

    gaps_mm: tuple[float, float, float]  # from the outermost bones at the left, right and top to the lead
    turn_deg: float
    edge_mm: float  # penumbra


@dataclass(frozen=True)
class Marker:
    """Letters of lead beside the hand."""

    text: str
    at_right: bool
    place: tuple[float, float]  # from the image's upper corner on that side, parts of the image's side
    height_mm: float
    turn_deg: float
    grey: float


@dataclass(frozen=True)
class ImageVariation:
    """How a radiograph was taken and processed."""

    gain: float  # brightness, 1 = mean
    contrast: float  # exponent of the characteristic curve, 1 = mean
    levelling: float  # how much of the large-scale thickness processing removes, 0..1
    sharpening: float  # strength of the edge enhancement
    blur_mm: float  # point spread
    photons: float  # quanta in a mm² of unattenuated beam
    fog: float  # grey of air inside the collimation, 0..1
    heel: tuple[float, float]  # unevenness of the beam across and down the image, in attenuation
    vignetting: float  # loss of brightness in the corners, 0..1
    collimation: Collimation | None
    marker: Marker | None
    other_hand: OtherHand | None
    seed: int  # of the noise


def draw_body(rng: Generator) -> Body:
    """Draw what both hands of a patient share."""
    return Body(
        scale=_normal(rng, 1.0, 0.058),
        bone_scales=1 + BONE_SCALE_SD * np.clip(rng.standard_normal(len(BONES)), -2.2, 2.2),
        cortex=_normal(rng, 1.0, 0.15),
        spongy=_normal(rng, 1.0, 0.2),
        tissue=_normal(rng, 1.0, 0.06),
    )


def draw_hand(rng: Generator, body: Body, *, left: bool, bent: bool) -> HandVariation:
    """Draw one hand; `bent` bends its wrist to the ulnar side."""
    return HandVariation(
        body=body,
        left=left,
        wrist_deg=float(rng.uniform(26, 36)) if bent else _normal(rng, 0.0, 3.0),
        angles=draw_angles(rng),
        tilt_rad=(_normal(rng, 0.0, 0.05), _normal(rng, 0.0, 0.05)),
        roll_deg=_normal(rng, 0.0, 1.2),
        shift=(_normal(rng, 0.0, 5.0), _normal(rng, 0.0, 5.0)),
        texture_seed=int(rng.integers(2**32)),
        sesamoids=draw_sesamoids(rng),
        rings=draw_rings(rng),
    )


def draw_image(rng: Generator, *, left: bool) -> ImageVariation:
    """Draw how one radiograph was taken; a marker names the side."""
    return ImageVariation(
        gain=float(np.exp(_normal(rng, 0.0, 0.15))),
        contrast=_normal(rng, 1.0, 0.12),
        levelling=float(rng.uniform(0.0, 0.5)),
        sharpening=float(rng.uniform(0.1, 0.8)),
        blur_mm=float(rng.uniform(0.08, 0.25)),
        photons=_log_uniform(rng, 2.5e4, 2.5e5),
        fog=float(rng.uniform(0.0, 0.07)),
        heel=(_normal(rng, 0.0, 0.02), _normal(rng, 0.0, 0.02)),
        vignetting=float(rng.uniform(0.0, 0.2)),
        collimation=_draw_collimation(rng) if rng.random() < 0.35 else None,
        marker=_draw_marker(rng, left) if rng.random() < 0.5 else None,
        other_hand=_draw_other_hand(rng) if rng.random() < 0.12 else None,
        seed=int(rng.integers(2**32)),
    )


def draw_angles(rng: Generator) -> dict[str, float]:
    """Draw natural angles of all hinges except the wrist's deviation, within the model's ranges; tried by eye."""
    angles = {
        "flexion": _normal(rng, 0.0, 0.05),
        "pro_sup": _normal(rng, 0.0, 0.05),
        "cmc_flexion": float(rng.uniform(0.15, 0.52)),
        "cmc_abduction": float(rng.uniform(-0.6, -0.15)),
        "cmc_rotation": _normal(rng, 0.6, 0.15),
        "mp_flexion": _normal(rng, 0.0, 0.1),
        "ip_flexion": _normal(rng, 0.0, 0.1),
    }
    spread = float(rng.uniform(-0.02, 0.2))
    for finger, side in ((2, 0.6), (3, 0.1), (4, -0.4), (5, -1.0)):
        angles[f"mcp{finger}_abduction"] = float(np.clip(side * spread + rng.normal(0, 0.025), -0.26, 0.26))
        for joint in ("mcp", "pm", "md"):
            angles[f"{joint}{finger}_flexion"] = float(rng.uniform(0, 0.15))
    return angles


def draw_sesamoids(rng: Generator) -> tuple[Sesamoid, ...]:
    """Draw sesamoids: two at the thumb of nearly everyone, one at index or little finger in about half of all hands.

    Source: Hallinan et al. 1980s.
    """
    found = [
        Sesamoid(metacarpal, side * float(rng.uniform(3.0, 4.5)), float(rng.uniform(1.6, 2.5)))
        for metacarpal, side, share in (
            ("finger-3", 1, 0.95),
            ("finger-3", -1, 0.95),
            ("finger-7", 1, 0.4),
            ("finger-19", -1, 0.5),
        )
        if rng.random() < share
    ]
    return tuple(found)


def draw_rings(rng: Generator) -> tuple[FingerRing, ...]:
    if rng.random() > 0.06:
        return ()
    phalanx = ("finger-6", "finger-10", "finger-14", "finger-14")[int(rng.integers(4))]
    return (FingerRing(phalanx, width_mm=float(rng.uniform(1.5, 4.0)), thickness_mm=float(rng.uniform(1.2, 2.0))),)


def _draw_collimation(rng: Generator) -> Collimation:
    left, right, top = rng.uniform(10, 35, 3).tolist()
    return Collimation((left, right, top), turn_deg=_normal(rng, 0, 1.0), edge_mm=float(rng.uniform(0.3, 1.2)))


def _draw_marker(rng: Generator, left: bool) -> Marker:
    names = ("L", "LT", "L", "LEFT") if left else ("R", "RT", "R", "RIGHT")
    return Marker(
        text=names[int(rng.integers(4))],
        at_right=bool(rng.random() < 0.5),
        place=(float(rng.uniform(0.04, 0.14)), float(rng.uniform(0.06, 0.6))),
        height_mm=float(rng.uniform(4, 8)),
        turn_deg=_normal(rng, 0, 6.0),
        grey=float(rng.uniform(0.6, 1.0)),
    )


def _draw_other_hand(rng: Generator) -> OtherHand:
    return OtherHand(
        from_right=bool(rng.random() < 0.5),
        reach_mm=float(rng.uniform(3, 14)),
        shift_mm=_normal(rng, 0, 10.0),
        density=float(rng.uniform(0.2, 0.8)),
    )


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _normal(rng: Generator, mean: float, sd: float) -> float:
    """Draw from a normal distribution, cut at 2.2 standard deviations so that no hand leaves the image."""
    return mean + sd * float(np.clip(rng.normal(), -2.2, 2.2))
