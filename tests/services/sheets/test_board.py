"""The board of servers is true, and tells by itself who has fallen silent."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from services.texts import text
from tests.services.sheets.grid import rules_at
from tests.services.sheets.run import START_DAYS, MakeRun, Run, board, requests
from tests.services.sheets.standin import SheetsStandIn
from utils.events import Event, ImageScored, RunFailed, RunFinished, RunInterrupted, StepEnded


def test_a_run_takes_its_servers_row_and_keeps_it(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    (row,) = board(google)
    assert {**row, "beat (s)": 0} == {
        **{"server": "v100-1", "user": "jun", "state": "training", "task": "hand_bone", "run": "mine"},
        **{"epoch": "1/50", "Dice": "", "best": "", "time left": "", "GPU": "Tesla V100-SXM2-32GB"},
        **{"started": pytest.approx(START_DAYS, abs=1e-6), "last event": pytest.approx(START_DAYS, abs=1e-6)},
        **{"heartbeat": pytest.approx(START_DAYS, abs=1e-6), "beat (s)": 0, "run id": "run-1"},
    }
    sheet_run.end_epoch(11, 0.9512)
    sheet_run.refresh()
    sheet_run.end_epoch(12, 0.9501, is_best=False)
    sheet_run.refresh()
    (row,) = board(google)
    assert (row["epoch"], row["Dice"], row["best"]) == ("13/50", 0.9501, 0.9512)
    assert (row["time left"], row["GPU"]) == ("3 h 05 min", "Tesla V100-SXM2-32GB, 20.0 GiB")
    assert row["heartbeat"] == pytest.approx(START_DAYS + 240 / 86400, abs=1e-6)


def test_steps_and_epochs_cost_no_request_and_a_beat_costs_two(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    before = requests(google)
    for step in range(100):
        sheet_run.send(StepEnded(0, step, 100, 0.5))
        sheet_run.send(ImageScored(0, step, 100))
    sheet_run.end_epoch(0, 0.5)
    assert requests(google) == before
    sheet_run.refresh(1.0)
    assert requests(google) == before, "the start has just been shown"
    sheet_run.refresh()
    assert requests(google) == (before[0] + 1, before[1] + 1)


def test_other_rows_and_columns_are_never_touched(google: SheetsStandIn, make_run: MakeRun) -> None:
    runs = [make_run(f"r{number}", host=f"v100-{number}") for number in range(3)]
    for run in runs:
        run.start()
    grid = google.book.tab("servers")
    grid.insert_column(1, "room")
    for row in (1, 2, 3):
        grid.cells[row, 1] = f"room of {grid.cells[row, 0]}"
    grid.swap_columns(0, 5)
    grid.sort_rows(5, descending=True)
    runs[1].end_epoch(3, 0.8)
    runs[1].refresh()
    rows = {row["server"]: row for row in board(google)}
    assert list(rows) == ["v100-2", "v100-1", "v100-0"]
    assert {name: (row["epoch"], row["room"], row["run id"]) for name, row in rows.items()} == {
        "v100-0": ("1/50", "room of v100-0", "r0"),
        "v100-1": ("4/50", "room of v100-1", "r1"),
        "v100-2": ("1/50", "room of v100-2", "r2"),
    }


def test_a_row_that_somebody_deleted_comes_back(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    google.book.grids.remove(google.book.tab("servers"))
    sheet_run.refresh()
    assert [row["server"] for row in board(google)] == ["v100-1"]


def test_the_next_run_clears_what_the_last_one_left(google: SheetsStandIn, sheet_run: Run, make_run: MakeRun) -> None:
    sheet_run.start()
    sheet_run.end_epoch(11, 0.9)
    sheet_run.refresh()
    sheet_run.channel.close()
    other = make_run("run-2", title="other", user="min")
    other.start()
    (row,) = board(google)
    assert (row["run"], row["user"], row["Dice"], row["time left"]) == ("other", "min", "", "")


def test_a_second_run_on_a_server_has_a_row_of_its_own(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.channel.close()
    with socket.socket(socket.AF_UNIX) as other:  # as a process of any user of this machine holds it
        other.bind(sheet_run.channel.opened.board._lock_of("v100-1"))
        sheet_run.again()
        sheet_run.start()
        assert [row["server"] for row in board(google)] == ["v100-1", "v100-1 #2"]
    sheet_run.channel.close()
    sheet_run.again()
    sheet_run.start()
    sheet_run.refresh()
    assert [row["server"] for row in board(google)] == ["v100-1", "v100-1 #2"]


def test_a_killed_server_greys_and_a_finished_one_does_not(google: SheetsStandIn, make_run: MakeRun) -> None:
    killed, busy, done = (make_run(name, host=name) for name in ("killed", "busy", "done"))
    for run in (killed, busy, done):
        run.start()
    done.end_epoch(41, 0.97)
    done.finish()
    busy.refresh(3000.0)
    grid = google.book.tab("servers")
    assert google.book.auto_recalc == "MINUTE"
    now = START_DAYS + 3100 / 86400
    assert [bool(rules_at(grid, row, now)) for row in range(5)] == [False, True, False, False, False]
    assert not any(rules_at(grid, row, START_DAYS + 300 / 86400) for row in range(5))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_stale_row_is_known_in_every_language(google: SheetsStandIn, sheet_run: Run, language: Any) -> None:
    sheet_run.again(language)
    sheet_run.start()
    (row,) = board(google)
    assert row["state"] == text(language, "training")
    assert rules_at(google.book.tab("servers"), 1, START_DAYS + 1)


def test_a_run_without_progress_never_looks_stale(google: SheetsStandIn, sheet_run: Run) -> None:
    assert sheet_run.again(events=("start", "end")).refresh_every_s is None
    sheet_run.start()
    assert not rules_at(google.book.tab("servers"), 1, START_DAYS + 1)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (RunInterrupted("mine", Path(), 3, 7, "resume", "SIGTERM"), "interrupted"),
        (RunFailed("mine", Path(), "no memory", fault="memory"), "failed"),
        (RunFailed("mine", Path(), "gone", fault="lost"), "lost"),
        (RunFinished("mine", Path(), 20, 0.9, 9, 60.0, True), "stopped_early"),
    ],
)
def test_the_board_says_how_a_run_ended_and_beats_no_more(
    google: SheetsStandIn, sheet_run: Run, event: Event, state: str
) -> None:
    sheet_run.start()
    sheet_run.send(event)
    assert [row["state"] for row in board(google)] == [text("en", state)]
    before = requests(google)
    sheet_run.refresh(1000.0)
    assert requests(google) == before


def test_an_end_that_arrives_a_day_late_is_written_where_the_row_still_speaks_of_that_run(
    google: SheetsStandIn, sheet_run: Run
) -> None:
    sheet_run.start()
    sheet_run.end_epoch(11, 0.9)
    sheet_run.refresh()
    sheet_run.again()
    sheet_run.send(RunFailed("mine", sheet_run.folder, "no memory"))
    (row,) = board(google)
    assert (row["state"], row["GPU"], row["Dice"]) == ("failed", "Tesla V100-SXM2-32GB, 20.0 GiB", 0.9)


def test_an_end_that_arrives_a_day_late_does_not_take_another_runs_row(
    google: SheetsStandIn, sheet_run: Run, make_run: MakeRun
) -> None:
    sheet_run.start()
    sheet_run.channel.close()
    other = make_run("run-2", title="other")
    other.start()
    sheet_run.again()
    sheet_run.send(RunFailed("mine", sheet_run.folder, "no memory"))
    assert [(row["run"], row["state"]) for row in board(google)] == [("other", "training")]


def test_what_another_user_has_left_behind_takes_no_row(
    google: SheetsStandIn, sheet_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    for _ in range(3):  # each as a process that is killed: nothing is closed
        sheet_run.again()
        sheet_run.start()
        assert [row["server"] for row in board(google)] == ["v100-1"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_system_without_abstract_sockets_shares_the_first_row(
    google: SheetsStandIn, sheet_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sheets.board.LOCK", "/no/such/folder/")
    sheet_run.start()
    assert [row["server"] for row in board(google)] == ["v100-1"]


def test_a_row_under_a_filter_is_there_after_the_next_beat(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    grid = google.book.tab("servers")
    grid.cells = {place: value for place, value in grid.cells.items() if not place[0]}
    grid.filtered = True
    sheet_run.channel.close()
    sheet_run.again()
    sheet_run.start()
    assert board(google) == []
    sheet_run.refresh()
    assert [row["server"] for row in board(google)] == ["v100-1"]
