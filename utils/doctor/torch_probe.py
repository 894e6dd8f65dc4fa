"""What torch sees, as JSON on standard output: run by the doctor in a process of its own, for it may hang or crash."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def probe() -> dict[str, Any]:
    """Plain values for `utils.doctor.gpu.Torch`."""
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
    import torch

    facts = torch.cuda.get_device_properties(index)
    return {
        "name": facts.name,
        "capability": [facts.major, facts.minor],
        "memory_mib": facts.total_memory / 2**20,
    }


def architectures() -> list[str]:
    """The wheel's list without a GPU, where `get_arch_list` answers with nothing."""
    import torch

    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)()
    return flags.split() if flags else []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe()) + "\n")
