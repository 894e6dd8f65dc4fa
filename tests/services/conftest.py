"""Fixtures of the services: servers on loopback without a proxy, and clients that do not pause between tries.

MLflow's server is a real one, shared by all tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.root import ROOT
from tests.services.mlflow.server import MlflowServer
from tests.services.sheets.run import MakeRun, Run
from tests.services.sheets.standin import SheetsStandIn
from tests.services.slack.standin import SlackStandIn


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr("services.http.FIRST_PAUSE_S", 0.001)


@dataclass(frozen=True)
class Race:
    """What came of three folds that met a folder without MLflow's file at once."""

    runs: Path
    said: str
    complained: str


@pytest.fixture(scope="session")
def mlflow_race(tmp_path_factory: pytest.TempPathFactory) -> Race:
    runs = tmp_path_factory.mktemp("race") / "a?b%41 c#한"
    command = [sys.executable, "-m", "tests.services.mlflow.race", str(runs), "3"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return Race(runs, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def mlflow_server(mlflow_race: Race, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real server on a copy of the file that the race has made: to make its tables anew takes long."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(mlflow_race.runs / "mlflow.db", folder)
    server = MlflowServer(folder)
    yield server
    server.stop()


@pytest.fixture
def mlflow_runs(mlflow_race: Race, tmp_path: Path) -> Path:
    """A folder for runs with MLflow's file in it. Signs in its name have a meaning in addresses."""
    tmp_path = tmp_path / "100%? 손#1"
    tmp_path.mkdir()
    shutil.copy(mlflow_race.runs / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SheetsStandIn]:
    """Google Sheets, and clients that do not pause between tries. No other test holds a row of the board."""
    monkeypatch.setattr("google.auth._exponential_backoff.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr("services.sheets.board.LOCK", f"\0{hash(tmp_path)}-")
    with SheetsStandIn() as standin:
        yield standin


@pytest.fixture
def make_run(google: SheetsStandIn, tmp_path: Path) -> Iterator[MakeRun]:
    """Makes a run whose events go to the spreadsheet, by its id and facts."""
    runs: list[Run] = []

    def make(run_id: str = "run-1", **facts: Any) -> Run:
        runs.append(Run(google, tmp_path / run_id, run_id=run_id, **facts))
        return runs[-1]

    yield make
    for run in runs:
        run.channel.close()


@pytest.fixture
def sheet_run(make_run: MakeRun) -> Run:
    return make_run()


@pytest.fixture
def workspace() -> Iterator[SlackStandIn]:
    """Slack."""
    with SlackStandIn() as workspace:
        yield workspace
