from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.secrets import Secrets
from tests.root import ROOT
from utils.errors import UserError
from utils.redact import SECRET_NAMES, redact

OTHERS = ("GOOGLE_APPLICATION_CREDENTIALS", "MLFLOW_TRACKING_URI", "KAKAO_SHEET_ID", "MLFLOW_TRACKING_USERNAME")


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("# ours\nSLACK_BOT_TOKEN=in the file\nKAKAO_ACCESS_TOKEN='from the file'\nEMPTY=\n")
    path.chmod(0o600)
    return path


def test_the_environment_wins_but_for_what_is_renewed_in_the_file(env_file: Path) -> None:
    secrets = Secrets(env_file, {"SLACK_BOT_TOKEN": "just exported", "KAKAO_ACCESS_TOKEN": "exported long ago"})
    assert secrets.get("SLACK_BOT_TOKEN") == "just exported"
    assert secrets.newest("KAKAO_ACCESS_TOKEN") == "from the file"
    assert secrets.get("EMPTY") is None
    assert secrets.get("NOWHERE") is None


def test_a_token_that_was_renewed_is_seen_at_once(env_file: Path) -> None:
    secrets = Secrets(env_file, {})
    assert secrets.newest("KAKAO_ACCESS_TOKEN") == "from the file"
    other = env_file.with_name("new")
    other.write_text("KAKAO_ACCESS_TOKEN=renewed\n")
    other.chmod(0o600)
    os.replace(other, env_file)
    assert secrets.newest("KAKAO_ACCESS_TOKEN") == "renewed"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_not_used(env_file: Path, mode: int) -> None:
    env_file.chmod(mode)
    with pytest.raises(UserError, match=r"other users .* chmod 600"):
        Secrets(env_file, {}).get("SLACK_BOT_TOKEN")
    assert Secrets(env_file, {"SLACK_BOT_TOKEN": "x"}).get("SLACK_BOT_TOKEN") == "x"


def test_a_file_that_is_no_text_is_told(env_file: Path) -> None:
    env_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"NAME=value"):
        Secrets(env_file, {}).get("SLACK_BOT_TOKEN")


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert Secrets(tmp_path / ".env", {}).get("SLACK_BOT_TOKEN") is None


def test_what_was_read_is_masked_from_then_on_and_shown_by_nobody(env_file: Path) -> None:
    secrets = Secrets(env_file, {})
    secrets.get("KAKAO_ACCESS_TOKEN")
    assert redact("sent 'from the file'") == "sent '***'"
    assert "file" not in repr(secrets).replace(str(env_file), "")


def test_the_example_documents_every_variable() -> None:
    example = (ROOT / ".env.example").read_text()
    names = [line.rstrip("=") for line in example.splitlines() if line and not line.startswith("#")]
    assert {*SECRET_NAMES, *OTHERS} - {"MLFLOW_TRACKING_TOKEN"} == set(names)
