from __future__ import annotations

from pathlib import Path

import pytest

from configs.loading.load import as_dict, load
from configs.schema import Config
from services import CHANNELS, check
from services.delivery.run_memory import RunMemory
from services.previews import PREVIEWS
from services.secrets import Secrets
from tests.root import ROOT
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    return load(ROOT / "configs" / "smoke.yaml", [f"run.folder={tmp_path}", "services.slack.channel=runs"])


def with_slack(config: Config, standin: SlackStandIn, *overrides: str) -> Config:
    return load(
        ROOT / "configs" / "smoke.yaml",
        [
            f"run.folder={config.run.folder}",
            "services.slack.channel=runs",
            f"services.slack.base_url={standin.base_url}",
            *overrides,
        ],
    )


def test_every_channel_has_a_preview_and_a_name() -> None:
    assert PREVIEWS.keys() == CHANNELS.keys() == check.NAMES.keys()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_message_is_shown_and_nothing_is_needed_for_it(
    language: str, make: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load(ROOT / "configs" / "smoke.yaml", [f"services.language={language}"])
    assert check.show(config) == 0
    said = capsys.readouterr().out
    assert "Slack: off, SLACK_BOT_TOKEN is not set. How to set it up: docs/services/slack.md" in said
    assert "MLflow: off" in said
    assert said.count("  error\n") == 2 * len(CHANNELS)
    assert ("메모리" in said) is (language == "ko")


def test_a_channel_that_is_switched_off_shows_nothing(make: Config, capsys: pytest.CaptureFixture[str]) -> None:
    off = [f"services.{name}.enabled=false" for name in CHANNELS]
    check.show(load(ROOT / "configs" / "smoke.yaml", off))
    assert "│" not in capsys.readouterr().out


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_takes_the_test(name: str, make: Config, tmp_path: Path) -> None:
    settings, memory = as_dict(make.services), RunMemory(tmp_path)
    context = check.context_of(make, settings, Secrets(tmp_path / ".env", {}), memory, name)
    start, *_, stop, _, _ = check.example_events(context.facts)
    channel = CHANNELS[name].build(context)
    assert channel.accepts(start.event)
    assert channel.accepts(stop.event)


@pytest.mark.parametrize("overrides", [[], ["services.slack.events=[end]"]], ids=["all events", "end"])
def test_one_test_is_really_sent(
    overrides: list[str],
    make: Config,
    workspace: SlackStandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    assert check.send(with_slack(make, workspace, *overrides)) == 0
    (message,) = workspace.parents
    assert "smoke (services.check)" in shown(message.blocks)
    assert "interrupted" in shown(message.blocks), "it does not look like a run that goes on"
    assert "Slack: sent, look there" in capsys.readouterr().out
    assert not list(make.run.folder.glob("services-check*"))


def test_what_goes_wrong_is_said_with_the_way_out(
    make: Config, workspace: SlackStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-another-one")
    assert check.send(with_slack(make, workspace)) == 2
    said = capsys.readouterr().out
    assert "Slack: not sent." in said
    assert "SLACK_BOT_TOKEN" in said
    assert "xoxb-another-one" not in said
