"""The team's spreadsheet: a board that is true, and results that stand there once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services import sheets_http
from services.channel import Context, NotDelivered, RunFacts, Told
from services.memory import MemoryFile
from services.secrets import Secrets
from services.sheets_results import HEADER as RESULT
from services.spreadsheet import Spreadsheet, sheets
from services.texts import TEXTS
from tests.services.sheets_grid import Formula, Grid
from tests.services.sheets_picture import is_formatted
from tests.services.sheets_standin import BOOK, SheetsStandIn, quota_answer
from tests.standin import Answer, Fault
from utils.events import (
    EpochEnded,
    Event,
    FoldsJoined,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepEnded,
)

START_S = 1_800_000_000.0
"""2027-01-15 17:00:00 in Seoul."""
START_DAYS = 46402 + 17 / 24
ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = {
    "model": {"name": "unetplusplus", "encoder": "tu-hrnet_w48"},
    "optimizer": {"name": "adamw", "lr": 5e-4},
    "scheduler": {"name": "cosine"},
    "trainer": {"epochs": 50},
    "early_stopping": None,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy between us, no waiting, and rows of the board that no other test holds."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(sheets_http, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    monkeypatch.setattr("services.sheets_board.gettempdir", lambda: str(tmp_path))


@pytest.fixture
def google() -> Iterator[SheetsStandIn]:
    with SheetsStandIn() as standin:
        yield standin


class Run:
    """One run on one server, with its channel and clock."""

    def __init__(self, google: SheetsStandIn, folder: Path, **facts: Any) -> None:
        self.google, self.folder = google, folder
        self.settings: dict[str, Any] = {}
        given = {"run_id": "run-1", "title": "mine", "host": "v100-1", "user": "jun", "fold": 0, **facts}
        self.facts = RunFacts(
            **{
                "name": "mine",
                "task": "hand_bone",
                "folder": folder,
                "group": None,
                "command": "python train.py --resume mine",
                "commit": "0123456789abcdef",
                "dirty": True,
                "config": CONFIG,
                **given,
            }
        )
        self.now_s = START_S
        self.counter = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.channel = self.again()

    def again(self, language: Any = "en", **settings: Any) -> Spreadsheet:
        """The channel anew, as a resumed run's process or a flush would make it."""
        key = self.folder / "key.json"
        if not key.exists():
            self.google.write_key(key)
        secrets = Secrets(self.folder / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
        context = Context(self.facts, secrets, MemoryFile(self.folder).of("sheets"), language)
        self.settings.update(settings)
        made = sheets(context, spreadsheet=BOOK, base_url=self.google.url, **self.settings)
        assert isinstance(made, Spreadsheet)
        made.now = lambda: self.now_s
        self.channel = made
        return made

    def tell(self, event: Event, *, again: int = 1) -> None:
        """Deliver as a worker does: what it wants, and again and again until it got through."""
        told = self.told(event)
        if self.channel.wants(event):
            for _ in range(again - 1):
                try:
                    self.channel.deliver(told)
                except NotDelivered:
                    continue
            self.channel.deliver(told)

    def told(self, event: Event) -> Told:
        self.counter += 1
        return Told(f"{self.facts.run_id}-{self.counter}", self.now_s, event)

    def beat(self, after_s: float = 120.0) -> None:
        self.now_s += after_s
        self.channel.beat()

    def start(self, **changes: Any) -> None:
        self.tell(
            RunStarted(
                **{
                    **{"name": "mine", "folder": self.folder, "epochs": 50, "first_epoch": 0, "train_images": 640},
                    **{"valid_images": 160, "device": "Tesla V100-SXM2-32GB", "precision": "fp16"},
                    **changes,
                }
            )
        )

    def end_epoch(self, epoch: int, dice: float, *, is_best: bool = True) -> None:
        scores = {"finger-1": dice, "Radius": dice + 0.01}
        rates, parts = {"decoder": 5e-4}, {"dice": 0.1}
        self.tell(
            EpochEnded(
                *(epoch, 50, 300.0, 0.1, parts, rates, 0.02),
                *(0.1, dice, scores, dice, is_best),
                device={"memory_peak_mib": 20480.0},
            )
        )

    def finish(self, best: float = 0.97, again: int = 1) -> None:
        self.tell(RunFinished("mine", self.folder, 50, best, 41, 15_000.0, False), again=again)

    def report(self, **scores: float) -> None:
        found = {"finger-1": 0.97, "Radius": 0.98, **scores}
        self.tell(ReportWritten("mine", self.folder, self.folder / "report.html", found))


@pytest.fixture
def run(google: SheetsStandIn, tmp_path: Path) -> Iterator[Run]:
    made = Run(google, tmp_path / "mine")
    yield made
    made.channel.close()


def requests(google: SheetsStandIn) -> tuple[int, int]:
    """Reads and writes so far."""
    kinds = [kind for _, kind in google.counted]
    return kinds.count("read"), kinds.count("write")


def board(google: SheetsStandIn) -> list[dict[str, Any]]:
    return google.book.tab("servers").table()


def test_a_run_takes_its_servers_row_and_keeps_it(google: SheetsStandIn, run: Run) -> None:
    run.start()
    (row,) = board(google)
    assert {**row, "beat (s)": 0} == {
        **{"server": "v100-1", "user": "jun", "state": "training", "task": "hand_bone", "run": "mine"},
        **{"epoch": "1/50", "Dice": "", "best": "", "time left": "", "GPU": "Tesla V100-SXM2-32GB"},
        **{"started": pytest.approx(START_DAYS, abs=1e-6), "last event": pytest.approx(START_DAYS, abs=1e-6)},
        **{"heartbeat": pytest.approx(START_DAYS, abs=1e-6), "beat (s)": 0, "run id": "run-1"},
    }
    run.end_epoch(11, 0.9512)
    run.beat()
    run.end_epoch(12, 0.9501, is_best=False)
    run.beat()
    (row,) = board(google)
    assert (row["epoch"], row["Dice"], row["best"]) == ("13/50", 0.9501, 0.9512)
    assert (row["time left"], row["GPU"]) == ("3 h 05 min", "Tesla V100-SXM2-32GB, 20.0 GiB")
    assert row["heartbeat"] == pytest.approx(START_DAYS + 240 / 86400, abs=1e-6)


def test_steps_and_epochs_cost_no_request_and_a_beat_costs_two(google: SheetsStandIn, run: Run) -> None:
    run.start()
    before = requests(google)
    for step in range(100):
        run.tell(StepEnded(0, step, 100, 0.5))
        run.tell(ImageScored(0, step, 100))
    run.end_epoch(0, 0.5)
    assert requests(google) == before
    run.beat(1.0)
    assert requests(google) == before, "the start has just been shown"
    run.beat()
    assert requests(google) == (before[0] + 1, before[1] + 1)


def test_other_rows_and_columns_are_never_touched(google: SheetsStandIn, tmp_path: Path) -> None:
    runs = [Run(google, tmp_path / str(number), run_id=f"r{number}", host=f"v100-{number}") for number in range(3)]
    for run in runs:
        run.start()
    grid = google.book.tab("servers")
    grid.insert_column(1, "room")
    for row in (1, 2, 3):
        grid.cells[row, 1] = f"room of {grid.cells[row, 0]}"
    grid.swap_columns(0, 5)
    grid.sort_rows(5, descending=True)
    runs[1].end_epoch(3, 0.8)
    runs[1].beat()
    rows = {row["server"]: row for row in board(google)}
    assert list(rows) == ["v100-2", "v100-1", "v100-0"]
    assert {name: (row["epoch"], row["room"], row["run id"]) for name, row in rows.items()} == {
        "v100-0": ("1/50", "room of v100-0", "r0"),
        "v100-1": ("4/50", "room of v100-1", "r1"),
        "v100-2": ("1/50", "room of v100-2", "r2"),
    }
    for run in runs:
        run.channel.close()


def test_a_row_that_somebody_deleted_comes_back(google: SheetsStandIn, run: Run) -> None:
    run.start()
    google.book.grids.remove(google.book.tab("servers"))
    run.beat()
    assert [row["server"] for row in board(google)] == ["v100-1"]


def test_the_next_run_clears_what_the_last_one_left(google: SheetsStandIn, run: Run, tmp_path: Path) -> None:
    run.start()
    run.end_epoch(11, 0.9)
    run.beat()
    run.channel.close()
    other = Run(google, tmp_path / "other", run_id="run-2", title="other", user="min")
    other.start()
    (row,) = board(google)
    assert (row["run"], row["user"], row["Dice"], row["time left"]) == ("other", "min", "", "")
    other.channel.close()


def test_a_second_run_on_a_server_has_a_row_of_its_own(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.channel.close()
    assert run.channel.opened is not None
    path = run.channel.opened.board._lock_file("v100-1")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\nfrom utils.lock import locked\n"
    code += f"with locked(Path({str(path)!r}), 'taken'):\n    print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        run.again()
        run.start()
        assert [row["server"] for row in board(google)] == ["v100-1", "v100-1 #2"]
        holder.communicate(b"\n")
    run.channel.close()
    run.again()
    run.start()
    run.beat()
    assert [row["server"] for row in board(google)] == ["v100-1", "v100-1 #2"]


def test_a_killed_server_greys_and_a_finished_one_does_not(google: SheetsStandIn, tmp_path: Path) -> None:
    killed, busy, done = (Run(google, tmp_path / name, run_id=name, host=name) for name in ("killed", "busy", "done"))
    for run in (killed, busy, done):
        run.start()
    done.end_epoch(41, 0.97)
    done.finish()
    busy.beat(3000.0)
    grid = google.book.tab("servers")
    assert google.book.auto_recalc == "MINUTE"
    now = START_DAYS + 3100 / 86400
    assert [is_formatted(grid, row, now) for row in range(5)] == [False, True, False, False, False]
    assert not any(is_formatted(grid, row, START_DAYS + 300 / 86400) for row in range(5))
    for run in (killed, busy, done):
        run.channel.close()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_stale_row_is_known_in_every_language(google: SheetsStandIn, run: Run, language: Any) -> None:
    run.again(language)
    run.start()
    (row,) = board(google)
    assert row["state"] == TEXTS["training"][language]
    assert is_formatted(google.book.tab("servers"), 1, START_DAYS + 1)


def test_a_run_without_progress_never_looks_stale(google: SheetsStandIn, run: Run) -> None:
    assert run.again(events=("start", "end")).beat_s is None
    run.start()
    assert not is_formatted(google.book.tab("servers"), 1, START_DAYS + 1)


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
    google: SheetsStandIn, run: Run, event: Event, state: str
) -> None:
    run.start()
    run.tell(event)
    assert [row["state"] for row in board(google)] == [TEXTS[state]["en"]]
    before = requests(google)
    run.beat(1000.0)
    assert requests(google) == before


def test_an_end_that_arrives_a_day_late_is_written_where_the_row_still_speaks_of_that_run(
    google: SheetsStandIn, run: Run
) -> None:
    run.start()
    run.end_epoch(11, 0.9)
    run.beat()
    run.again()
    run.tell(RunFailed("mine", run.folder, "no memory"))
    (row,) = board(google)
    assert (row["state"], row["GPU"], row["Dice"]) == ("failed", "Tesla V100-SXM2-32GB, 20.0 GiB", 0.9)


def test_an_end_that_arrives_a_day_late_does_not_take_another_runs_row(
    google: SheetsStandIn, run: Run, tmp_path: Path
) -> None:
    run.start()
    run.channel.close()
    other = Run(google, tmp_path / "other", run_id="run-2", title="other")
    other.start()
    run.again()
    run.tell(RunFailed("mine", run.folder, "no memory"))
    assert [(row["run"], row["state"]) for row in board(google)] == [("other", "training")]
    other.channel.close()


def test_a_completed_run_stands_on_both_tabs_with_all_its_columns(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.97123)
    run.finish(0.97123)
    for tab in ("jun", "Total"):
        (row,) = google.book.tab(tab).table()
        assert row == {
            **{"finished": "2027-01-15T17:00:00+09:00", "person": "jun", "run": "mine", "lr": 5e-4, "epochs": 50},
            **{"model": "unetplusplus (tu-hrnet_w48)", "scheduler": "cosine", "optimizer": "adamw"},
            **{"metric": "dice", "task": "hand_bone", "fold": 0, "Dice": 0.97123, "public score": ""},
            **{"best epoch": 42, "hours": 4.17, "server": "v100-1", "commit": "0123456789+", "run id": "run-1"},
            **{"finger-1": 0.9712, "Radius": 0.9812},
        }
        assert (*RESULT, "finger-1", "Radius") == tuple(row)


def test_the_report_adds_nothing_where_its_scores_are_those_of_the_best_epoch(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.97)
    run.finish()
    before = requests(google)
    run.report(Radius=0.98)
    assert requests(google) == before


def test_scores_that_only_the_report_knows_are_added_to_the_row(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.finish()
    google.book.tab("Total").cells[1, RESULT.index("public score")] = 0.9688
    run.report()
    for tab in ("jun", "Total"):
        (row,) = google.book.tab(tab).table()
        assert (row["finger-1"], row["Radius"], row["Dice"]) == (0.97, 0.98, 0.97)
    assert google.book.tab("Total").table()[0]["public score"] == 0.9688


def test_an_interrupted_or_failed_run_has_no_result(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.tell(RunInterrupted("mine", run.folder, 3, 7, "resume", "SIGTERM"))
    run.tell(RunFailed("mine", run.folder, "no memory"))
    run.report()
    assert [grid.title for grid in google.book.grids] == ["Sheet1", "servers", "jun", "Total"]
    assert google.book.tab("Total").table() == []


FAULTS: list[Callable[[], Fault]] = [
    lambda: Fault("reset"),
    lambda: Fault("reset_after"),
    lambda: Fault("answer", Answer(500, "oops")),
    lambda: Fault("answer", quota_answer("write")),
    lambda: Fault("answer", Answer(200, "<html>garbage</html>")),
    lambda: Fault("answer", Answer(429, {}, {"Retry-After": "30"})),
]


@pytest.mark.parametrize("spared", range(7))
@pytest.mark.parametrize("fault", FAULTS, ids=["reset", "reset_after", "500", "429", "garbage", "retry_after"])
def test_a_fault_at_any_request_leaves_one_row_of_results(
    google: SheetsStandIn, run: Run, fault: Callable[[], Fault], spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets_http, "TRIES", 1)
    run.start()
    run.end_epoch(41, 0.97)
    google.faults.extend([Fault("slow", seconds=0.0)] * spared + [fault()])
    run.finish(again=3)
    assert not google.faults or spared == 6
    for tab in ("jun", "Total"):
        assert [row["run id"] for row in google.book.tab(tab).table()] == ["run-1"]
    assert [row["state"] for row in board(google)] == ["done"]


def test_a_run_that_is_told_again_by_another_process_keeps_its_row(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.97)
    run.finish()
    run.again()
    run.finish()
    run.report(Radius=0.5)
    (row,) = google.book.tab("Total").table()
    assert (row["run id"], row["finger-1"], row["Radius"]) == ("run-1", 0.97, 0.5)


def test_a_run_that_trains_on_after_its_end_mends_its_row(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.96)
    run.finish(0.96)
    run.again()
    run.start(first_epoch=50, epochs=80)
    run.end_epoch(70, 0.98)
    run.finish(0.98)
    (row,) = google.book.tab("Total").table()
    assert (row["Dice"], row["finger-1"]) == (0.98, 0.98)


def test_scores_of_a_best_epoch_before_a_resume_are_in_the_row(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.97)
    run.again()
    run.start(first_epoch=45)
    run.end_epoch(46, 0.9, is_best=False)
    run.finish()
    (row,) = google.book.tab("Total").table()
    assert (row["Dice"], row["best epoch"], row["Radius"]) == (0.97, 42, 0.98)


def test_a_result_that_is_flushed_a_day_later_is_whole(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.end_epoch(41, 0.97)
    google.always = Fault("answer", Answer(503, "down"))
    event = RunFinished("mine", run.folder, 50, 0.97, 41, 15_000.0, False)
    told = run.told(event)
    with pytest.raises(NotDelivered):
        run.channel.deliver(told)
    google.always = None
    run.again()
    run.channel.deliver(told)
    (row,) = google.book.tab("Total").table()
    assert (row["finished"], row["Dice"], row["Radius"]) == ("2027-01-15T17:00:00+09:00", 0.97, 0.98)
    assert [row["state"] for row in board(google)] == ["done"]


def test_values_follow_headers_that_people_have_moved_and_columns_they_added(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.finish(0.9)
    total = google.book.tab("Total")
    total.insert_column(3, "my notes")
    total.cells[1, 3] = "first try"
    total.swap_columns(0, RESULT.index("run id") + 1)
    total.cells[0, 5] = " Scheduler"
    other = Run(google, run.folder / "2", run_id="run-2", title="second")
    other.start()
    other.finish(0.95)
    rows = total.table()
    assert [(row["run"], row["my notes"], row["run id"], row["Dice"]) for row in rows] == [
        ("mine", "first try", "run-1", 0.9),
        ("second", "", "run-2", 0.95),
    ]
    assert len(total.table()[0]) == len(RESULT) + 1, "no header was made twice"
    other.channel.close()


def test_a_tab_that_people_made_gets_the_headers_it_lacks(google: SheetsStandIn, run: Run) -> None:
    google.book.grids.append(Grid("total", 77, rows=10, columns=3, cells={(0, 0): "Dice", (0, 1): "who"}))
    run.start()
    run.end_epoch(41, 0.97)
    run.finish()
    (row,) = google.book.tab("total").table()
    assert list(row)[:2] == ["Dice", "who"]
    assert (row["Dice"], row["who"], row["run id"], row["Radius"]) == (0.97, "", "run-1", 0.98)


def test_a_blank_first_column_shifts_nothing(google: SheetsStandIn, run: Run) -> None:
    run.start()
    run.finish()
    google.book.tab("Total").insert_column(0, "")
    other = Run(google, run.folder / "2", run_id="run-2")
    other.start()
    other.finish(0.95)
    assert [row["run id"] for row in google.book.tab("Total").table()] == ["run-1", "run-2"]
    other.channel.close()


def test_classes_of_another_task_get_columns_of_their_own(google: SheetsStandIn, run: Run, tmp_path: Path) -> None:
    run.start()
    run.end_epoch(41, 0.97)
    run.finish()
    other = Run(google, tmp_path / "2", run_id="run-2", task="pets")
    other.start()
    other.finish()
    scores = {f"breed {number}": 0.5 for number in range(30)} | {"Run": 0.25}
    other.tell(ReportWritten("mine", other.folder, other.folder / "report.html", scores))
    first, second = google.book.tab("Total").table()
    assert (first["Radius"], first["breed 29"], second["Radius"], second["breed 29"]) == (0.98, "", "", 0.5)
    assert (second["run"], second["Dice Run"]) == ("mine", 0.25)
    other.channel.close()


def test_one_tab_may_serve_as_both(google: SheetsStandIn, run: Run) -> None:
    run.again(person="total")
    run.start()
    run.finish()
    assert [grid.title for grid in google.book.grids] == ["Sheet1", "servers", "total"]
    assert len(google.book.tab("total").table()) == 1


def test_joined_folds_are_a_result(google: SheetsStandIn, run: Run) -> None:
    run.tell(
        FoldsJoined("mine", run.folder, 5, 0.9666, 0.004, run.folder / "cv.html", {"finger-1": 0.95, "Radius": 0.98})
    )
    (row,) = google.book.tab("Total").table()
    assert (row["fold"], row["Dice"], row["Radius"]) == ("all 5", 0.9666, 0.98)


def test_what_people_typed_is_never_a_formula(google: SheetsStandIn, tmp_path: Path) -> None:
    evil = '=IMPORTXML("http://x","//a")'
    run = Run(google, tmp_path / "evil", title=evil, user=evil, host=evil, task=evil, commit=evil)
    run.start()
    run.end_epoch(3, 0.9)
    run.beat()
    run.finish()
    run.report(**{evil: 0.5})
    cells = [value for grid in google.book.grids for value in grid.cells.values()]
    assert evil in cells
    assert not any(isinstance(value, Formula) for value in cells)
    options = [
        request for request in google.requests if b"USER_ENTERED" in request.body or "USER" in str(request.query)
    ]
    assert options == []
    run.channel.close()


def test_twenty_servers_stay_within_a_minutes_quota(google: SheetsStandIn, tmp_path: Path) -> None:
    """Started within a minute on an empty spreadsheet; a quarter of an hour of beats; five that end in one minute."""
    google.now = lambda: clock
    runs = [Run(google, tmp_path / str(n), run_id=f"r{n}", host=f"v100-{n}", user=f"u{n % 5}") for n in range(20)]
    clock, due = START_S, {}
    for number, run in enumerate(runs):
        clock = START_S + 3.0 * number
        run.now_s = clock
        run.start()
        assert run.channel.beat_s is not None
        due[number] = clock + run.channel.beat_s
    assert requests(google)[0] <= 3 * 20
    while clock < START_S + 900:
        number = min(due, key=lambda each: due[each])
        run, clock = runs[number], due[number]
        run.now_s = clock
        run.end_epoch(int((clock - START_S) // 100), 0.9)
        run.beat(0.0)
        due[number] = clock + (run.channel.beat_s or 0)
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
    for run in runs:
        run.channel.close()
