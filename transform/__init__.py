"""Transforms by name, the pipeline that chains them, and the normalisation that follows on the device."""

from __future__ import annotations

from collections.abc import Callable

from transform import crop, geometry, intensity, ulnar_deviation
from transform.base import MaskFormat, Sources, Transform, for_masks, refuse_channels
from transform.composition.background import background
from transform.composition.copy_paste import copy_paste
from transform.normalise import Normalisation
from transform.photo import camera, colour, lighting
from transform.pipeline import Pipeline

__all__ = [
    "COMPOSITION",
    "GEOMETRY",
    "INTENSITY",
    "TRANSFORMS",
    "MaskFormat",
    "Normalisation",
    "Pipeline",
    "Sources",
    "Transform",
    "for_masks",
    "refuse_channels",
]

GEOMETRY: dict[str, Callable[..., Transform]] = {
    "resize": geometry.resize,
    "hflip": geometry.hflip,
    "vflip": geometry.vflip,
    "quarter_turns": geometry.quarter_turns,
    "rotate": geometry.rotate,
    "shift_scale": geometry.shift_scale,
    "affine": geometry.affine,
    "perspective": geometry.perspective,
    "elastic": geometry.elastic,
    "random_crop": geometry.random_crop,
    "foreground_crop": crop.foreground_crop,
    "ulnar_deviation": ulnar_deviation.ulnar_deviation,
}

INTENSITY: dict[str, Callable[..., Transform]] = {
    "clahe": intensity.clahe,
    "brightness_contrast": intensity.brightness_contrast,
    "gamma": intensity.gamma,
    "invert": intensity.invert,
    "noise": intensity.noise,
    "blur": intensity.blur,
    "coarse_dropout": intensity.coarse_dropout,
    "hue_saturation": colour.hue_saturation,
    "shadow": lighting.shadow,
    "glare": lighting.glare,
    "fog": lighting.fog,
    "motion_blur": camera.motion_blur,
    "jpeg": camera.jpeg,
}

COMPOSITION: dict[str, Callable[..., Transform]] = {
    "background": background,
    "copy_paste": copy_paste,
}

TRANSFORMS: dict[str, Callable[..., Transform]] = {**GEOMETRY, **INTENSITY, **COMPOSITION}
