from __future__ import annotations

import sys
from dataclasses import replace

from utils.doctor.software import (
    Code,
    Software,
    check_code,
    check_packages,
    check_python,
    look_at_software,
    pins,
)

PINNED = {"torch": "2.10.0", "numpy": "2.2.6", "pyyaml": "6.0.3"}
SOUND = Software((3, 11, 7), "/repo/.venv/bin/python", True, True, {**PINNED, "torch": "2.10.0+cu128"}, PINNED)


def test_the_pinned_packages_in_the_own_venv_are_ok() -> None:
    assert check_python(SOUND).level == check_packages(SOUND).level == "ok"


def test_python_3_10_is_a_problem_and_3_15_a_warning() -> None:
    assert check_python(replace(SOUND, python=(3, 10, 19))).level == "problem"
    assert check_python(replace(SOUND, python=(3, 11, 0))).level == "ok"
    assert check_python(replace(SOUND, python=(3, 14, 9))).level == "ok"
    assert check_python(replace(SOUND, python=(3, 15, 0))).level == "warning"


def test_missing_packages_are_named_with_their_version() -> None:
    found = check_packages(replace(SOUND, installed={"torch": "2.10.0"}))
    assert (found.level, found.remedy) == ("problem", "rm -f .venv/.ready && make setup")
    assert found.text == "2 of 3 are missing: numpy==2.2.6, pyyaml==6.0.3"


def test_other_versions_are_a_warning_that_names_both() -> None:
    found = check_packages(replace(SOUND, installed={**PINNED, "torch": "2.8.0+cu128"}))
    assert found.level == "warning"
    assert "torch 2.8.0+cu128 (pinned: 2.10.0)" in found.text


def test_another_python_is_sent_to_the_venv_that_was_made() -> None:
    outside = replace(SOUND, in_own_venv=False, installed={})
    assert "source .venv/bin/activate" in check_packages(outside).remedy
    assert check_packages(replace(outside, venv_is_made=False)).remedy.startswith("make setup")


def test_pins_hold_for_this_interpreter_alone() -> None:
    mine, other = (
        "==".join(("python_version ", f" '{sys.version_info[0]}.{sys.version_info[1]}'")),
        "sys_platform == 'x'",
    )
    text = f"Py_Yaml==6.0.3\nmine==1 ; {mine}\nother==2 ; {other}\n# comment\n"
    assert pins(text) == {"py-yaml": "6.0.3", "mine": "1"}


def test_this_machine_is_looked_at() -> None:
    software = look_at_software()
    assert software.python == sys.version_info[:3]
    assert software.pinned["torch"] == PINNED["torch"]
    assert "pytest" in software.installed


def test_git_says_commit_and_changes_or_why_it_does_not() -> None:
    assert check_code(Code("1804550", 1)).text == "commit 1804550, 1 changed file"
    assert check_code(Code("1804550")).text == "commit 1804550, nothing changed"
    assert check_code(Code(error="fatal: not a git repository")).level == "warning"
    owned = check_code(Code(error="fatal: detected dubious ownership in repository at '/x'"))
    assert "safe.directory" in owned.remedy
