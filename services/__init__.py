"""Who hears of a run. A new channel is one file and one line here; its builder's arguments are its keys in YAML."""

from __future__ import annotations

from services import slack
from services.channel import Kind

CHANNELS: dict[str, Kind] = {
    "slack": Kind(slack.slack, slack.missing),
}
