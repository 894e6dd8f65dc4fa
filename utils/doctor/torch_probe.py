"""Write what torch finds as JSON to standard output. The doctor runs this in its own process: it may hang or crash."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def probe() -> dict[str, Any]:
    """Return plain values for the fields of `utils.doctor.gpu.Torch`."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import torch

            devices = [device(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    except Exception as error:  # a broken installation can raise anything
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "version": torch.__version__,
        "cuda_build": torch.version.cuda,
        "architectures": torch.cuda.get_arch_list() if devices else architectures(),
        "devices": devices,
        "threads": torch.get_num_threads(),
        "cuda_says": next((str(w.message) for w in caught if "CUDA" in str(w.message)), ""),
    }


def device(index: int) -> dict[str, Any]:
    """Return name, capability and memory (MiB) of a card."""
    import torch

    facts = torch.cuda.get_device_properties(index)
    return {
        "name": facts.name,
        "capability": [facts.major, facts.minor],
        "memory_mib": facts.total_memory / 2**20,
    }


def architectures() -> list[str]:
    """Return the wheel's architectures without a GPU; `get_arch_list` returns an empty list then."""
    import torch

    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)()
    return flags.split() if flags else []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe()) + "\n")
