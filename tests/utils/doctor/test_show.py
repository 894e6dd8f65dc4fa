from __future__ import annotations

from utils.doctor.finding import as_plain, from_plain, ok, problem, size_text, time_text, warning
from utils.doctor.show import lines_of, summary_of

LONG = problem("memory", "word " * 30, "export HF_HOME and more=/with/a/path/that-must-stay/in-one-piece now")


def test_lines_fit_the_width_and_stand_in_columns() -> None:
    lines = list(lines_of(LONG, 80))
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("problem  memory        word")
    assert all(line.startswith(" " * 23) for line in lines[1:])
    assert sum("→" in line for line in lines) == 1
    assert any("more=/with/a/path/that-must-stay/in-one-piece" in line for line in lines)


def test_colour_is_for_terminals() -> None:
    assert "\033" not in "".join(lines_of(LONG, 80))
    assert "".join(lines_of(LONG, 80, coloured=True)).startswith("\033[31mproblem\033[0m")


def test_several_faults_keep_their_lines() -> None:
    assert len(list(lines_of(problem("config", "a: one\nb: two", "mend"), 80))) == 3


def test_the_summary_counts() -> None:
    assert summary_of([ok("a", "b")]) == "Everything is ok."
    assert summary_of([warning("a", "b", "c")]) == "No problem, 1 warning."
    assert summary_of([LONG, LONG, warning("a", "b", "c")]) == "2 problems, 1 warning."


def test_findings_survive_json() -> None:
    assert from_plain(as_plain(LONG)) == LONG


def test_sizes_and_times_read_well() -> None:
    sizes = [size_text(mib) for mib in (0.5, 64, 999, 32510, 5 * 1024**2)]
    assert sizes == ["512 KiB", "64 MiB", "999 MiB", "31.7 GiB", "5.0 TiB"]
    times = [time_text(s) for s in (0.035, 2.43, 43.2, 99.6, 720, 3599, 18720, 273600)]
    assert times == ["35 ms", "2.4 s", "43 s", "100 s", "12 min", "1 h 0 min", "5 h 12 min", "3 d 4 h"]
