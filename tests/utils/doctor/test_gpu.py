from __future__ import annotations

import json

import pytest

from utils.doctor.gpu import Device, Torch, is_carried, judge_devices, judge_torch, read_torch
from utils.doctor.nvidia import Card, Driver

V100 = Device("Tesla V100-SXM2-32GB", (7, 0), 32510)
A100 = Device("NVIDIA A100-SXM4-40GB", (8, 0), 40326)
PINNED = Torch("2.7.1+cu126", "12.6", ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"))
LATER = Torch("2.13.0+cu130", "13.0", ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"))
NO_CARD, ONE_CARD = Driver(), Driver("answers", "535.104.05", (Card(0, V100.name, 32768, 0),), devices=True)


def with_devices(torch: Torch, *devices: Device) -> Torch:
    return Torch(torch.version, torch.cuda_build, torch.architectures, devices)


def test_a_v100_under_a_wheel_that_starts_at_sm_75_is_a_problem_with_the_last_torch_for_it() -> None:
    (found,) = judge_devices(with_devices(LATER, V100), ONE_CARD, None)
    assert found.level == "problem"
    assert "capability 7.0: torch's wheel has no code for it" in found.text
    assert "torch==2.7.1" in found.remedy


def test_a_v100_under_the_pinned_wheel_is_ok_and_takes_fp16() -> None:
    (found,) = judge_devices(with_devices(PINNED, V100), ONE_CARD, None)
    assert found.level == "ok"
    assert "takes fp16" in found.text


def test_each_card_has_its_line_and_later_ones_take_bf16() -> None:
    first, second = judge_devices(with_devices(PINNED, V100, A100), ONE_CARD, None)
    assert (first.topic, second.topic) == ("GPU 0", "GPU 1")
    assert "takes bf16" in second.text


def test_a_card_newer_than_the_wheel_gets_the_build_for_a_newer_cuda() -> None:
    (found,) = judge_devices(with_devices(PINNED, Device("RTX 5090", (12, 0), 32000)), ONE_CARD, None)
    assert found.level == "problem"
    assert "cu128" in found.remedy


@pytest.mark.parametrize(
    ("capability", "architectures", "carried"),
    [
        ((7, 0), ("sm_70",), True),
        ((7, 5), ("sm_70",), True),
        ((7, 0), ("sm_75",), False),
        ((8, 9), ("sm_80", "sm_86"), True),
        ((9, 0), ("sm_86",), False),
        ((9, 0), ("sm_86", "compute_86"), True),
        ((7, 0), ("compute_75",), False),
        ((9, 0), ("sm_90a",), True),
        ((10, 3), ("sm_100",), True),
        ((10, 3), ("sm_100a",), False),
        ((12, 0), ("sm_100", "compute_120"), True),
        ((7, 0), ("gfx90a",), False),
        ((7, 0), (), True),
    ],
)
def test_code_runs_within_a_major_version_and_intermediate_code_on_all_later_cards(
    capability: tuple[int, int], architectures: tuple[str, ...], carried: bool
) -> None:
    assert is_carried(capability, architectures) is carried


def test_no_card_is_a_warning() -> None:
    (found,) = judge_devices(PINNED, NO_CARD, None)
    assert found.level == "warning"
    assert "CPU" in found.text


@pytest.mark.parametrize(
    ("torch", "visible", "why"),
    [
        (PINNED, "", "CUDA_VISIBLE_DEVICES='' hides every card"),
        (PINNED, "-1", "hides every card"),
        (PINNED, "7", "CUDA_VISIBLE_DEVICES=7 names none of the 1 cards"),
        (Torch("2.7.1+cpu", None), None, "build for CPUs"),
        (Torch("2.7.1", "12.6", cuda_says="CUDA initialization: driver too old\nmore"), None, "initialization: driver"),
    ],
)
def test_a_card_that_torch_cannot_use_is_a_problem_that_says_why(torch: Torch, visible: str | None, why: str) -> None:
    (found,) = judge_devices(torch, ONE_CARD, visible)
    assert found.level == "problem"
    assert why in found.text
    assert found.remedy


def test_a_card_seen_by_the_kernel_alone_counts_too() -> None:
    (found,) = judge_devices(PINNED, Driver("absent", devices=True), None)
    assert "docker run --gpus all" in found.remedy


def test_a_broken_torch_is_told_in_one_line() -> None:
    died = read_torch(-11, "", "Fatal Python error: Segmentation fault\n")
    assert died.error == "importing it ends the interpreter (Fatal Python error: Segmentation fault)"
    missing = read_torch(0, json.dumps({"error": "ModuleNotFoundError: No module named 'torch'"}), "")
    (found,) = judge_torch(missing)
    assert (found.level, "No module named 'torch'" in found.text) == ("problem", True)
