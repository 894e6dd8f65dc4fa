from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from services.channel import NotDelivered, Refused
from services.kakao.turns import TurnResult, parser_of, run_turns
from utils.errors import UserError
from utils.lock import Busy


def parsed(env: Path, *arguments: str) -> argparse.Namespace:
    return parser_of("x", "x", interval_s=30).parse_args(["--env-file", str(env), *arguments])


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the program would have slept."""
    spans: list[float] = []
    monkeypatch.setattr("time.sleep", spans.append)
    return spans


def failing(error: Exception) -> Callable[[], TurnResult]:
    def turn() -> TurnResult:
        raise error

    return turn


def test_one_turn_is_the_default(tmp_path: Path, slept: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run_turns("x", parsed(tmp_path), lambda: TurnResult(True, "renewed"))
    run_turns("x", parsed(tmp_path), lambda: TurnResult(False, "the same"))
    assert caplog.messages == ["renewed"], "cron mails what is written, so nothing new is no line"
    assert slept == [0.0, 0.0]


def test_a_loop_keeps_its_interval_and_says_what_changes(
    tmp_path: Path, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    turns = iter([TurnResult(False, "good"), TurnResult(False, "good"), TurnResult(True, "renewed")])

    def turn() -> TurnResult:
        try:
            return next(turns)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        run_turns("x", parsed(tmp_path, "--loop", "--interval", "30"), turn)
    assert caplog.messages == ["good", "renewed"]
    jitters, pauses = slept[::2], slept[1::2]
    assert all(0 <= span <= 5 for span in jitters)
    assert len(set(jitters)) > 1
    assert all(29 < span <= 30 for span in pauses)


@pytest.mark.parametrize("error", [NotDelivered("no answer"), Busy("somebody else")])
def test_failures_that_pass_are_an_error_once_in_so_many(
    tmp_path: Path, slept: list[float], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level(logging.INFO)
    arguments = parsed(tmp_path / ".env", "--max-failures", "3")
    for _ in range(2):
        for _ in range(2):
            run_turns("x", arguments, failing(error))
        with pytest.raises(UserError, match=r"failed [36] times in a row"):
            run_turns("x", arguments, failing(error))
    run_turns("x", arguments, lambda: TurnResult(False, "good"))
    run_turns("x", arguments, failing(error))
    assert [message for message in caplog.messages if "failure 1 in a row" in message] == [
        f"{error}; failure 1 in a row, tried again next time"
    ] * 2


def test_each_program_and_each_env_file_counts_for_itself(tmp_path: Path, slept: list[float]) -> None:
    for name, env in (("x", "a"), ("y", "a"), ("x", "b")):
        run_turns(name, parsed(tmp_path / env, "--max-failures", "2"), failing(NotDelivered("no answer")))
    with pytest.raises(UserError):
        run_turns("x", parsed(tmp_path / "a", "--max-failures", "2"), failing(NotDelivered("no answer")))


def test_a_loop_outlives_a_service_that_is_down(
    tmp_path: Path, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    left = [NotDelivered("no answer")] * 5

    def turn() -> TurnResult:
        if not left:
            raise Refused("The key is wrong.")
        raise left.pop()

    with pytest.raises(UserError, match="The key is wrong"):
        run_turns("x", parsed(tmp_path, "--loop", "--max-failures", "2"), turn)
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["ERROR"] * 2


def test_where_nothing_can_be_counted_the_program_still_runs(slept: list[float]) -> None:
    nowhere = Path("/dev/null/.env")
    run_turns("x", parsed(nowhere, "--max-failures", "2"), failing(NotDelivered("no answer")))
    run_turns("x", parsed(nowhere), lambda: TurnResult(False, "good"))


@pytest.mark.parametrize("arguments", [("--interval", "-1"), ("--max-failures", "0"), ("--jitter", "x")])
def test_options_out_of_range_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        parsed(tmp_path, *arguments)
