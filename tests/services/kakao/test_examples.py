from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.root import ROOT

DOCS = ROOT / "docs" / "services"
EXAMPLES = sorted([*DOCS.glob("carpus-kakao-*.service"), DOCS / "kakao.crontab"])


def calls(path: Path) -> list[tuple[str, list[str]]]:
    """Each program that an example runs, with its arguments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found = re.findall(r"(?:-m|\$RUN) (services\.\w+)([^>\n]*)", "\n".join(lines))
    return [(name, shlex.split(options)) for name, options in found]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_what_the_examples_run_is_there_and_takes_their_options(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls(path)
    for name, arguments in calls(path):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        importlib.import_module(name).parse()


def test_cron_pulls_twice_a_minute_and_never_twice_at_once() -> None:
    lines = [line for line in (DOCS / "kakao.crontab").read_text().splitlines() if "sheet_pull" in line]
    assert [line.startswith("* * * * *  sleep 30;") for line in lines] == [False, True]
    assert all("flock -n" in line for line in lines)


def test_both_languages_have_the_same_commands_and_tables() -> None:
    english, korean = ((DOCS / name).read_text() for name in ("kakao.md", "kakao.ko.md"))
    for pattern in (r"services\.\w+", r"KAKAO_\w+", r"--[a-z-]+\b", r"\]\((?!kakao|sheets|#)[^)]*\)"):
        assert set(re.findall(pattern, english)) == set(re.findall(pattern, korean)), pattern
    assert english.count("\n| ") == korean.count("\n| ")
