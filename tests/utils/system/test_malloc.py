from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS_OF_A_SECOND_USE = """
import sys, resource
import numpy as np
from utils.system.malloc import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
def use():
    for _ in range(3):
        np.ones(40_000_000, np.uint8)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS_OF_A_SECOND_USE, how]
    environment = {"PYTHONPATH": ".", "NUMPY_MADVISE_HUGEPAGE": "0"}
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Only glibc can be asked to keep freed memory.")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    assert faults("keep") < 100
    assert faults("leave") > 3 * 40_000_000 / 65536  # the largest pages that kernels map one by one
