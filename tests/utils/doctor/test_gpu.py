from __future__ import annotations

import json

import pytest

from utils.doctor import wheels
from utils.doctor.gpu import Device, Torch, check_devices, check_torch, read_torch
from utils.doctor.nvidia import Card, Driver

V100 = Device("Tesla V100-SXM2-32GB", (7, 0), 32510)
A100 = Device("NVIDIA A100-SXM4-40GB", (8, 0), 40326)
RTX_5090 = Device("NVIDIA GeForce RTX 5090", (12, 0), 32607)
P100 = Device("Tesla P100-PCIE-16GB", (6, 0), 16276)
PINNED = Torch("2.10.0+cu128", "12.8", wheels.PINNED.architectures)
OLDER = Torch("2.7.1+cu126", "12.6", wheels.OLDER.architectures)
LATER = Torch("2.13.0+cu130", "13.0", ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"))
NO_CARD, ONE_CARD = Driver(), Driver("answers", "535.104.05", (Card(0, V100.name, 32768, 0),), devices=True)


def with_devices(torch: Torch, *devices: Device) -> Torch:
    return Torch(torch.version, torch.cuda_build, torch.architectures, devices)


def test_a_v100_under_a_wheel_that_starts_at_sm_75_is_a_problem_with_the_last_torch_for_it() -> None:
    (found,) = check_devices(with_devices(LATER, V100), ONE_CARD, None)
    assert found.level == "problem"
    assert "capability 7.0: torch's wheel has no code for it" in found.text
    assert "torch==2.10.0" in found.remedy


@pytest.mark.parametrize("torch", [PINNED, OLDER])
def test_a_v100_under_the_pinned_wheel_or_an_older_one_is_ok_and_takes_fp16(torch: Torch) -> None:
    (found,) = check_devices(with_devices(torch, V100), ONE_CARD, None)
    assert found.level == "ok"
    assert "takes fp16" in found.text


def test_each_card_has_its_line_and_later_ones_take_bf16() -> None:
    first, second = check_devices(with_devices(PINNED, V100, A100), ONE_CARD, None)
    assert (first.topic, second.topic) == ("GPU 0", "GPU 1")
    assert "takes bf16" in second.text


def test_an_rtx_5090_runs_on_the_pinned_wheel_and_is_led_to_it_from_an_older_one() -> None:
    (runs,) = check_devices(with_devices(PINNED, RTX_5090), ONE_CARD, None)
    assert (runs.level, "takes bf16" in runs.text) == ("ok", True)
    (found,) = check_devices(with_devices(OLDER, RTX_5090), ONE_CARD, None)
    assert (found.level, "torch==2.10.0 torchvision==0.25.0" in found.remedy) == ("problem", True)


def test_a_p100_under_the_pinned_wheel_gets_the_older_one() -> None:
    (found,) = check_devices(with_devices(PINNED, P100), ONE_CARD, None)
    assert (found.level, "torch==2.7.1 torchvision==0.22.1" in found.remedy) == ("problem", True)


def test_no_card_is_a_warning() -> None:
    (found,) = check_devices(PINNED, NO_CARD, None)
    assert found.level == "warning"
    assert "CPU" in found.text


@pytest.mark.parametrize(
    ("torch", "visible", "why"),
    [
        (PINNED, "", "CUDA_VISIBLE_DEVICES='' hides every card"),
        (PINNED, "-1", "hides every card"),
        (PINNED, "7", "CUDA_VISIBLE_DEVICES=7 names none of the 1 cards"),
        (Torch("2.10.0+cpu", None), None, "build for CPUs"),
        (
            Torch("2.10.0", "12.8", cuda_says="CUDA initialization: driver too old\nmore"),
            None,
            "initialization: driver",
        ),
    ],
)
def test_a_card_that_torch_cannot_use_is_a_problem_that_says_why(torch: Torch, visible: str | None, why: str) -> None:
    (found,) = check_devices(torch, ONE_CARD, visible)
    assert found.level == "problem"
    assert why in found.text
    assert found.remedy


def test_a_build_for_cpus_beside_a_card_is_replaced_by_the_pinned_one() -> None:
    (found,) = check_devices(Torch("2.10.0+cpu", None), ONE_CARD, None)
    assert found.remedy == "pip install --force-reinstall torch==2.10.0 torchvision==0.25.0"


def test_a_card_seen_by_the_kernel_alone_counts_too() -> None:
    (found,) = check_devices(PINNED, Driver("absent", devices=True), None)
    assert "docker run --gpus all" in found.remedy


def test_a_broken_torch_is_reported_in_one_line() -> None:
    died = read_torch(-11, "", "Fatal Python error: Segmentation fault\n")
    assert died.error == "importing it ends the interpreter (Fatal Python error: Segmentation fault)"
    missing = read_torch(0, json.dumps({"error": "ModuleNotFoundError: No module named 'torch'"}), "")
    (found,) = check_torch(missing)
    assert (found.level, "No module named 'torch'" in found.text) == ("problem", True)
