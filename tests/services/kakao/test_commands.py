from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.env_file import change_env
from services.kakao import __main__ as kakao
from services.secrets import read_env
from tests.root import ROOT
from tests.services.kakao.runs import befriend, write_tokens
from tests.services.kakao.standin import DAY_S, KakaoStandIn
from utils.errors import UserError

Call = Callable[..., str]


@pytest.fixture
def call(
    tmp_path: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """`python -m services.kakao …` on a `.env` of the test; what it writes."""
    monkeypatch.setattr(kakao, "log_to_console", lambda: None)

    def called(command: str, *arguments: str) -> str:
        place = ["--env-file", str(tmp_path / ".env"), "--auth-url", standin.url]
        place += ["--api-url", standin.url] if command == "friends" else []
        monkeypatch.setattr(sys, "argv", ["kakao", command, *place, *arguments])
        kakao.main()
        return capsys.readouterr().out

    return called


def test_the_first_token_in_two_steps(tmp_path: Path, standin: KakaoStandIn, call: Call) -> None:
    change_env(tmp_path / ".env", {"KAKAO_REST_API_KEY": standin.rest_api_key})
    change_env(tmp_path / ".env", {"KAKAO_CLIENT_SECRET": "the-client-secret"})
    output = call("login")
    assert f"{standin.url}/oauth/authorize?client_id=the-rest-api-key&redirect_uri=https://localhost" in output
    output = call("login", "--code", f"https://localhost/?code={standin.agree()}&state=x")
    found = read_env(tmp_path / ".env")
    assert found["KAKAO_ACCESS_TOKEN"] in standin.access
    assert found["KAKAO_REFRESH_TOKEN"] in standin.refresh
    assert "Logged in." in output
    assert not any(value in output for value in found.values() if value in {*standin.access, *standin.refresh})
    assert "Logged in." in call("login", "--code", standin.agree())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], r"KAKAO_REST_API_KEY is not set.*Copy the REST API key"),
        (["--code", "https://localhost/?error=access_denied"], "was not agreed to"),
        (["--code", "x"], "KAKAO_REST_API_KEY is not set"),
    ],
)
def test_a_login_that_cannot_work_is_one_sentence(call: Call, arguments: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        call("login", *arguments)


def test_a_friend_s_login_is_finished_and_nothing_of_it_kept(tmp_path: Path, standin: KakaoStandIn, call: Call) -> None:
    write_tokens(tmp_path / ".env", standin)
    before, access = (tmp_path / ".env").read_bytes(), set(standin.access)
    output = call("login", "--friend", "--code", f"https://localhost/?code={standin.agree()}")
    assert "linked to the app" in output
    assert set(standin.access) > access, "Kakao asks for the whole login"
    assert (tmp_path / ".env").read_bytes() == before
    with pytest.raises(UserError, match="it serves once"):
        call("login", "--friend", "--code", "stale")


def test_all_friends_are_listed_over_several_pages(tmp_path: Path, standin: KakaoStandIn, call: Call) -> None:
    write_tokens(tmp_path / ".env", standin)
    uuids = befriend(standin, "ann", "김철수", "bob", "이영희", "dana", "eun", "finn")
    output = call("friends")
    assert all(output.count(uuid) == 2 for uuid in uuids)
    assert output.startswith("ann     uuid-ann\n김철수  uuid-김철수\n")
    assert output.endswith("    - uuid-finn  # finn\n")
    assert sum(request.path == "/v1/api/talk/friends" for request in standin.requests) == 3


def test_friends_with_a_token_that_ran_out(tmp_path: Path, standin: KakaoStandIn, call: Call) -> None:
    write_tokens(tmp_path / ".env", standin)
    standin.access.clear()
    assert call("friends").startswith("No friends. Each must be a member of the app's team")


def test_friends_without_consent_is_told_with_the_way_out(tmp_path: Path, standin: KakaoStandIn, call: Call) -> None:
    write_tokens(tmp_path / ".env", standin)
    standin.consented = {"talk_message"}
    with pytest.raises(UserError, match="oauth/authorize"):
        call("friends")


def program(name: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", f"services.{name}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_refreshers_at_once_are_one_refresh(tmp_path: Path, standin: KakaoStandIn) -> None:
    now = standin.now()
    standin.now = lambda: now - 58 * DAY_S  # so that what is issued here is about to run out
    write_tokens(tmp_path / ".env", standin)
    standin.now = lambda: now
    options = ("--env-file", tmp_path / ".env", "--auth-url", standin.url)
    both = [program("refresh_kakao_token", *options) for _ in range(2)]
    output = "".join(each.communicate()[1] for each in both)
    assert [each.returncode for each in both] == [0, 0], output
    assert len(standin.requests) == 1
    assert output.count("renewed, until") == 1
    assert list(standin.refresh) == [read_env(tmp_path / ".env")["KAKAO_REFRESH_TOKEN"]]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("kakao", ("friends", "--api-url", "http://127.0.0.1:1"), "KAKAO_ACCESS_TOKEN is not set"),
        ("refresh_kakao_token", ("--margin", 6), "--margin: expected hours"),
        ("sheet_kakao_key_update", (), "--sheet: name the spreadsheet"),
        ("sheet_pull_kakao_key", ("--sheet", "short"), "is neither a spreadsheet's address nor its ID"),
    ],
)
def test_each_program_ends_a_user_s_fault_with_a_sentence_and_2(
    tmp_path: Path, name: str, arguments: tuple[object, ...], words: str
) -> None:
    done = program(name, *arguments, "--env-file", tmp_path / ".env")
    out, output = done.communicate()
    assert (done.returncode, out) == (2, ""), output
    assert words in output
    assert output.count("\n") == 1
