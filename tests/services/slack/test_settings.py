from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.secrets import Secrets
from services.slack import missing, slack
from services.slack.bot import SlackBot
from services.slack.webhook import SlackWebhook
from tests.services.slack.runs import context
from tests.services.slack.standin import TOKEN
from utils.config.component import params_of


@pytest.mark.parametrize(
    ("environment", "channel", "expected"),
    [
        ({"SLACK_BOT_TOKEN": TOKEN}, "#runs", None),
        ({"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/X"}, None, None),
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/X"}, None, None),
        ({"SLACK_BOT_TOKEN": TOKEN}, None, "services.slack.channel is not set"),
        ({"SLACK_BOT_TOKEN": "xapp-1-1"}, "#runs", "SLACK_BOT_TOKEN is not a bot's"),
        ({"SLACK_WEBHOOK_URL": "T/B/X"}, None, "SLACK_WEBHOOK_URL is not an address"),
        ({"NOTHING": "x"}, "#runs", "SLACK_BOT_TOKEN is not set"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, environment: dict[str, str], channel: str | None, expected: str | None
) -> None:
    found = missing(Secrets(tmp_path / ".env", environment), {"channel": channel})
    assert found is None if expected is None else str(found).startswith(expected)


def test_a_token_wins_over_a_webhook(tmp_path: Path) -> None:
    both = context(tmp_path, SLACK_BOT_TOKEN=TOKEN, SLACK_WEBHOOK_URL="https://hooks.slack.com/services/T/B/X")
    assert isinstance(slack(both, channel="#runs"), SlackBot)
    assert isinstance(slack(both), SlackWebhook)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"owner": "@kim"}, "expected a member ID such as U012AB3CD"),
        ({"update_every_s": 5}, "10"),
        ({"base_url": "slack.com"}, "begins with https://"),
        ({"events": ["begin"]}, "start"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        params_of(slack).model_validate(settings)
