from __future__ import annotations

import pytest

from utils.doctor.software import look_at_software
from utils.doctor.wheels import PINNED, is_carried, wheel_for


def test_the_pinned_wheel_is_the_one_that_requirements_txt_pins() -> None:
    pinned = look_at_software().pinned
    assert (pinned["torch"], pinned["torchvision"]) == (PINNED.torch, PINNED.torchvision)


def test_the_installed_torch_carries_what_is_said_of_the_pinned_wheel() -> None:
    import torch

    if torch.__version__ != f"{PINNED.torch}+cu{PINNED.cuda.replace('.', '')}":
        pytest.skip(f"torch {torch.__version__} is another wheel")
    assert tuple(str(torch._C._cuda_getArchFlags()).split()) == PINNED.architectures


@pytest.mark.parametrize(
    ("card", "capability", "remedy"),
    [
        ("Tesla K80", (3, 7), "too old for any torch"),
        ("GTX 980", (5, 2), "torch==2.7.1"),
        ("P100", (6, 0), "torch==2.7.1"),
        ("V100", (7, 0), "torch==2.10.0"),
        ("T4", (7, 5), "torch==2.10.0"),
        ("A100", (8, 0), "torch==2.10.0"),
        ("RTX 4090", (8, 9), "torch==2.10.0"),
        ("H100", (9, 0), "torch==2.10.0"),
        ("B300", (10, 3), "torch==2.10.0"),
        ("Thor", (11, 0), "--upgrade torch"),
        ("RTX 5090", (12, 0), "torch==2.10.0"),
    ],
)
def test_each_card_gets_a_torch_with_code_for_it(card: str, capability: tuple[int, int], remedy: str) -> None:
    assert remedy in wheel_for(capability), card


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
