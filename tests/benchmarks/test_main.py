from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import material as materials
from benchmarks import memory
from benchmarks.material import Material
from benchmarks.measure import Timing
from benchmarks.pair import Sides
from benchmarks.table import Result, duration, share, size, times
from benchmarks.tables import PAIRS
from data.phantom.dataset import PhantomSet
from utils.errors import UserError

KEYS = {
    *("name", "does", "unit", "equal", "usual", "ours", "rounds", "ratio"),
    *("usual_peak_mib", "ours_peak_mib", "memory_ratio", "wanted", "reached"),
}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    program.main()


def test_the_json_holds_what_the_table_shows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b.json"
    call(monkeypatch, "fill", "dice", "--data", str(root), "--images", "2", "--no-memory", "--json", str(file))
    report = json.loads(file.read_text())
    assert {"machine", "software", "date"} <= report.keys()
    assert (report["images"], report["size_hw"]) == (2, [64, 64])
    assert [result["name"] for result in report["benchmarks"]] == ["fill", "dice"]
    for result in report["benchmarks"]:
        assert result.keys() == KEYS
        assert result["ratio"] == pytest.approx(result["usual"] / result["ours"])
        assert result["usual_peak_mib"] is None
    shown = capsys.readouterr().out
    assert "fill" in shown
    assert "≥ 60x" in shown


def test_measurements_are_printed_whatever_ends_the_program(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b.json"

    def fail(material: Material) -> Sides:
        assert file.exists(), "each result is written when it is known"
        raise KeyboardInterrupt

    monkeypatch.setitem(PAIRS, "dice", replace(PAIRS["dice"], prepare=fail))
    with pytest.raises(KeyboardInterrupt):
        call(monkeypatch, "fill", "dice", "--data", str(root), "--images", "2", "--no-memory", "--json", str(file))
    assert [result["name"] for result in json.loads(file.read_text())["benchmarks"]] == ["fill"]
    assert "fill" in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'incode' is not a benchmark\. Did you mean 'encode'\?"):
        call(monkeypatch, "incode")


def test_the_list_names_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    call(monkeypatch, "--list")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PAIRS)


def test_too_few_images_are_a_users_fault(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="4 labelled images, 40 are wanted"):
        call(monkeypatch, "fill", "--data", str(root))


def test_a_few_images_come_from_the_usual_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, PhantomSet]] = []

    def note(out: Path, wanted: PhantomSet) -> Iterator[None]:
        asked.append((out, wanted))
        return iter(())

    monkeypatch.setattr(materials, "write_dataset", note)
    assert materials.render_material(4, 512) == materials.render_material(40, 512)
    assert materials.render_material(41, 512) != materials.render_material(40, 512)
    assert [wanted.train_patients for _, wanted in asked] == [20, 20, 21, 20]


def result(name: str, usual: float, ours: float, peaks: tuple[float | None, float | None]) -> Result:
    return Result(PAIRS[name], Timing(usual, ours, 1), peaks)


def test_a_number_that_is_wanted_is_reached_or_not() -> None:
    assert result("fill", 60, 1, (None, None)).reached is True
    assert result("fill", 59, 1, (None, None)).reached is False
    assert result("validation", 50, 1, (80, 10)).reached is True
    assert result("validation", 50, 1, (79, 10)).reached is False
    assert result("data_wait", 0.9, 0.03, (None, None)).reached is True
    assert result("data_wait", 0.9, 0.031, (None, None)).reached is False
    assert result("label", 1, 1, (None, None)).reached is None


def test_numbers_are_shown_in_units_that_fit() -> None:
    assert [duration(s) for s in (2.34e-5, 0.00187, 0.452, 12.34)] == ["23 µs", "1.9 ms", "452 ms", "12.3 s"]
    assert (share(0.0312), times(8.66), times(39.4), size(0.2), size(3.14), size(463.7)) == (
        *("3.1 %", "8.7x", "39x"),
        *("< 1", "3.1", "464"),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the high-water mark of memory")
def test_the_rise_of_memory_is_that_of_the_call() -> None:
    rise = memory.rise_of(lambda: np.ones(64 << 20, np.uint8))
    assert rise is not None
    assert 60 << 20 < rise < 80 << 20


@pytest.mark.parametrize("side", ["usual", "ours"])
def test_a_side_measured_alone_says_its_peak(
    root: Path, side: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["memory", "fill", side, str(root), "2"])
    memory.main()
    peak = json.loads(capsys.readouterr().out)
    assert peak is None or 0 <= peak < 1000
