"""A network in an ONNX file, run by ONNX Runtime: pixels → logits.

Shapes: C classes, h/w the network's input and output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

from runtime.model.metadata import Metadata, metadata_from
from utils.arrays import Floats32
from utils.errors import UserError
from utils.onnx_file import OnnxLayout, layout_of, with_output

FROM_CERTAINTY = 1e-7
"""The least distance of a probability from 0 and 1 if a file gives no logits; a logit of 16."""
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""The types of numbers that images may have, by their names in ONNX Runtime."""
CPU = "CPUExecutionProvider"
ERROR, FATAL = 3, 4
"""What ONNX Runtime writes to the console: errors and worse, or what ends the process."""
Providers: TypeAlias = Sequence[str | tuple[str, dict[str, Any]]]
"""What may compute a network by ONNX Runtime's names, with options or without, the first that can before the others."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file that was read, before it is prepared to run."""

    path: Path
    content: bytes
    layout: OnnxLayout

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()


def read_file(path: Path) -> OnnxFile:
    """Read an ONNX file. Raises `UserError` for one that cannot be read or is no ONNX file."""
    try:
        content = path.read_bytes()
        return OnnxFile(path, content, layout_of(content))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Name an ONNX file.") from error
    except ValueError as error:
        raise UserError(f"{path}: is no ONNX file, or a damaged one. Name a file of a whole network.") from error


class Network:
    """A network that is ready to run. Several threads may call it at the same time.

    `threads`: how many threads compute one image. `providers`: what may compute it.
    """

    def __init__(self, file: OnnxFile, threads: int, providers: Providers = (CPU,)) -> None:
        self.path, self._file = file.path, file
        self._session = _session(file, threads, providers)
        self._input = self._session.get_inputs()[0]
        # The logits were added as the last output; the probabilities, which are the first, are then not needed.
        self._output = self._session.get_outputs()[0 if file.layout.logits is None else -1].name

    @cached_property
    def metadata(self) -> Metadata | None:
        """What the file says of itself; None if others have written it. Raises `UserError` if that is damaged."""
        try:
            return metadata_from(self._session.get_modelmeta().custom_metadata_map)
        except ValueError as error:
            raise UserError(f"{self.path}: {error}. Export the network anew.") from error

    @property
    def batch(self) -> int | None:
        """How many images are computed at a time; None: any number."""
        size = self._input.shape[0]
        return size if isinstance(size, int) else None

    @property
    def parameters(self) -> int:
        """How many numbers the network has learned."""
        return self._file.layout.parameters

    @property
    def provider(self) -> str:
        """What computes the network, by ONNX Runtime's name."""
        return str(self._session.get_providers()[0])

    def check(self, channels: int, size_hw: tuple[int, int]) -> None:
        """Raise `UserError` if the network does not take images of so many channels and of this size."""
        shape, wanted = self._input.shape, (1, channels, *size_hw)
        if len(self._session.get_inputs()) != 1 or len(shape) != 4 or self._input.type not in DTYPES:
            raise UserError(f"{self.path}: does not take images alone, [N, C, H, W]. Name a network for segmentation.")
        fixed = [(have, want) for have, want in zip(shape, wanted, strict=True) if isinstance(have, int)]
        if any(have != want for have, want in fixed):
            takes = " x ".join(str(side) if isinstance(side, int) else "any" for side in shape)
            needs = " x ".join(map(str, wanted))
            raise UserError(
                f"{self.path}: takes images of {takes}, but would be given {needs} (N x C x H x W). Leave "
                "transform.size_px as the file has it."
            )

    def logits(self, image_CHW: Floats32, output: str, classes: int, *, frees: bool = False) -> Floats32:
        """Return the logits float32[C, h, w] of a normalised image float32[C, h, w]; see `logits_of_batch`."""
        return np.asarray(self.logits_of_batch(image_CHW[None], output, classes, frees=frees)[0])

    def logits_of_batch(self, images_NCHW: Floats32, output: str, classes: int, *, frees: bool = False) -> Floats32:
        """Return the logits float32[N, C, h, w] of normalised images float32[N, C, h, w].

        `output` is what the file's first output holds: logits, or a probability, of which the logits are computed if
        the file does not compute them. `frees`: whether the network's memory is freed afterwards, so that it is there
        for something else; the next images take longer. Raises `UserError` if the network gives something else.
        """
        values, images = self._run(images_NCHW, frees), len(images_NCHW)
        if values.ndim != 4 or values.shape[:2] != (images, classes):
            got, expected = list(values.shape), f"[{images}, {classes}, h, w]"
            raise UserError(f"{self.path}: gives {got}, expected {expected}. Export it anew.")
        logits = np.asarray(values, np.float32)
        if output == "probability" and self._file.layout.logits is None:
            likely = logits.clip(FROM_CERTAINTY, 1 - FROM_CERTAINTY)
            logits = np.log(likely) - np.log1p(-likely)
        if not np.isfinite(logits).all():
            raise UserError(f"{self.path}: gives values that are no numbers. Export it anew, in full precision.")
        return logits

    def _run(self, images_NCHW: Floats32, frees: bool) -> Any:
        options = onnxruntime.RunOptions()
        options.log_severity_level = FATAL
        if frees:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        given = {self._input.name: images_NCHW.astype(DTYPES[self._input.type], copy=False)}
        try:
            return self._session.run([self._output], given, options)[0]
        except Exception as error:  # the types of ONNX Runtime's errors have no common base
            reason = str(error).splitlines()[0][:300]
            raise UserError(f"{self.path}: ONNX Runtime cannot compute it ({reason}). Export it anew.") from error


def _session(file: OnnxFile, threads: int, providers: Providers) -> onnxruntime.InferenceSession:
    """Prepare a file to run. Raises `UserError` if ONNX Runtime cannot."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait for work would otherwise compute nothing, over and over, beside what reads and writes images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of all memory in advance takes 0.2 GB more with U-2-Net's small network, and no less time.
    options.enable_mem_pattern = False
    # Why a card cannot be used is logged; what is wrong with a file is our own sentence.
    options.log_severity_level = FATAL if tuple(providers) == (CPU,) else ERROR
    content = file.content if file.layout.logits is None else with_output(file.content, file.layout.logits)
    try:
        # Nothing else than what was asked for computes a network in silence.
        return onnxruntime.InferenceSession(content, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # as above
        reason = str(error).splitlines()[0][:300]
        raise UserError(f"{file.path}: ONNX Runtime cannot load it ({reason}). Name another file.") from error
