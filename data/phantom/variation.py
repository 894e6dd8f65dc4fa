"""What varies from hand to hand and from film to film: ranges and units, drawn from a seeded generator.

`HandVariation` says how the hand is built and held, `FilmVariation` how it was taken. Angles are radians unless a name
says degrees; lengths are millimetres in the hand unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from data.classes import BONES


@dataclass(frozen=True)
class Body:
    """What both hands of a patient share."""

    scale: float  # size of the hand, 1 = mean
    bone_scales: NDArray[np.float64]  # [29] size of each bone, 1 = mean
    cortex: float  # thickness of the cortical rim, 1 = mean; low in osteoporosis
    spongy: float  # density of spongy bone, 1 = mean
    tissue: float  # thickness of soft tissue, 1 = mean


@dataclass(frozen=True)
class HandVariation:
    """How one hand is built and held. `wrist_deg` is the angle that the wrist is bent to the ulnar side."""

    body: Body
    left: bool
    wrist_deg: float
    angles: dict[str, float] = field(hash=False)  # by hinge, radians
    tilt_rad: tuple[float, float]  # about the film's x and y: a palm that does not lie flat
    roll_deg: float  # the whole forearm in the plane of the film
    shift: tuple[float, float]  # in the plane of the film, mm


@dataclass(frozen=True)
class FilmVariation:
    """How the film was taken and developed."""

    gain: float  # brightness of the developed film
    contrast: float  # exponent of the developing curve
    levelling: float  # how much of the large-scale thickness the developing removes, 0..1
    sharpening: float  # strength of the edge enhancement
    blur_mm: float  # point spread
    photons: float  # quanta in a millimetre² of unattenuated beam
    veil: float  # scattered light added everywhere, as a part of the tissue's brightness
    vignetting: float  # loss of brightness in the corners, 0..1
    seed: int  # of noise, texture, markers


def draw_body(rng: Generator) -> Body:
    return Body(
        scale=_normal(rng, 1.0, 0.058),
        bone_scales=np.clip(rng.normal(1.0, 0.025, len(BONES)), 0.94, 1.06),
        cortex=_normal(rng, 1.0, 0.15),
        spongy=_normal(rng, 1.0, 0.2),
        tissue=_normal(rng, 1.0, 0.06),
    )


def draw_hand(rng: Generator, body: Body, *, left: bool, bent: bool) -> HandVariation:
    return HandVariation(
        body=body,
        left=left,
        wrist_deg=float(rng.uniform(24, 37)) if bent else _normal(rng, 0.0, 3.5),
        angles=_draw_angles(rng),
        tilt_rad=(_normal(rng, 0.0, 0.05), _normal(rng, 0.0, 0.05)),
        roll_deg=_normal(rng, 0.0, 2.0),
        shift=(_normal(rng, 0.0, 4.0), _normal(rng, 0.0, 2.0)),
    )


def draw_film(rng: Generator) -> FilmVariation:
    return FilmVariation(
        gain=float(np.exp(_normal(rng, 0.0, 0.12))),
        contrast=_normal(rng, 1.0, 0.1),
        levelling=float(rng.uniform(0.0, 0.5)),
        sharpening=float(rng.uniform(0.1, 0.7)),
        blur_mm=float(rng.uniform(0.08, 0.25)),
        photons=float(np.exp(rng.uniform(np.log(400), np.log(6000)))),
        veil=float(rng.uniform(0.0, 0.05)),
        vignetting=float(rng.uniform(0.0, 0.25)),
        seed=int(rng.integers(2**32)),
    )


def _draw_angles(rng: Generator) -> dict[str, float]:
    """Natural angles of all hinges but the wrist's deviation. Sources: the model's ranges, tried by eye."""
    angles = {
        "flexion": _normal(rng, 0.0, 0.05),
        "pro_sup": _normal(rng, 0.0, 0.05),
        "cmc_flexion": float(rng.uniform(0.05, 0.5)),
        "cmc_abduction": float(rng.uniform(-0.6, -0.15)),
        "mp_flexion": _normal(rng, 0.0, 0.1),
        "ip_flexion": _normal(rng, 0.0, 0.1),
    }
    spread = float(rng.uniform(-0.5, 1.0))
    for finger, side in ((2, -1.0), (3, -0.2), (4, 0.4), (5, 1.0)):
        angles[f"mcp{finger}_abduction"] = float(np.clip(0.1 * side * spread + rng.normal(0, 0.03), -0.26, 0.26))
        for joint in ("mcp", "pm", "md"):
            angles[f"{joint}{finger}_flexion"] = float(rng.uniform(0, 0.15))
    return angles


def _normal(rng: Generator, mean: float, sd: float) -> float:
    """A normal draw cut at 2.2 standard deviations, so that no hand leaves the film."""
    return mean + sd * float(np.clip(rng.normal(), -2.2, 2.2))
