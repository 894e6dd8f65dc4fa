"""Runs, events and a sender's `.env`, for the tests of KakaoTalk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.channel import Context, Language, QueuedEvent, RunFacts
from services.delivery.run_memory import RunMemory
from services.env_file import change_env
from services.kakao import KakaoTalk
from services.kakao.tokens import write_time
from services.secrets import Secrets
from tests.services import channels
from tests.services.kakao.standin import ACCESS_S, Buddy, KakaoStandIn
from utils.events import Event, RunFinished, RunStarted

NAMES = ("me", "ann", "bob", "chulsoo", "dana", "eun", "finn", "gil")
START = RunStarted("mine", Path("runs/mine"), 50, 0, 640, 160, "Tesla V100", "fp16")
END = RunFinished("mine", Path("runs/mine"), 50, 0.97123, 36, 7500.0, False)


def write_tokens(path: Path, standin: KakaoStandIn, *, with_refresh: bool = True) -> None:
    """Log in, and write the tokens to a `.env`."""
    access, refresh = standin.log_in()
    values = {"KAKAO_ACCESS_TOKEN": access, "KAKAO_ACCESS_TOKEN_EXPIRES_AT": write_time(standin.now() + ACCESS_S)}
    if with_refresh:
        values |= {"KAKAO_REST_API_KEY": standin.rest_api_key, "KAKAO_REFRESH_TOKEN": refresh}
        values |= {"KAKAO_CLIENT_SECRET": standin.client_secret or ""}
    change_env(path, values)


def befriend(standin: KakaoStandIn, *names: str) -> tuple[str, ...]:
    """Give the sender friends; returns their uuids."""
    standin.friends = [Buddy(f"uuid-{name}", name) for name in names]
    return tuple(friend.uuid for friend in standin.friends)


def facts(folder: Path, title: str = "mine", **changes: Any) -> RunFacts:
    values = {"run_id": "r1", "title": title, "fold": None, "commit": None, "dirty": False, "config": {}, **changes}
    return channels.facts(folder, **values)


def channel(folder: Path, standin: KakaoStandIn, *, language: Language = "en", **settings: Any) -> KakaoTalk:
    """The channel of a run, with the `.env` in the run's folder."""
    secrets = Secrets(folder / ".env", {})
    context = Context(facts(folder), secrets, RunMemory(folder).block("kakao"), language)
    made = KakaoTalk(context, auth_url=standin.url, api_url=standin.url, **settings)
    made.now = made.tokens.now = lambda: standin.now()
    return made


def queued(event: Event, standin: KakaoStandIn, id: str = "e1") -> QueuedEvent:
    return QueuedEvent(id, standin.now(), event)
