from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.kakao.tokens import Tokens
from services.secrets import Secrets, read_env
from tests.root import ROOT
from tests.services.kakao.runs import write_tokens
from tests.services.kakao.standin import DAY_S, KakaoStandIn

KILLED, DONE = 9, 0
CLOSELY = 25
"""Lines of ours after the answer that are tried one by one: to read it takes fewer. Elsewhere every seventh is."""
STEP = 7


@pytest.fixture
def killed_at(tmp_path: Path, standin: KakaoStandIn) -> Iterator[Callable[[int], int]]:
    """Renew, killed before the given line; the process's exit code."""
    write_tokens(tmp_path / ".env", standin)
    command = [sys.executable, "tests/services/kakao/killed.py", str(tmp_path / ".env"), standin.url]
    with subprocess.Popen(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        asks, answers = helper.stdin, helper.stdout

        def kill(line: int) -> int:
            asks.write(f"{line}\n")
            asks.flush()
            return int(answers.readline())

        kill(0)  # the helper has renewed once, to have every import done
        yield kill
        asks.close()


def test_a_kill_at_any_moment_loses_no_token(
    tmp_path: Path, standin: KakaoStandIn, killed_at: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few lines, and at every line from the moment that Kakao has answered and the old token is dead."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    env, line, code, close_until = tmp_path / ".env", 0, KILLED, 0
    while code == KILLED:
        standin.refresh = dict.fromkeys(standin.refresh, standin.now() + 29 * DAY_S)  # the next renewal rotates
        asked = len(standin.requests)
        code = killed_at(line)
        is_first_answer = not close_until and len(standin.requests) > asked
        assert read_env(env)["KAKAO_REST_API_KEY"] == standin.rest_api_key, "the file is whole after every kill"
        token = Tokens(Secrets(env, {}), standin.url).renew()
        assert token.value in standin.access
        assert list(standin.refresh) == [read_env(env)["KAKAO_REFRESH_TOKEN"]], f"killed at line {line}"
        if is_first_answer:
            line, close_until = line - STEP, line + CLOSELY
        line += 1 if line < close_until else STEP
    assert code == DONE, line
    assert line > close_until > 100
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "state") == [".env", ".env.lock"]
