"""Whole training runs with Slack, KakaoTalk, the sheet and MLflow listening; all stand in on loopback but MLflow."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from configs.loading.load import as_dict
from configs.schema import Config
from data.hand_bone.classes import BONES
from services.flush import flush
from services.secrets import read_env
from tests.services.kakao.runs import write_tokens
from tests.services.kakao.standin import KakaoStandIn
from tests.services.sheets.standin import BOOK, SheetsStandIn
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn
from tests.standin import Answer, Fault, StandIn, until
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from utils.errors import Interrupted
from utils.events import EpochEnded, Event

Make = Callable[..., Config]
LONG_S = 120.0


@dataclass
class Team:
    """Everybody who listens, and what a configuration says of them."""

    slack: SlackStandIn
    kakao: KakaoStandIn
    google: SheetsStandIn
    home: Path
    local_mlflow: bool = False
    secrets: list[str] = field(default_factory=list)

    @property
    def services(self) -> dict[str, Any]:
        return {
            "slack": {"channel": "runs", "base_url": self.slack.base_url},
            "kakao": {"auth_url": self.kakao.url, "api_url": self.kakao.url},
            "sheets": {"spreadsheet": BOOK, "base_url": self.google.url, "person": "kim", "server": "v100-1"},
            "mlflow": {"local": self.local_mlflow},
        }

    @property
    def standins(self) -> tuple[StandIn, ...]:
        return self.slack, self.kakao, self.google

    def fail(self, fault: Fault | None) -> None:
        for standin in self.standins:
            standin.always = fault

    def rows(self, tab: str) -> list[dict[str, Any]]:
        """Of a tab of the sheet, by header."""
        return self.google.book.tab(tab).table()


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    with SlackStandIn() as slack, KakaoStandIn() as kakao, SheetsStandIn() as google:
        write_tokens(home / ".env", kakao)
        key = google.write_key(home / "key.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        secret = json.loads(key.read_text())["private_key"].splitlines()[1]
        tokens = [value for name, value in read_env(home / ".env").items() if "EXPIRES" not in name]
        yield Team(slack, kakao, google, home, secrets=[TOKEN, secret, *tokens])


@pytest.mark.usefixtures("reports")
def test_all_services_are_informed_of_a_run_and_no_secret_is_sent(make_config: Make, team: Team) -> None:
    team.local_mlflow = True
    folder = train(make_config(services=team.services), resume=False, command="python train.py --resume")
    until(lambda: not (folder.path / "outbox.jsonl").exists())

    (message,) = team.slack.parents
    assert "done" in shown(message.blocks)
    titles = [file.title for reply in team.slack.replies(message) for file in reply.files]
    assert any("class" in title for title in titles), titles

    assert len(team.kakao.texts_of("me")) == 2, "its start and its end"

    (row,) = team.rows("Total")
    assert row["run"] == "tiny"
    scores = json.loads(folder.validation.read_text())["per_class"]
    assert {bone: row[bone] for bone in BONES} == {bone: round(scores[bone], 4) for bone in BONES}
    assert team.rows("kim")[0]["run id"] == row["run id"]

    runs = sqlite3.connect(folder.path.parent / "mlflow.db")
    assert runs.execute("select status, name from runs").fetchall() == [("FINISHED", "tiny")]
    assert runs.execute("select count(*) from metrics where key = 'dice/Lunate'").fetchone() == (2,)
    runs.close()

    written = [path for path in folder.path.parent.rglob("*") if path.is_file()]
    assert len(written) > 15
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in team.secrets if secret.encode() in content], path


FAULTS = {
    "down": Fault("reset"),
    "overloaded": Fault("answer", Answer(429, {"error": "ratelimited"}, {"Retry-After": "30"})),
    "broken": Fault("answer", Answer(500, "oops")),
    "rubbish": Fault("answer", Answer(200, "<html>welcome to the hotel's network</html>")),
    "frozen": Fault("hang", seconds=LONG_S),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("kind", FAULTS)
def test_services_that_fail_do_not_change_the_run_and_receive_all_events_once_later(
    kind: str, make_config: Make, team: Team, undisturbed: dict[str, Any]
) -> None:
    if not undisturbed:
        alone = make_config(run={"name": "alone"}, trainer={"epochs": 1})
        undisturbed |= load_file(train(alone, resume=False, command="x").best_weights)
    team.fail(FAULTS[kind])
    config = make_config(services=team.services, trainer={"epochs": 1})
    config_services = as_dict(config.services)
    folder = train(config, resume=False, command="python train.py --resume")
    weights = load_file(folder.best_weights)
    assert weights.keys() == undisturbed.keys()
    assert all((weights[name] == undisturbed[name]).all() for name in weights)

    team.fail(None)
    until(lambda: flush([folder.path], config_services) == 0 and not (folder.path / "outbox.jsonl").exists())
    assert len(team.slack.parents) == 1
    assert "done" in shown(team.slack.parents[0].blocks)
    assert len(team.kakao.texts_of("me")) == 2
    assert [row["run"] for row in team.rows("Total")] == ["tiny"]
    assert flush([folder.path], config_services) == 0
    assert len(team.kakao.texts_of("me")) == 2


class StopAfter:
    """Asks a run to stop after its first epoch."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self.asked.set()

    def stop_requested(self) -> bool:
        return self.asked.is_set()


def test_a_resumed_run_goes_on_where_people_look_for_it(make_config: Make, team: Team) -> None:
    config = make_config(services=team.services)
    with pytest.raises(Interrupted):
        train(config, resume=False, command="python train.py --resume", observer=StopAfter())
    until(lambda: not (RunFolder(config.folder).path / "outbox.jsonl").exists())
    assert "interrupted" in shown(team.slack.parents[0].blocks)
    assert team.google.book.tab("servers")
    train(config, resume=True, command="python train.py --resume")
    until(lambda: not (RunFolder(config.folder).path / "outbox.jsonl").exists())
    (message,) = team.slack.parents
    assert "done" in shown(message.blocks)
    assert len(team.rows("servers")) == 1
    assert len(team.rows("Total")) == 1


def test_a_run_says_which_services_are_off(make_config: Make, caplog: pytest.LogCaptureFixture, team: Team) -> None:
    caplog.set_level("INFO")
    services = {"sheets": {"person": "kim"}, "kakao": {"enabled": False}, "mlflow": {"local": False}}
    config = make_config(services=services, trainer={"epochs": 1})
    train(config, resume=False, command="x")
    (line,) = [record.getMessage() for record in caplog.records if "are off" in record.getMessage()]
    assert "sheets (services.sheets.spreadsheet is not set)" in line
    assert "mlflow (MLFLOW_TRACKING_URI is not set" in line
    assert "kakao" not in line
    assert "slack," in line, "for what nobody has set up a name is enough"
    assert not (RunFolder(config.folder).path / "services.json").exists()


def test_a_config_that_holds_a_token_is_refused(make_config: Make) -> None:
    with pytest.raises(Exception, match="holds a secret"):
        make_config(services={"slack": {"channel": TOKEN}})
