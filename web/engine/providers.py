"""Choose what computes networks, openly: what is asked for and not there is said, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnxruntime

from runtime.model.network import CPU, Providers
from utils.errors import UserError

Wanted = Literal["auto", "cpu", "cuda", "tensorrt"]
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
CHAINS: dict[str, Providers] = {
    "cpu": (CPU,),
    # Without the second option the memory that is kept grows by powers of two.
    "cuda": ((CUDA, {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}), CPU),
    # Engines are built at each start, for a folder that others can write to is no place to load them from.
    "tensorrt": (TENSORRT, CUDA, CPU),
}
"""The providers of ONNX Runtime for each choice: what the first cannot compute, the next does."""
NAMES = {CPU: "cpu", CUDA: "cuda", TENSORRT: "tensorrt"}


@dataclass(frozen=True)
class Choice:
    """What computes networks. `warning`: one sentence if it is not what was asked for."""

    providers: Providers
    warning: str | None = None

    @property
    def on_gpu(self) -> bool:
        return self.providers != CHAINS["cpu"]


def choose(wanted: Wanted, *, strict: bool, available: Sequence[str] | None = None) -> Choice:
    """Choose providers among those that are `available` (None: as ONNX Runtime says).

    Raises `UserError` if what is wanted is not there, and that is to be `strict`.
    """
    there = onnxruntime.get_available_providers() if available is None else available
    if wanted == "auto":
        return Choice(CHAINS["cuda" if CUDA in there else "cpu"])
    first = CHAINS[wanted][0]
    name = first if isinstance(first, str) else first[0]
    if name in there:
        return Choice(CHAINS[wanted])
    return Choice(CHAINS["cpu"], _refused_or_warned(wanted, strict, "is not in this ONNX Runtime"))


def check_used(choice: Choice, wanted: Wanted, used: str, *, strict: bool) -> str | None:
    """Return a warning if a loaded network is computed by another provider than chosen, such as without a driver.

    Raises `UserError` if that is to be `strict`.
    """
    first = choice.providers[0]
    name = first if isinstance(first, str) else first[0]
    if used == name:
        return choice.warning
    return _refused_or_warned(wanted, strict, f"did not start, {used} computes in its place")


def _refused_or_warned(wanted: Wanted, strict: bool, reason: str) -> str:
    remedy = "Install onnxruntime-gpu with its driver and libraries, or set provider=cpu."
    if strict:
        raise UserError(f"provider: '{wanted}' {reason}, and strict_provider is set. {remedy}")
    return f"provider '{wanted}' {reason}: networks are computed by the processor. {remedy}"
