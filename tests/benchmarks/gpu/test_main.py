from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.gpu.page import CHAPTER, NO_MEASUREMENT, publish
from benchmarks.gpu.part import Measurement, Row, compared
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.results import Results
from utils.errors import UserError

PAGE = f"# Performance\n\nText.\n\n{CHAPTER}\n\nMeasure yours.\n\n## Not measured\n\nNothing.\n"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "gpu", *arguments])
    return program.main()


def results_of(card: str, **rows: list[Row]) -> Results:
    about = {"tiny": False, "card": card, "machine": "16 cores", "software": "torch 2", "date": "2026-01-02"}
    return Results(about, dict(rows))


def equal(difference: float) -> list[Row]:
    return [compared("bits", difference, 0.5)]


@pytest.mark.usefixtures("no_card")
def test_without_a_card_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no graphics card here .* --tiny to take every road"):
        call(monkeypatch)


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_tiny_numbers_say_that_they_are_no_measurement_and_are_not_published(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page = tmp_path / "gpu.json", tmp_path / "page.md"
    page.write_text(PAGE)
    options = ("--tiny", "--data", str(films), "--json", str(file), "--publish", str(page))
    with pytest.raises(UserError, match="no measurement of a card"):
        call(monkeypatch, "loss", *options)
    told = capsys.readouterr()
    assert NO_MEASUREMENT in told.out
    assert "smp, contiguous" in told.out
    assert "loss: smp, contiguous: " in told.err
    report = json.loads(file.read_text())
    assert report["tiny"] is True
    names = [row["name"] for row in report["parts"]["loss"]]
    assert names[:2] == ["the same loss and gradient", "smp, channels last"]
    assert page.read_text() == PAGE


def test_each_result_is_written_at_once_and_what_is_known_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"

    def stop() -> list[Row]:
        assert json.loads(file.read_text())["parts"]["losses"][0]["name"] == "first"
        raise KeyboardInterrupt

    found = Row("first", {"float32": 1e-7}, holds=True)
    made = (Measurement("first", lambda: [found]), Measurement("second", stop))
    monkeypatch.setitem(PARTS, "losses", replace(PARTS["losses"], measurements=lambda bench: made))
    with pytest.raises(KeyboardInterrupt):
        call(monkeypatch, "losses", "--tiny", "--json", str(file))
    assert "1.0e-07" in capsys.readouterr().out


@pytest.mark.parametrize(("difference", "code"), [(0.1, 0), (0.9, 1), (float("nan"), 1)])
def test_a_result_that_does_not_hold_ends_with_code_1(
    difference: float, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (Measurement("bits", lambda: [compared("bits", difference, 0.5)]),)
    monkeypatch.setitem(PARTS, "equality", replace(PARTS["equality"], measurements=lambda bench: made))
    assert call(monkeypatch, "equality", "--tiny") == code


def test_the_list_names_all_and_an_unknown_part_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "--list")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PARTS)
    with pytest.raises(UserError, match=r"'waitings' is no part of the measurements\. Did you mean 'waits'\?"):
        call(monkeypatch, "waitings", "--tiny")


def test_a_card_gets_a_section_and_later_runs_replace_the_parts_that_they_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    publish(results_of("Card A", equality=equal(0.25), losses=[Row("bce", {"float32": 0.125}, True)]), PARTS, page)
    publish(results_of("Card B", equality=equal(0.5)), PARTS, page)
    before = page.read_text()
    publish(
        results_of(
            "Card A",
            equality=equal(0.75),
            waits=[Row("a step", fault="out of memory: 2 | 3"), Row("a vote", {"times": 0.0})],
        ),
        PARTS,
        page,
    )
    text = page.read_text()
    assert text.startswith(PAGE[: PAGE.index("## Not measured")])
    assert text.endswith("\n\n## Not measured\n\nNothing.\n")
    section_a, section_b = text[text.index("### Card A") : text.index("## Not")].split("### Card B")
    assert "| bits | 0.75 | 0.5 | NO |" in section_a
    assert "0.25" not in section_a
    assert "| bce | 0.125 | yes |" in section_a
    assert "| a step | out of memory: 2 ¦ 3 |" in section_a
    assert section_a.index("| bits ") < section_a.index("| bce ") < section_a.index("| a step ")
    assert "2026-01-02: torch 2; 16 cores." in section_a
    assert section_b == before[before.index("### Card B") : before.index("## Not")].removeprefix("### Card B")
    assert "\n\n\n" not in text


def test_results_are_published_from_the_file_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, file = tmp_path / "page.md", tmp_path / "gpu.json"
    page.write_text(PAGE)
    file.write_text(json.dumps(results_of("Card A", equality=equal(0.25)).as_json()))
    assert call(monkeypatch, "--read", str(file), "--publish", str(page)) == 0
    assert "### Card A" in page.read_text()
    assert "0.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", '{"parts": 1}', '{"parts": {"losses": [{"no": 1}]}, "tiny": 0, "card": ""}']
)
def test_another_file_is_refused(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(content)
    with pytest.raises(UserError, match=r"gpu\.json: is not a file that python -m benchmarks gpu --json has written"):
        call(monkeypatch, "--read", str(file))


def test_a_page_without_the_chapter_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Performance\n")
    with pytest.raises(UserError, match=r"page\.md: has no heading '## On a GPU'"):
        publish(results_of("Card A", equality=equal(0.25)), PARTS, page)


def test_a_part_that_no_time_was_left_for_replaces_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    publish(results_of("Card A", equality=equal(0.25)), PARTS, page)
    before = page.read_text()
    publish(results_of("Card A", equality=[Row("bits", fault="left out: no time was left")]), PARTS, page)
    assert page.read_text() == before
