"""How torch uses a GPU: its memory, and which of several kernels computes an operation."""

from __future__ import annotations

import os

ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""Of torch, by its new and its old name; every version reads the old one."""


def let_segments_grow() -> None:
    """Let torch's segments of a GPU's memory grow, unless the user has configured them.

    Call it before torch is imported. Training and scoring take tensors of other sizes in turn. In segments of fixed
    sizes they leave gaps, which together may hold gigabytes.
    """
    if not any(name in os.environ for name in ALLOCATOR_VARIABLES):
        os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"


def choose_kernels(device_type: str, *, deterministic: bool, search: bool = False) -> None:
    """Let torch compute on a GPU with kernels that give the same bits each time, or with any; CPUs are left alone.

    `search`: cuDNN tries its kernels for each new size of tensors and takes the fastest. On an H100 the search took
    about 25 s for a U-Net++ with HRNet-W48 at 1536 px, and longer than the ten seconds of a short training.
    Deterministic kernels do not exist for every operation; of one without, torch then raises a `RuntimeError`.
    """
    if device_type != "cuda":
        return
    import torch

    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with a fixed workspace
    torch.backends.cudnn.benchmark = search and not deterministic
    torch.use_deterministic_algorithms(deterministic)
