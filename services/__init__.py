"""Who hears of a run. A new channel is one file and one line here; its builder's arguments are its keys in YAML."""

from __future__ import annotations

from services import kakao_channel, mlflow, sheets_channel, slack
from services.channel import Kind

CHANNELS: dict[str, Kind] = {
    "slack": Kind(slack.slack, slack.missing),
    "kakao": Kind(kakao_channel.kakao, kakao_channel.missing),
    "sheets": Kind(sheets_channel.sheets, sheets_channel.missing),
    "mlflow": Kind(mlflow.mlflow, mlflow.missing),
}
