from __future__ import annotations

import itertools
import logging
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.channel import NotDelivered, Refused
from services.env_file import change_env
from services.kakao.renewal import authorize_url, consent_url
from services.kakao.tokens import Tokens, read_time, write_time
from services.secrets import Secrets, fingerprint, read_env
from tests.services.kakao.runs import write_tokens
from tests.services.kakao.standin import DAY_S, HOUR_S, KakaoStandIn
from tests.standin import Answer, Fault, Request
from utils.errors import UserError
from utils.redact import looks_secret

NOW = 1_800_000_000.0


@pytest.fixture
def env(tmp_path: Path, standin: KakaoStandIn) -> Path:
    standin.now = lambda: NOW
    path = tmp_path / ".env"
    path.write_text("# ours\nSLACK_BOT_TOKEN=xoxb-1  # stays\n")
    path.chmod(0o600)
    write_tokens(path, standin)
    return path


def tokens(env: Path, standin: KakaoStandIn, *, wait_s: float = 30.0) -> Tokens:
    return Tokens(Secrets(env, {}), standin.url, now=standin.now, wait_s=wait_s)


def asked(standin: KakaoStandIn) -> int:
    return sum(request.path == "/oauth/token" for request in standin.requests)


def turn(standin: KakaoStandIn, seconds: float) -> None:
    now = standin.now()
    standin.now = lambda: now + seconds


def test_a_token_with_time_left_is_not_renewed(env: Path, standin: KakaoStandIn) -> None:
    before = env.read_bytes()
    turn(standin, 2.9 * HOUR_S)
    assert not tokens(env, standin).renew().renewed
    assert (asked(standin), env.read_bytes()) == (0, before)


def test_a_token_is_renewed_when_little_time_is_left(env: Path, standin: KakaoStandIn) -> None:
    before = read_env(env)
    turn(standin, 3.1 * HOUR_S)
    found = tokens(env, standin).renew()
    after = read_env(env)
    assert found.renewed
    assert after["KAKAO_ACCESS_TOKEN"] == found.value != before["KAKAO_ACCESS_TOKEN"]
    assert read_time(after["KAKAO_ACCESS_TOKEN_EXPIRES_AT"]) == standin.now() + 21599
    assert after["KAKAO_REFRESH_TOKEN"] == before["KAKAO_REFRESH_TOKEN"], "none came, so the old one stays"
    assert env.read_text().startswith("# ours\nSLACK_BOT_TOKEN=xoxb-1  # stays\n")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in env.parent.iterdir()) == [".env", ".env.lock"]


def test_an_hourly_look_never_lets_a_token_run_out(env: Path, standin: KakaoStandIn) -> None:
    for _ in range(24):
        assert standin.access[tokens(env, standin).renew().value] - standin.now() > 2 * HOUR_S
        turn(standin, HOUR_S)
    assert asked(standin) == 7  # every third hour, from the third on


def test_months_of_renewals_follow_every_rotation(env: Path, standin: KakaoStandIn) -> None:
    seen = set()
    for _ in range(20):
        turn(standin, 10 * DAY_S)
        tokens(env, standin).renew()
        seen.add(read_env(env)["KAKAO_REFRESH_TOKEN"])
        assert list(standin.refresh) == [read_env(env)["KAKAO_REFRESH_TOKEN"]]
    assert len(seen) == 7  # of its 60 days each lives 30 before it is replaced: in 200 days, six times


def test_a_refresh_token_from_the_environment_goes_on_in_the_file(tmp_path: Path, standin: KakaoStandIn) -> None:
    _, refresh = standin.log_in()
    environment = {"KAKAO_REFRESH_TOKEN": refresh, "KAKAO_REST_API_KEY": standin.rest_api_key}
    environment |= {"KAKAO_CLIENT_SECRET": "the-client-secret"}
    turn(standin, 31 * DAY_S)
    secrets = Secrets(tmp_path / ".env", environment)
    Tokens(secrets, standin.url, now=standin.now).renew()
    assert read_env(tmp_path / ".env")["KAKAO_REFRESH_TOKEN"] == secrets.newest("KAKAO_REFRESH_TOKEN") != refresh


def test_a_token_that_nobody_knows_the_age_of_is_renewed(env: Path, standin: KakaoStandIn) -> None:
    change_env(env, {"KAKAO_ACCESS_TOKEN_EXPIRES_AT": "soon"})
    assert tokens(env, standin).renew().renewed


def test_a_refused_token_is_renewed_unless_somebody_has_done_so(env: Path, standin: KakaoStandIn) -> None:
    first = read_env(env)["KAKAO_ACCESS_TOKEN"]
    second = tokens(env, standin).renew(refused=first)
    assert second.renewed
    third = tokens(env, standin).renew(refused=first)
    assert (third.value, third.renewed, asked(standin)) == (second.value, False, 1)


def test_of_many_at_once_one_asks(env: Path, standin: KakaoStandIn) -> None:
    turn(standin, 31 * DAY_S)
    standin.faults.append(Fault("slow", seconds=0.1))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(tokens(env, standin).renew().value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asked(standin), len(found), len(set(found))) == (1, 4, 1)
    assert list(standin.refresh) == [read_env(env)["KAKAO_REFRESH_TOKEN"]]


def test_the_login_s_code_brings_both_tokens(tmp_path: Path, standin: KakaoStandIn) -> None:
    env = tmp_path / ".env"
    change_env(env, {"KAKAO_REST_API_KEY": standin.rest_api_key, "KAKAO_CLIENT_SECRET": "the-client-secret"})
    code = standin.agree()
    found = tokens(env, standin).first(code, standin.redirect_uri)
    assert found.value in standin.access
    assert read_env(env)["KAKAO_REFRESH_TOKEN"] in standin.refresh
    with pytest.raises(Refused, match="serves once"):
        tokens(env, standin).first(code, standin.redirect_uri)
    with pytest.raises(Refused, match="redirect URI"):
        tokens(env, standin).first(standin.agree(), "https://elsewhere")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"KAKAO_CLIENT_SECRET": "wrong-secret"}, "KAKAO_CLIENT_SECRET is missing or wrong"),
        ({"KAKAO_REST_API_KEY": "wrong-key"}, "KAKAO_REST_API_KEY is not a key that Kakao knows"),
        ({"KAKAO_REFRESH_TOKEN": "dead-token"}, "KAKAO_REFRESH_TOKEN is out of date.*Log in"),
        ({"KAKAO_REFRESH_TOKEN": ""}, "KAKAO_REFRESH_TOKEN is not set"),
        ({"KAKAO_REST_API_KEY": ""}, "KAKAO_REST_API_KEY is not set"),
    ],
)
def test_what_only_a_person_can_mend_is_a_sentence(
    env: Path, standin: KakaoStandIn, changes: dict[str, str], words: str
) -> None:
    change_env(env, changes)
    before = env.read_bytes()
    turn(standin, 4 * HOUR_S)
    with pytest.raises(Refused, match=words) as caught:
        tokens(env, standin).renew()
    assert env.read_bytes() == before
    assert not any(value and value in str(caught.value) for value in changes.values())


@pytest.mark.parametrize(
    ("fault", "words", "retry_after_s"),
    [
        (Fault("answer", Answer(503, "down", {"Retry-After": "7"})), "has a fault of its own", 7.0),
        (Fault("answer", Answer(200, "<html>")), "holds no token", None),
        (Fault("answer", Answer(200, {"access_token": "", "expires_in": 5})), "holds no token", None),
        (Fault("answer", Answer(200, {"access_token": "a", "expires_in": "x"})), "holds no token", None),
        (Fault("answer", Answer(400, {"error": "x", "error_code": "KOE237"})), "too many tokens", 600.0),
        (Fault("answer", Answer(400, {"error": "x", "error_code": "KOE003"})), "KOE003", None),
        (Fault("answer", Answer(302, "", {"Location": "http://127.0.0.1:1/login"})), "redirects to 127.0.0.1:1", None),
        (Fault("reset"), "broke off", None),
    ],
)
def test_what_time_may_mend_changes_nothing(
    env: Path, standin: KakaoStandIn, fault: Fault, words: str, retry_after_s: float | None
) -> None:
    before = env.read_bytes()
    turn(standin, 31 * DAY_S)
    standin.fail(fault)
    with pytest.raises(NotDelivered, match=words) as caught:
        tokens(env, standin).renew()
    assert caught.value.retry_after_s == retry_after_s
    assert env.read_bytes() == before
    assert not env.with_name(".env.renewal").exists()
    assert tokens(env, standin).renew().renewed


def test_a_refresh_token_is_kept_even_where_the_access_token_is_missing(env: Path, standin: KakaoStandIn) -> None:
    standin.fail(Fault("answer", Answer(200, {"refresh_token": "rotated-token"})))
    with pytest.raises(NotDelivered, match="without an access token"):
        tokens(env, standin).renew(margin_s=DAY_S)
    assert read_env(env)["KAKAO_REFRESH_TOKEN"] == "rotated-token"


def test_a_lost_answer_that_rotated_ends_in_a_sentence(env: Path, standin: KakaoStandIn) -> None:
    turn(standin, 31 * DAY_S)
    standin.fail(Fault("reset_after"))
    with pytest.raises(NotDelivered):
        tokens(env, standin).renew()
    with pytest.raises(Refused, match=r"python -m services\.kakao login"):
        tokens(env, standin).renew()


def test_a_full_disk_is_found_out_before_anything_is_asked(
    env: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match="no token was asked for"):
        tokens(env, standin).renew(margin_s=DAY_S)
    assert asked(standin) == 0


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_disk_that_fails_after_the_answer_costs_no_token(
    env: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "I/O error")

    turn(standin, 31 * DAY_S)
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(UserError, match="could not be written"):
            tokens(env, standin).renew()
    assert stat.S_IMODE(env.with_name(".env.renewal").stat().st_mode) == 0o600
    found = tokens(env, standin).renew()
    assert (found.renewed, asked(standin)) == (False, 1)
    assert list(standin.refresh) == [read_env(env)["KAKAO_REFRESH_TOKEN"]]


@pytest.fixture
def heeded() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, which a shell switches off for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_being_stopped_waits_until_the_new_tokens_are_in_place(
    env: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, reply = read_env(env)["KAKAO_REFRESH_TOKEN"], standin.reply
    turn(standin, 31 * DAY_S)

    def stop_before_the_answer(request: Request) -> Answer:
        os.kill(os.getpid(), signal.SIGINT)
        return reply(request)

    monkeypatch.setattr(standin, "reply", stop_before_the_answer)
    with pytest.raises(KeyboardInterrupt):
        tokens(env, standin).renew()
    assert read_env(env)["KAKAO_REFRESH_TOKEN"] != old
    assert list(standin.refresh) == [read_env(env)["KAKAO_REFRESH_TOKEN"]]
    assert read_env(env)["KAKAO_ACCESS_TOKEN"] in standin.access


def test_new_tokens_are_known_as_secrets_at_once(
    env: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(standin, "numbers", itertools.repeat("named-in-no-other-test"))
    found = tokens(env, standin).renew(margin_s=DAY_S)
    assert looks_secret(f"token {found.value}")
    assert found.value not in caplog.text


def test_times_and_fingerprints_are_read_back() -> None:
    assert write_time(NOW) == "2027-01-15T08:00:00+00:00"
    assert read_time(write_time(NOW)) == NOW
    assert [read_time(text) for text in (None, "", "soon", "2027-01-15T08:00:00")] == [None] * 4
    assert len(fingerprint("a")) == 8


def test_the_consent_address_holds_no_key() -> None:
    url = authorize_url("https://kauth.kakao.com/", "https://localhost", "the-key")
    assert url == (
        "https://kauth.kakao.com/oauth/authorize?client_id=the-key&redirect_uri=https://localhost&response_type=code"
        "&scope=talk_message,friends"
    )
    assert "client_id=<KAKAO_REST_API_KEY>&redirect_uri=<redirect URI>" in consent_url("https://kauth.kakao.com")
