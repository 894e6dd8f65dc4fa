"""A completed run stands in the results once, with all that is known of it, wherever its columns are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.channel import NotDelivered
from services.sheets import http as sheets_http
from services.sheets.book import header_of
from services.sheets.results import COLUMNS
from tests.services.sheets.grid import Grid
from tests.services.sheets.run import MakeRun, Run, board, requests
from tests.services.sheets.standin import SheetsStandIn, quota_answer
from tests.standin import Answer, Fault
from utils.events import FoldsJoined, ReportWritten, RunFailed, RunFinished, RunInterrupted

FAULTS: list[Callable[[], Fault]] = [
    lambda: Fault("reset_after"),
    lambda: Fault("answer", Answer(500, "oops")),
    lambda: Fault("answer", quota_answer("write")),
    lambda: Fault("answer", Answer(200, "<html>garbage</html>")),
]


def test_a_completed_run_stands_on_both_tabs_with_all_its_columns(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97123)
    sheet_run.finish(0.97123)
    for tab in ("jun", "Total"):
        (row,) = google.book.tab(tab).table()
        assert row == {
            **{"finished": "2027-01-15T17:00:00+09:00", "person": "jun", "run": "mine", "lr": 5e-4, "epochs": 50},
            **{"model": "unetplusplus (tu-hrnet_w48)", "scheduler": "cosine", "optimizer": "adamw"},
            **{"metric": "dice", "task": "hand_bone", "fold": 0, "Dice": 0.97123, "public score": ""},
            **{"best epoch": 42, "hours": 4.17, "server": "v100-1", "commit": "0123456789+", "run id": "run-1"},
            **{"finger-1": 0.9712, "Radius": 0.9812},
        }
        assert (*header_of(COLUMNS, "Dice"), "finger-1", "Radius") == tuple(row)


def test_the_report_adds_nothing_where_its_scores_are_those_of_the_best_epoch(
    google: SheetsStandIn, sheet_run: Run
) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    sheet_run.finish()
    before = requests(google)
    sheet_run.report(Radius=0.98)
    assert requests(google) == before


def test_scores_that_only_the_report_knows_are_added_to_the_row(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.finish()
    google.book.tab("Total").cells[1, COLUMNS.index("public score")] = 0.9688
    sheet_run.report()
    for tab in ("jun", "Total"):
        (row,) = google.book.tab(tab).table()
        assert (row["finger-1"], row["Radius"], row["Dice"]) == (0.97, 0.98, 0.97)
    assert google.book.tab("Total").table()[0]["public score"] == 0.9688


def test_the_end_of_a_run_costs_three_reads_and_three_writes(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.finish()
    sheet_run.again()
    start = requests(google)
    sheet_run.start()
    before = requests(google)
    assert (before[0] - start[0], before[1] - start[1]) == (2, 1)
    for tab in ("jun", "Total"):
        grid = google.book.tab(tab)
        grid.cells = {place: value for place, value in grid.cells.items() if not place[0]}
    sheet_run.finish()
    assert requests(google) == (before[0] + 3, before[1] + 3)


def test_a_class_that_no_image_shows_has_an_empty_cell(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.finish()
    sheet_run.report(Pisiform=float("nan"))
    (row,) = google.book.tab("Total").table()
    assert (row["Radius"], row["Pisiform"]) == (0.98, "")


def test_an_interrupted_or_failed_run_has_no_result(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.send(RunInterrupted("mine", sheet_run.folder, 3, 7, "resume", "SIGTERM"))
    sheet_run.send(RunFailed("mine", sheet_run.folder, "no memory"))
    sheet_run.report()
    assert [grid.title for grid in google.book.grids] == ["Sheet1", "servers", "jun", "Total"]
    assert google.book.tab("Total").table() == []


@pytest.mark.parametrize("spared", range(6))
@pytest.mark.parametrize("fault", FAULTS, ids=["reset_after", "500", "429", "garbage"])
def test_a_fault_at_any_request_leaves_one_row_of_results(
    google: SheetsStandIn, sheet_run: Run, fault: Callable[[], Fault], spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets_http, "TRIES", 1)
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    google.faults.extend([Fault("slow", seconds=0.0)] * spared + [fault()])
    sheet_run.finish(again=3)
    assert not google.faults
    for tab in ("jun", "Total"):
        assert [row["run id"] for row in google.book.tab(tab).table()] == ["run-1"]
    assert [row["state"] for row in board(google)] == ["done"]


def test_results_that_are_tried_again_do_not_write_the_board_again(
    google: SheetsStandIn, sheet_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets_http, "TRIES", 1)
    sheet_run.start()
    sheet_run.finish()
    sheet_run.again()
    sheet_run.start()
    before = requests(google)
    google.faults.extend([Fault("slow", seconds=0.0)] * 3 + [Fault("answer", Answer(500, "oops"))])
    sheet_run.finish(again=2)
    assert requests(google) == (before[0] + 3, before[1] + 2)


def test_a_run_that_is_told_again_by_another_process_keeps_its_row(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    sheet_run.finish()
    sheet_run.again()
    sheet_run.finish()
    sheet_run.report(Radius=0.5)
    (row,) = google.book.tab("Total").table()
    assert (row["run id"], row["finger-1"], row["Radius"]) == ("run-1", 0.97, 0.5)


def test_a_run_that_trains_on_after_its_end_mends_its_row(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.96)
    sheet_run.finish(0.96)
    sheet_run.again()
    sheet_run.start(first_epoch=50, epochs=80)
    sheet_run.end_epoch(70, 0.98)
    sheet_run.finish(0.98, best_epoch=70)
    (row,) = google.book.tab("Total").table()
    assert (row["Dice"], row["finger-1"]) == (0.98, 0.98)


def test_scores_of_a_best_epoch_before_a_resume_are_in_the_row(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    sheet_run.again()
    sheet_run.start(first_epoch=45)
    sheet_run.end_epoch(46, 0.9, is_best=False)
    sheet_run.finish()
    (row,) = google.book.tab("Total").table()
    assert (row["Dice"], row["best epoch"], row["Radius"]) == (0.97, 42, 0.98)


def test_a_result_that_is_flushed_a_day_later_is_whole(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    google.always = Fault("answer", Answer(503, "down"))
    event = RunFinished("mine", sheet_run.folder, 50, 0.97, 41, 15_000.0, False)
    queued = sheet_run.queued(event)
    with pytest.raises(NotDelivered):
        sheet_run.channel.deliver(queued)
    google.always = None
    sheet_run.again()
    sheet_run.channel.deliver(queued)
    (row,) = google.book.tab("Total").table()
    assert (row["finished"], row["Dice"], row["Radius"]) == ("2027-01-15T17:00:00+09:00", 0.97, 0.98)
    assert [row["state"] for row in board(google)] == ["done"]


def test_values_follow_headers_that_people_have_moved_and_columns_they_added(
    google: SheetsStandIn, sheet_run: Run, make_run: MakeRun
) -> None:
    sheet_run.start()
    sheet_run.finish(0.9)
    total = google.book.tab("Total")
    total.insert_column(3, "my notes")
    total.cells[1, 3] = "first try"
    total.swap_columns(0, COLUMNS.index("run id") + 1)
    total.cells[0, 5] = " Scheduler"
    other = make_run("run-2", title="second")
    other.start()
    other.finish(0.95)
    rows = total.table()
    assert [(row["run"], row["my notes"], row["run id"], row["Dice"]) for row in rows] == [
        ("mine", "first try", "run-1", 0.9),
        ("second", "", "run-2", 0.95),
    ]
    assert len(total.table()[0]) == len(COLUMNS) + 1, "no header was made twice"


def test_a_tab_that_people_made_gets_the_headers_it_lacks(google: SheetsStandIn, sheet_run: Run) -> None:
    google.book.grids.append(Grid("total", 77, rows=10, columns=3, cells={(0, 0): "Dice", (0, 1): "who"}))
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    sheet_run.finish()
    (row,) = google.book.tab("total").table()
    assert list(row)[:2] == ["Dice", "who"]
    assert (row["Dice"], row["who"], row["run id"], row["Radius"]) == (0.97, "", "run-1", 0.98)


def test_a_blank_first_column_shifts_nothing(google: SheetsStandIn, sheet_run: Run, make_run: MakeRun) -> None:
    sheet_run.start()
    sheet_run.finish()
    google.book.tab("Total").insert_column(0, "")
    other = make_run("run-2")
    other.start()
    other.finish(0.95)
    assert [row["run id"] for row in google.book.tab("Total").table()] == ["run-1", "run-2"]


def test_classes_of_another_task_get_columns_of_their_own(
    google: SheetsStandIn, sheet_run: Run, make_run: MakeRun
) -> None:
    sheet_run.start()
    sheet_run.end_epoch(41, 0.97)
    sheet_run.finish()
    other = make_run("run-2", task="pets")
    other.start()
    other.finish()
    scores = {f"breed {number}": 0.5 for number in range(30)} | {"Run": 0.25}
    other.send(ReportWritten("mine", other.folder, other.folder / "report.html", scores))
    first, second = google.book.tab("Total").table()
    assert (first["Radius"], first["breed 29"], second["Radius"], second["breed 29"]) == (0.98, "", "", 0.5)
    assert (second["run"], second["Dice Run"]) == ("mine", 0.25)


def test_one_tab_may_serve_as_both(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.again(person="total")
    sheet_run.start()
    sheet_run.finish()
    assert [grid.title for grid in google.book.grids] == ["Sheet1", "servers", "total"]
    assert len(google.book.tab("total").table()) == 1


def test_joined_folds_are_a_result(google: SheetsStandIn, sheet_run: Run) -> None:
    sheet_run.send(
        FoldsJoined(
            "mine", sheet_run.folder, 5, 0.9666, 0.004, sheet_run.folder / "cv.html", {"finger-1": 0.95, "Radius": 0.98}
        )
    )
    (row,) = google.book.tab("Total").table()
    assert (row["fold"], row["Dice"], row["Radius"]) == ("5 folds", 0.9666, 0.98)


@pytest.mark.parametrize("rows", [2, 1000], ids=["full", "with room"])
def test_a_result_reaches_a_tab_that_is_filtered(google: SheetsStandIn, rows: int, make_run: MakeRun) -> None:
    for name in ("first", "second", "third"):
        run = make_run(name)
        run.start()
        run.finish()
        run.channel.close()
        grid = google.book.tab("Total")
        grid.filtered, grid.rows = True, max(rows, len(grid.table()) + 1)
    assert [row["run id"] for row in google.book.tab("Total").table()] == ["first", "second", "third"]


def test_a_result_that_google_does_not_keep_is_tried_again(
    google: SheetsStandIn, sheet_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet_run.start()
    sheet_run.finish()
    google.book.tab("Total").cells.clear()
    sheet_run.again()
    with monkeypatch.context() as deaf:
        deaf.setattr("services.sheets.client.Sheets.append", lambda *_, **__: "")
        deaf.setattr("services.sheets.client.Sheets.write", lambda *_: None)
        with pytest.raises(NotDelivered, match="has not kept a row in Total"):
            sheet_run.finish()
    sheet_run.finish()
    assert len(google.book.tab("Total").table()) == 1
