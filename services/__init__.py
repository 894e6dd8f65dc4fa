"""The table of channels. A new channel is one file and one line here; its builder's arguments are its keys in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services import kakao, mlflow, sheets, slack
from services.channel import Kind
from services.secrets import MalformedSecret, Secrets


def kind_of(channel: Any, build: Any) -> Kind:
    """Return a row of the table. One malformed secret switches off its own channel, and not the others."""

    def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
        try:
            why: str | None = channel.missing(secrets, settings)
        except MalformedSecret as error:
            return str(error)
        return why

    return Kind(build, missing)


CHANNELS: dict[str, Kind] = {
    "slack": kind_of(slack, slack.slack),
    "kakao": kind_of(kakao, kakao.kakao),
    "sheets": kind_of(sheets, sheets.sheets),
    "mlflow": kind_of(mlflow, mlflow.mlflow),
}
