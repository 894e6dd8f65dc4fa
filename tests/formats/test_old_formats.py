"""What an earlier version wrote is still read, and still means what it meant.

`0.1.0/` holds files of that version: a finished run of the smallest network on 64 px phantom hands (`old.yaml` is what
was typed), its CSVs, thresholds and scores, fold files, a search (the text of its SQLite file), and a run with an
event of every kind that no service has received yet. Names of machines and people in them are invented.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configs.loading.load import as_dict, load
from data.submission.vote import vote_files
from data.tasks import TASKS
from services.flush import flush
from tests.services.kakao.runs import write_tokens
from tests.services.kakao.standin import KakaoStandIn
from tests.services.sheets.standin import SheetsStandIn
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.records.folder import RunFolder
from trainer.report.report import write_report
from trainer.runs.run import train
from trainer.search.search import search
from trainer.split import find_split

VERSION = Path(__file__).parent / "0.1.0"
RUN = Path("runs/old")
TASK = TASKS["hand_bone"]


@pytest.fixture(autouse=True)
def _in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old files lie in the working directory, which is the project's folder, and may be changed there."""
    shutil.copytree(VERSION, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr("configs.places.PROJECT", tmp_path / "copy")


def test_the_config_means_what_it_meant() -> None:
    stored = load(RUN / "config.yaml")
    assert as_dict(stored) == as_dict(load("old.yaml"))
    assert (stored.predict.threshold, stored.trainer.epochs, stored.optimizer.name) == (0.3, 100, "sgd")


def test_the_fold_files_hold_out_the_same_images() -> None:
    held_out = {sample.name for sample in find_split(load("old.yaml")).valid}
    assert held_out == json.loads((RUN / "validation.json").read_text())["images"].keys()


def test_the_weights_predict_the_same_masks() -> None:
    infer(RUN, None, Path("new.csv"))
    assert_alike(Path("new.csv"), RUN / "submission.csv")


def test_the_thresholds_give_the_same_masks() -> None:
    infer(RUN / "checkpoints" / "best.safetensors", None, Path("new.csv"), threshold="thresholds.json")
    assert_alike(Path("new.csv"), Path("tuned.csv"))


def test_the_submissions_join_to_the_same_bytes() -> None:
    vote_files([RUN / "submission.csv", Path("tuned.csv")], Path("new.csv"), TASK.classes, vote="1")
    assert Path("new.csv").read_bytes() == Path("vote.csv").read_bytes()


def test_a_submission_scores_the_same() -> None:
    score_files(TASK, Path("vote.csv"), Path("data/test"), size_hw=None, json_file=Path("new.json"), gallery=None)
    found = json.loads(Path("new.json").read_text())
    # Both are newer than the file.
    assert found.pop("confidence").keys() == {"low", "high", "groups"}
    assert len(found.pop("groups")) == len(found["images"])
    assert found == json.loads(Path("score.json").read_text())


def test_the_run_is_continued_from_its_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    before = rows_of(RUN / "metrics.csv")
    train(load("old.yaml", ["trainer.epochs=101"]), resume=True, command="")
    assert "state-00000100.pt: continuing in epoch 101 after 0 batches" in caplog.text
    after = rows_of(RUN / "metrics.csv")
    assert after[:-1] == before
    assert float(after[-1]["train_loss"]) == pytest.approx(float(before[-1]["train_loss"]), abs=0.01)
    assert json.loads((RUN / "finished.json").read_text())["epochs_done"] == 101


def test_the_report_is_drawn_from_the_old_folder() -> None:
    page = write_report(RunFolder(RUN)).read_text()
    validation = json.loads((RUN / "validation.json").read_text())
    assert f"{validation['mean_dice']:.4f}" in page


def test_the_search_is_over_and_found_the_same() -> None:
    with sqlite3.connect("runs/old-search/search.sqlite") as database:
        database.executescript(Path("runs/old-search/search.sql").read_text())
    database.close()
    before = json.loads(Path("runs/old-search/search.json").read_text())
    short = ["trainer.epochs=2", "trainer.swa_from_epoch=null", "trainer.evaluate_every=1"]
    search(Path("old.yaml"), Path("space.yaml"), 3, short)
    assert json.loads(Path("runs/old-search/search.json").read_text()) == before


@dataclass
class Services:
    """What stands in for the services that the old run would be told to."""

    slack: SlackStandIn
    kakao: KakaoStandIn
    google: SheetsStandIn
    settings: dict[str, Any]
    """What a config says of them today."""


@pytest.fixture
def services(_in_a_copy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services on loopback, and the old run's settings with their addresses."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    with SlackStandIn() as slack, KakaoStandIn() as kakao, SheetsStandIn() as google:
        write_tokens(Path(".env"), kakao)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.write_key(tmp_path / "key.json")))
        settings = json.loads(Path("runs/told/services.json").read_text())["run"]["settings"]
        settings["slack"]["base_url"] = slack.base_url
        settings["kakao"] |= {"auth_url": kakao.url, "api_url": kakao.url}
        settings["sheets"]["base_url"] = google.url
        yield Services(slack, kakao, google, settings)


def test_every_service_receives_what_it_has_missed(services: Services) -> None:
    assert flush([Path("runs")], services.settings) == 0
    assert not Path("runs/told/outbox.jsonl").exists()
    run, folds = map(shown, (message.blocks for message in services.slack.parents))
    assert "done" in run
    assert "3 folds" in folds
    for text, words in zip(services.kakao.texts_of("me"), KAKAO_WORDS, strict=True):
        assert words in text.splitlines()[0]
    (row,) = services.google.book.tab("Total").table()
    assert (row["run id"], row["Dice"], row["Radius"]) == ("abc123def456", 0.5, 0.75)


KAKAO_WORDS = ("was stopped", "goes on", "ran out of memory", "goes on", "is done", "all 3 folds joined")
"""Not the first start, which had been delivered."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_alike(one: Path, other: Path) -> None:
    """The same rows, and but for rounding on another processor the same pixels."""
    pair = [rows_of(path) for path in (one, other)]
    names = [[(row["image_name"], row["class"]) for row in rows] for rows in pair]
    assert names[0] == names[1]
    pixels = [{(place, pixel) for place, row in enumerate(rows) for pixel in pixels_of(row["rle"])} for rows in pair]
    assert pixels[1]
    assert 2 * len(pixels[0] & pixels[1]) / (len(pixels[0]) + len(pixels[1])) > 0.99


def pixels_of(rle: str) -> Iterator[int]:
    numbers = [int(number) for number in rle.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        yield from range(start, start + length)
