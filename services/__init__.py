"""The table of channels. A new channel is one file and one line here; its builder's arguments are its keys in YAML."""

from __future__ import annotations

from services import apprise, kakao, mlflow, sheets, slack
from services.channel import Kind

CHANNELS: dict[str, Kind] = {
    "slack": Kind(slack.slack, slack.missing),
    "kakao": Kind(kakao.KakaoTalk, kakao.missing),
    "sheets": Kind(sheets.Spreadsheet, sheets.missing),
    "mlflow": Kind(mlflow.Mlflow, mlflow.missing),
    "apprise": Kind(apprise.Apprise, apprise.missing, apprise.parts),
}
