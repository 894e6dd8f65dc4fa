"""The kernels of a loss: their values, which cards they compile for, and that a run goes on without them."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from loss import LOSSES
from loss.fused import guard, passes
from loss.fused.guard import Guard
from loss.fused.passes import call_of, fused_sums
from loss.pixel_blocks import Block, Term, sums_in_blocks
from loss.pixel_sums import pixel_sums
from loss.pixel_terms import CrossEntropy, Focal, Overlap, Probability, Target
from tests.root import ROOT
from utils.bit_tensor import BitTensor

TERMS: tuple[Term, ...] = (Probability(), Target(), Overlap(), CrossEntropy())
ON_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def sample(device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Logits of two images and 11 classes, channels-last, and a target of bits."""
    logits = torch.randn(2, 11, 9, 13, device=device).contiguous(memory_format=torch.channels_last)
    return logits, BitTensor(torch.randint(0, 256, (2, 9, 13, 2), dtype=torch.uint8, device=device), 11)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Let tensors on the CPU take the kernels' way, which ends in an error there."""
    fresh = Guard()
    monkeypatch.setattr(passes, "GUARD", fresh)
    monkeypatch.setattr(passes, "DEVICES", {"cpu"})
    return fresh


def test_kernels_give_the_values_and_slopes_of_the_blocks() -> None:
    """In Triton's interpreter, which has to be chosen before Triton is imported."""
    pytest.importorskip("triton", reason="Triton comes with torch for CUDA")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/loss/interpreted_kernels.py"]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\.{20,} *\[100%\]$", done.stdout, re.MULTILINE), f"none may be skipped: {done.stdout}"


class Compiler:
    """Compiles a kernel for a card that need not be there, as its first call would, and calls nothing."""

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.compiled = kernel, 0

    def __getitem__(self, grid: tuple[int, int, int]) -> Any:
        def compile_only(*arguments: Any, **constants: Any) -> None:
            compiled = self.kernel.warmup(*arguments, grid=grid, **constants)
            assert compiled.asm["cubin"]
            self.compiled += 1

        return compile_only


class Card:
    """What Triton asks a driver about, to compile for a compute capability."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_device(self) -> int:
        return self.capability

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)


@pytest.mark.parametrize("capability", [70, 90], ids=["V100", "H100"])
def test_kernels_compile_for(capability: int, on_cpu: Guard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    triton = pytest.importorskip("triton", reason="Triton comes with torch for CUDA")
    from loss.fused import kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(triton.runtime.driver, "_active", Card(capability))
    compilers = [Compiler(kernel) for kernel in (kernels.sums_kernel, kernels.slope_kernel)]
    monkeypatch.setattr(kernels, "sums_kernel", compilers[0])
    monkeypatch.setattr(kernels, "slope_kernel", compilers[1])
    logits, target = sample()
    call = call_of(logits.half(), target, TERMS)
    assert call is not None
    call.sums()
    call.slope(torch.zeros(4, 2, 11))
    assert [compiler.compiled for compiler in compilers] == [1, 1]


def test_without_triton_the_blocks_compute_and_one_warning_says_so(
    on_cpu: Guard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "loss.fused.kernels", None)
    logits, target = sample()
    with caplog.at_level(logging.WARNING, guard.__name__):
        found = pixel_sums(logits.requires_grad_(), target, TERMS)
        found[TERMS[0]].sum().backward()
    (record,) = caplog.records
    assert record.getMessage() == (
        "The loss is not computed by one kernel on cpu: Triton is not installed. Separate operations compute it "
        "instead: the results are the same, a step takes up to a tenth longer."
    )
    assert torch.equal(torch.stack(list(found.values.values())), sums_in_blocks(logits, target, TERMS))


def test_what_does_not_compile_costs_one_warning(
    on_cpu: Guard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> Tensor:
        raise RuntimeError("PTXAS error: sm_60 is no target\nand much more")

    monkeypatch.setattr(passes.Call, "sums", fail)
    logits, target = sample()
    with caplog.at_level(logging.WARNING, guard.__name__):
        assert fused_sums(logits, target, TERMS) is None
        assert fused_sums(logits[:1], target[:1], TERMS[:1]) is None
    (record,) = caplog.records
    assert "Triton cannot compile it: RuntimeError: PTXAS error: sm_60 is no target. Sep" in record.getMessage()


def test_memory_that_runs_out_is_no_fault_of_the_kernel(on_cpu: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(passes.Call, "sums", fail)
    with pytest.raises(torch.OutOfMemoryError):
        fused_sums(*sample(), TERMS)
    assert not on_cpu.refused


@pytest.mark.parametrize("ndim", [3, 4], ids=["sums", "slopes"])
def test_results_are_compared_in_each_class(ndim: int) -> None:
    right = torch.rand(2, 3, 5, 4)[..., 0] if ndim == 3 else torch.rand(2, 3, 5, 4)
    assert guard.alike(right * 1.001, right)
    wrong = right.clone()
    wrong[1, 2] *= 1.1
    assert not guard.alike(wrong, right)
    for value in (torch.nan, torch.inf):
        wrong = right.clone()
        wrong[0, 0, 0] = value
        assert not guard.alike(wrong, right)
        assert guard.alike(wrong, wrong)


class OfYourOwn:
    """A term that no kernel knows."""

    def value(self, block: Block) -> Tensor:
        return block.probability**2

    def slope(self, block: Block) -> Tensor:
        return 2 * block.probability * block.probability_slope


def test_what_the_kernels_do_not_know_is_left_to_the_blocks(on_cpu: Guard) -> None:
    logits, target = sample()
    assert call_of(logits, target, TERMS) is not None
    assert call_of(logits, target, (*TERMS, OfYourOwn())) is None
    assert call_of(logits, target, (Focal(1.0, None), Focal(2.0, None))) is None
    assert call_of(logits.double(), target, TERMS) is None
    assert call_of(logits, target.double(), TERMS) is None
    assert call_of(logits[:0], target[:0], TERMS) is None
    too_large = torch.empty(1, 1, 1, 1).expand(1, 2**10, 2**11, 2**10)
    assert call_of(too_large, too_large, TERMS) is None


def test_tensors_on_the_cpu_take_the_blocks() -> None:
    assert call_of(*sample(), TERMS) is None


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("mix", "deep_supervision")])
def test_a_target_of_bits_gives_the_bits_of_one_of_numbers(name: str) -> None:
    logits, bits = sample()
    numbers = bits.clone().contiguous()
    found = []
    for target in (bits, numbers):
        leaf = logits.clone().requires_grad_()
        loss = LOSSES[name]()(leaf, target)
        loss.backward()
        assert leaf.grad is not None
        found.append((loss.detach(), leaf.grad))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@ON_CUDA
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_kernels_on_a_card(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Guard()
    monkeypatch.setattr(passes, "GUARD", fresh)
    logits, target = sample("cuda")
    leaf = logits.to(dtype).requires_grad_()
    loss = LOSSES["dice_bce"]()(leaf, target)
    loss.backward()
    exact_leaf = leaf.detach().double().requires_grad_()
    exact = LOSSES["dice_bce"]()(exact_leaf, target)
    exact.backward()
    assert len(fresh.checked_kinds) == 2
    torch.testing.assert_close(loss.double(), exact, rtol=1e-5, atol=0)
    assert leaf.grad is not None
    assert exact_leaf.grad is not None
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(
        leaf.grad.double(), exact_leaf.grad, rtol=eps, atol=6e-8 if dtype == torch.half else 1e-9
    )
