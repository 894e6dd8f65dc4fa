from __future__ import annotations

import os
from pathlib import Path

import pytest

from utils.doctor import nvidia
from utils.doctor.nvidia import Card, Driver, check_cards, check_driver, look_at_driver, read_driver

TABLE = """0, Tesla V100-SXM2-32GB, 535.104.05, 32768, 30211, 98
1, Tesla V100-SXM2-32GB, 535.104.05, 32768, 3, 0
"""


def test_the_cards_are_read_from_nvidia_smi() -> None:
    driver = read_driver(TABLE, devices=True)
    assert (driver.state, driver.version) == ("answers", "535.104.05")
    assert driver.cards[0] == Card(0, "Tesla V100-SXM2-32GB", 32768, 30211, 98)


def test_missing_numbers_are_none() -> None:
    (card,) = read_driver("0, NVIDIA A100 MIG, 550.1, 40960, [N/A], [N/A]\n", devices=True).cards
    assert (card.used_mib, card.busy_percent) == (0, None)


def test_a_card_that_others_use_is_a_warning_that_names_the_free_one() -> None:
    busy, idle = check_cards(read_driver(TABLE, devices=True).cards)
    assert (busy.level, idle.level) == ("warning", "ok")
    assert "2.5 GiB of 32.0 GiB free, 98 % busy" in busy.text
    assert "CUDA_VISIBLE_DEVICES=1" in busy.remedy


def test_where_every_card_is_taken_the_emptiest_is_not_sent_to_itself() -> None:
    (found,) = check_cards([Card(0, "V100", 32768, 20000, 50)])
    assert "CUDA_VISIBLE_DEVICES" not in found.remedy


@pytest.mark.parametrize(
    ("version", "cuda", "level"),
    [
        ("535.104.05", "12.6", "ok"),
        ("525.60.13", "12.6", "ok"),
        ("470.82.01", "12.6", "problem"),
        ("470.82.01", "11.8", "ok"),
        ("570.10", "13.0", "problem"),
        ("535.104.05", None, "ok"),
        ("535.104.05", "99.0", "ok"),
    ],
)
def test_the_driver_is_held_against_the_cuda_that_torch_was_built_for(
    version: str, cuda: str | None, level: str
) -> None:
    (found,) = check_driver(Driver("answers", version, (Card(0, "V100", 1, 0),)), cuda)
    assert found.level == level


@pytest.mark.parametrize(
    ("version", "cuda", "remedy"),
    [
        ("570.10", "13.0", "built for CUDA 12.8: pip install torch==2.10.0"),
        ("470.82.01", "12.8", "(cu118)"),
        ("440.33.01", "12.8", "too old for any torch"),
    ],
)
def test_a_driver_that_is_too_old_gets_the_newest_torch_that_runs_under_it(
    version: str, cuda: str, remedy: str
) -> None:
    (found,) = check_driver(Driver("answers", version, (Card(0, "V100", 1, 0),)), cuda)
    assert remedy in found.remedy


def test_a_driver_that_hangs_or_fails_is_a_problem_and_an_absent_one_says_nothing() -> None:
    (hangs,) = check_driver(Driver("hangs"), "12.6")
    (fails,) = check_driver(Driver("fails", error="Failed to initialize NVML: Driver/library version mismatch"), "12.6")
    assert hangs.level == fails.level == "problem"
    assert "restart the machine" in fails.remedy
    assert list(check_driver(Driver(), "12.6")) == []


def fake_nvidia_smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_nvidia_smi_is_asked_and_may_answer_fail_or_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvidia_smi(tmp_path, f"cat <<'E'\n{TABLE}E", monkeypatch)
    assert len(look_at_driver().cards) == 2
    fake_nvidia_smi(tmp_path, "echo Failed to initialize NVML; exit 9", monkeypatch)
    assert (look_at_driver().state, look_at_driver().error) == ("fails", "Failed to initialize NVML")
    fake_nvidia_smi(tmp_path, "exec sleep 30", monkeypatch)
    monkeypatch.setattr(nvidia, "TIMEOUT_S", 0.2)
    assert look_at_driver().state == "hangs"
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert look_at_driver().state == "absent"
