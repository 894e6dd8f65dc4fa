"""The spreadsheet as a whole: quotas, formulas, settings, and the board in a terminal."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.channel import NotDelivered
from services.secrets import Secrets
from services.sheets import Spreadsheet, missing
from services.sheets import http as sheets_http
from services.spreadsheet import show_board
from tests.services.sheets.run import START_S, MakeRun, Run, board, requests
from tests.services.sheets.standin import BOOK, SheetsStandIn
from utils.config.component import params_of
from utils.errors import UserError
from utils.events import RunFinished


def test_what_people_typed_is_never_a_formula(google: SheetsStandIn, make_run: MakeRun) -> None:
    evil = '=IMPORTXML("http://x","//a")'
    run = make_run(title=evil, user=evil, host=evil, task=evil, commit=evil)
    run.start()
    run.end_epoch(3, 0.9)
    run.refresh()
    run.finish()
    run.report(**{evil: 0.5})
    cells = [value for grid in google.book.grids for value in grid.cells.values()]
    assert evil in cells


def test_servers_that_start_at_once_on_an_empty_spreadsheet_share_its_tabs(
    google: SheetsStandIn, make_run: MakeRun
) -> None:
    runs = [make_run(f"r{number}", host=f"v100-{number}") for number in range(6)]
    threads = [threading.Thread(target=lambda run=run: (run.start(), run.finish())) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [grid.title for grid in google.book.grids] == ["Sheet1", "servers", "jun", "Total"]
    assert sorted(row["server"] for row in board(google)) == [f"v100-{number}" for number in range(6)]
    for tab in ("jun", "Total"):
        assert sorted(row["run id"] for row in google.book.tab(tab).table()) == [f"r{number}" for number in range(6)]


def test_twenty_servers_stay_within_a_minutes_quota(google: SheetsStandIn, make_run: MakeRun) -> None:
    """Started within a minute on an empty spreadsheet; minutes of beats; five that end in one minute."""
    google.now = lambda: clock
    runs = [make_run(f"r{n}", host=f"v100-{n}", user=f"u{n % 5}") for n in range(20)]
    clock, due = START_S, {}
    for number, run in enumerate(runs):
        clock = START_S + 3.0 * number
        run.now_s = clock
        run.start()
        assert run.channel.refresh_every_s is not None
        due[number] = clock + run.channel.refresh_every_s
    assert requests(google)[0] <= 3 * 20
    while clock < START_S + 400:
        number = min(due, key=lambda each: due[each])
        run, clock = runs[number], due[number]
        run.now_s = clock
        run.end_epoch(int((clock - START_S) // 100), 0.9)
        run.refresh(0.0)
        due[number] = clock + (run.channel.refresh_every_s or 0)
    for run in runs[:5]:
        clock += 10
        run.now_s = clock
        run.finish()
        run.report()
    assert google.refused_for_quota == 0
    assert google.busiest("read") <= 60
    assert google.busiest("write") <= 60
    assert len(board(google)) == 20
    assert len(google.book.tab("Total").table()) == 5


def test_twenty_runs_that_end_in_one_minute_arrive_once_each(
    google: SheetsStandIn, monkeypatch: pytest.MonkeyPatch, make_run: MakeRun
) -> None:
    """More than a minute's quota: what Google refuses arrives in the next."""
    monkeypatch.setattr(sheets_http, "TRIES", 1)
    google.now = lambda: clock
    clock = START_S
    runs = [make_run(f"r{number}", host=f"v100-{number}") for number in range(20)]
    waiting = []
    for number, run in enumerate(runs):
        clock += 6
        run.now_s = clock
        run.start()
        run.end_epoch(41, 0.97)
        waiting.append((run, run.queued(RunFinished("mine", run.folder, 50, 0.97, 41, float(number), False))))
    clock += 60
    for _ in range(4):
        refused = []
        for run, queued in waiting:
            try:
                run.channel.deliver(queued)
            except NotDelivered:
                refused.append((run, queued))
        waiting, clock = refused, clock + 61
    assert waiting == []
    assert google.refused_for_quota > 0
    for tab in ("jun", "Total"):
        found = [row["run id"] for row in google.book.tab(tab).table()]
        assert sorted(found) == sorted(f"r{number}" for number in range(20))
    assert {row["state"] for row in board(google)} == {"done"}


def test_a_terminal_shows_who_has_fallen_silent(
    google: SheetsStandIn,
    sheet_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make_run: MakeRun,
) -> None:
    sheet_run.start()
    busy = make_run("r2", host="v100-2")
    busy.start()
    busy.refresh(3600.0)
    key = str(google.write_key(tmp_path / "key.json"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key)
    show_board(f"https://docs.google.com/spreadsheets/d/{BOOK}/edit", "servers", google.url, now=lambda: START_S + 3660)
    lines = capsys.readouterr().out.splitlines()
    assert "stale (training)" in lines[3]
    assert "1 h 01 min ago" in lines[3]
    assert "stale" not in lines[4]
    assert "60 s ago" in lines[4]


@pytest.mark.parametrize(
    ("spreadsheet", "tab", "words"),
    [
        (BOOK, "nothing", "--tab nothing: there is no such board yet"),
        ("results", "servers", "--spreadsheet results: is neither an ID nor"),
        ("1Other-Spreadsheet-000", "servers", "Requested entity was not found"),
    ],
)
def test_a_board_that_cannot_be_shown_is_told_in_a_sentence(
    google: SheetsStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spreadsheet: str, tab: str, words: str
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.write_key(tmp_path / "key.json")))
    with pytest.raises(UserError, match=words):
        show_board(spreadsheet, tab, google.url)


def test_what_is_missing_is_named(google: SheetsStandIn, tmp_path: Path) -> None:
    key = google.write_key(tmp_path / "key.json")
    nothing = Secrets(tmp_path / ".env", {})
    given = Secrets(tmp_path / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
    assert missing(nothing, {"spreadsheet": BOOK}) == "GOOGLE_APPLICATION_CREDENTIALS is not set"
    assert missing(given, {}) == "services.sheets.spreadsheet is not set"
    assert missing(given, {"spreadsheet": BOOK}) is None
    key.unlink()
    assert "cannot be read" in str(missing(given, {"spreadsheet": BOOK}))


def test_settings_are_checked_where_the_config_is_read() -> None:
    params = params_of(Spreadsheet)
    assert params.model_validate({"spreadsheet": f"https://docs.google.com/spreadsheets/d/{BOOK}/edit"})
    for wrong in ({"spreadsheet": "results"}, {"heartbeat_s": 30}, {"base_url": "sheets"}, {"events": ["often"]}):
        with pytest.raises(ValidationError):
            params.model_validate(wrong)


def test_the_boards_tab_cannot_hold_results(sheet_run: Run) -> None:
    with pytest.raises(UserError, match="'SERVERS' is also a tab of results"):
        sheet_run.again(board="SERVERS", person="servers")
