"""Slack: one message per run that is edited during the run, and a thread below it for new bests, the end and errors.

That needs a bot token. With the address of an incoming webhook alone, start, end and errors are single messages.
docs/services/slack.md says how to set up either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.channel import OCCASIONS, Address, Channel, Context, Occasion
from services.secrets import Secrets
from services.slack.bot import SlackBot, SlackSettings
from services.slack.webhook import SlackWebhook

TOKEN, WEBHOOK = "SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL"
BOT_TOKENS = ("xoxb-", "xoxe.xoxb-")


def _user_id(value: str) -> str:
    if not (value[:1] in ("U", "W") and value.isalnum() and value.isupper() and len(value) >= 9):
        raise ValueError(
            f"expected a member ID such as U012AB3CD (in Slack: profile, ⋮, Copy member ID), got {value[:40]!r}"
        )
    return value


Owner = Annotated[str, AfterValidator(_user_id)]
Interval = Annotated[float, Field(ge=10, le=3600)]


def slack(
    context: Context,
    *,
    enabled: bool = True,
    channel: str | None = None,
    owner: Owner | None = None,
    events: tuple[Occasion, ...] = OCCASIONS,
    update_every_s: Interval = 30.0,
    base_url: Address = "https://slack.com/api/",
) -> Channel:
    """A message per run in a Slack channel, edited in place, with a thread. Secrets: SLACK_BOT_TOKEN, or else
    SLACK_WEBHOOK_URL for start, end and errors alone.

    enabled: `false` to send nothing there.
    channel: ID (`C012AB3CD`) or name of the channel; a name that begins with # needs quotes.
    owner: member ID (`U012AB3CD`) of whom to call when a run fails.
    events: what deserves a message; `progress` edits the run's message, `best` tells new best scores in its thread.
    update_every_s: least seconds between two edits of progress.
    base_url: where Slack's Web API is.
    """
    settings = SlackSettings(channel, owner, frozenset(events), update_every_s, base_url)
    if _works_as_bot(context.secrets, channel):
        return SlackBot(context, settings)
    return SlackWebhook(context, settings)


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """The reason why Slack cannot be used, in a few words; None if it can be tried."""
    token, webhook, channel = secrets.get(TOKEN), secrets.get(WEBHOOK), settings.get("channel")
    if _works_as_bot(secrets, channel):
        return None
    if webhook:
        return None if webhook.startswith(("https://", "http://")) else f"{WEBHOOK} is not an address (https://…)"
    if not token:
        return f"{TOKEN} is not set"
    if not channel:
        return "services.slack.channel is not set (a name that begins with # needs quotes in YAML)"
    return f"{TOKEN} is not a bot's: those begin with xoxb-"


def _works_as_bot(secrets: Secrets, channel: str | None) -> bool:
    return bool(channel) and (secrets.get(TOKEN) or "").startswith(BOT_TOKENS)
