"""Whatever a service answers, no secret reaches a message, the log or a file of the run, in any notation."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from services import CHANNELS
from services.channel import Context, NotDelivered, QueuedEvent, Refused
from services.delivery.run_memory import RunMemory
from services.secrets import Secrets
from tests.services.channels import facts, finished, started
from tests.standin import Answer, Request, StandIn
from utils.events import Event

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-1%2F+&=x/y\\\\z",
    "KAKAO_ACCESS_TOKEN": "kakao%access+token/1=",
    "KAKAO_REFRESH_TOKEN": "kakao%refresh+token/2=",
    "KAKAO_REST_API_KEY": "kakao&rest+key",
    "KAKAO_CLIENT_SECRET": "kakao?client#secret",
    "MLFLOW_TRACKING_USERNAME": "kim",
    "MLFLOW_TRACKING_PASSWORD": "p@ss w\u00f6rd/'\"1",
}


class Parrot(StandIn):
    """Repeats everything it was told, wherever a service may put a message."""

    status = 200

    def reply(self, request: Request) -> Answer:
        if request.path.endswith("access_token_info"):
            return Answer(200, {})
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        told = (
            f"{quote(token)} {token!r} {request.path} {dict(request.headers)} {request.body.decode(errors='replace')}"
        )
        body = {"ok": False, "error": told, "msg": told, "message": told, "code": -4000, "error_code": told}
        return Answer(self.status, {**body, "error_description": told, "needed": told})


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    with Parrot() as running:
        yield running


def settings_of(name: str, url: str) -> Mapping[str, Any]:
    settings: dict[str, Mapping[str, Any]] = {
        "slack": {"channel": "#runs", "base_url": f"{url}/api/"},
        "webhook": {},
        "kakao": {"auth_url": url, "api_url": url, "friends": ("uuid-ann",)},
        "mlflow": {},
    }
    return settings[name]


NOTATIONS: tuple[Callable[[str], str], ...] = (
    str,
    lambda value: repr(value)[1:-1],
    lambda value: json.dumps(value)[1:-1],
    quote,
    lambda value: quote(value, safe=""),
    quote_plus,
    lambda value: b64encode(f"kim:{value}".encode()).decode(),
)


@pytest.mark.parametrize("name", ["slack", "webhook", "kakao", "mlflow"])
def test_a_service_that_repeats_every_secret_gets_none_written(
    tmp_path: Path, parrot: Parrot, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    caplog.set_level("DEBUG")
    secrets = {
        **SECRETS,
        "MLFLOW_TRACKING_URI": f"http://kim:{quote(SECRETS['MLFLOW_TRACKING_PASSWORD'], safe='')}@127.0.0.1:1",
    }
    secrets["MLFLOW_TRACKING_URI"] = secrets["MLFLOW_TRACKING_URI"].replace("127.0.0.1:1", parrot.url[7:])
    if name == "webhook":
        secrets = {"SLACK_WEBHOOK_URL": f"{parrot.url}/services/T1/B2/s3cret-of-the-hook"}
    for each, value in secrets.items():
        monkeypatch.setenv(each, value)  # as the environment of a run holds them
    kind, written = CHANNELS["slack" if name == "webhook" else name], []
    for number, parrot.status in enumerate((200, 400, 403, 404, 500)):
        folder = tmp_path / str(number)
        context = Context(facts(folder), Secrets(folder / ".env", secrets), RunMemory(folder).block(name))
        channel = kind.build(context, **settings_of(name, parrot.url))
        events: tuple[Event, ...] = (started(), finished())
        for id, event in enumerate(events):
            try:
                channel.deliver(QueuedEvent(f"e{id}", 1.0, event, id + 1))
            except (NotDelivered, Refused) as error:
                written.append(f"{error} {error!r} {error.args}")
        written += [path.read_text() for path in folder.rglob("*.json")]
    assert len([each for each in written if "Error" in each or "(" in each]) >= 5
    everything = "\n".join([*written, *(record.getMessage() for record in caplog.records)])
    for value in [value for each, value in secrets.items() if each != "MLFLOW_TRACKING_USERNAME"]:
        for notation in NOTATIONS:
            assert notation(value) not in everything, (name, notation(value))
