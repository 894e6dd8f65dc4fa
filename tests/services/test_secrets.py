from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.delivery.delivery import reasons_off
from services.secrets import EXPIRES_AT, LISTS, OTHER_NAMES, VERSION, MalformedSecret, Secrets
from tests.root import ROOT
from utils.errors import UserError
from utils.redact import SECRET_NAMES, redact


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("# ours\nSLACK_BOT_TOKEN=in-the-file\nKAKAO_ACCESS_TOKEN='from-the-file'\nEMPTY=\n")
    path.chmod(0o600)
    return path


def test_the_environment_wins_but_for_what_is_renewed_in_the_file(env_file: Path) -> None:
    secrets = Secrets(env_file, {"SLACK_BOT_TOKEN": "just-exported", "KAKAO_ACCESS_TOKEN": "exported-long-ago"})
    assert secrets.get("SLACK_BOT_TOKEN") == "just-exported"
    assert secrets.newest("KAKAO_ACCESS_TOKEN") == "from-the-file"
    assert secrets.get("EMPTY") is None
    assert secrets.get("NOWHERE") is None


def test_a_token_that_was_renewed_is_seen_at_once(env_file: Path) -> None:
    secrets = Secrets(env_file, {})
    assert secrets.newest("KAKAO_ACCESS_TOKEN") == "from-the-file"
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


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"MLFLOW_X=a\x00b\n"])
def test_a_file_that_is_no_text_is_told(env_file: Path, content: bytes) -> None:
    env_file.write_bytes(content)
    with pytest.raises(UserError, match=r"NAME=value"):
        Secrets(env_file, {}).get("SLACK_BOT_TOKEN")


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert Secrets(tmp_path / ".env", {}).get("SLACK_BOT_TOKEN") is None


def test_what_was_read_is_masked_from_then_on_and_shown_by_nobody(env_file: Path) -> None:
    secrets = Secrets(env_file, {})
    secrets.get("KAKAO_ACCESS_TOKEN")
    assert redact("sent 'from-the-file'") == "sent '***'"
    assert "file" not in repr(secrets).replace(str(env_file), "")


def test_the_example_documents_every_variable() -> None:
    example = (ROOT / ".env.example").read_text()
    names = [line.rstrip("=") for line in example.splitlines() if line and not line.startswith("#")]
    assert {*SECRET_NAMES, *OTHER_NAMES} - {"MLFLOW_TRACKING_TOKEN", EXPIRES_AT, VERSION} == set(names)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("xoxb-123…", "character 9 (U+2026)"),
        ("xoxb-12...", "character 8 (…)"),
        ("xoxb-1 2", "character 7 (U+0020)"),
        ("“xoxb-12”", "character 1 (U+201C)"),
        ("'xoxb-12'", "character 1 (U+0027)"),
        ("xoxb-\u200b1", "character 6 (U+200B)"),
        ("<xoxb-12>", "character 1 (U+003C)"),
    ],
)
@pytest.mark.parametrize("name", [name for name in SECRET_NAMES if name not in ("MLFLOW_TRACKING_PASSWORD", *LISTS)])
def test_a_secret_that_was_copied_badly_is_named_and_not_shown(
    tmp_path: Path, name: str, value: str, shown: str
) -> None:
    for get in (Secrets(tmp_path / ".env", {name: value}).get, Secrets(tmp_path / ".env", {name: value}).newest):
        with pytest.raises(MalformedSecret) as caught:
            get(name)
        assert str(caught.value).startswith(f"{name}: its {shown} cannot be part of it")
        assert value not in repr(caught.value)


def test_addresses_may_have_spaces_between_them_and_no_other_strange_character(tmp_path: Path) -> None:
    good = "json://one/a\tjson://two/b"
    assert Secrets(tmp_path / ".env", {"APPRISE_URLS": good}).get("APPRISE_URLS") == good
    with pytest.raises(MalformedSecret, match=r"its character 16 \(U\+2026\)"):
        Secrets(tmp_path / ".env", {"APPRISE_URLS": "json://a json:/…"}).get("APPRISE_URLS")


def test_a_password_may_hold_any_character(tmp_path: Path) -> None:
    assert Secrets(tmp_path / ".env", {"MLFLOW_TRACKING_PASSWORD": "ä ö…"}).get("MLFLOW_TRACKING_PASSWORD") == "ä ö…"


@pytest.mark.parametrize("channel", ["slack", "kakao", "mlflow"])
def test_one_bad_secret_switches_off_its_channel_alone(tmp_path: Path, channel: str) -> None:
    names = {"slack": "SLACK_BOT_TOKEN", "kakao": "KAKAO_ACCESS_TOKEN", "mlflow": "MLFLOW_TRACKING_TOKEN"}
    secrets = Secrets(tmp_path / ".env", {names[channel]: "cut…", "MLFLOW_TRACKING_URI": "http://10.0.0.2:5000"})
    why = reasons_off({}, secrets)
    assert str(why[channel]).startswith(f"{names[channel]}: its character 4")
    assert "its character" not in str([reason for name, reason in why.items() if name != channel])


def test_variables_of_libraries_are_passed_on_and_unused_lines_are_named(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    passed_on = {"MLFLOW_S3_ENDPOINT_URL": "http://s3", "AWS_SECRET_ACCESS_KEY": "of-amazon", "https_proxy": "http://p"}
    lines = {**passed_on, "AWS_PROFILE": "file", "SLACK_BOT_TOKN": "misspelt", "EDITOR": "vi"}
    with env_file.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in lines.items())
    for name in lines:
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "shell")
    caplog.set_level("INFO")
    Secrets(env_file).export()
    assert {name: os.environ[name] for name in passed_on} == passed_on
    assert os.environ["AWS_PROFILE"] == "shell", "the environment wins"
    assert "SLACK_BOT_TOKEN" not in os.environ
    assert caplog.messages == [
        f"{env_file}: SLACK_BOT_TOKN is not used. Did you mean SLACK_BOT_TOKEN?",
        f"{env_file}: EDITOR is not used.",
    ]
    assert redact("it was of-amazon") == "it was ***"


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "PATH", "BASH_ENV", "CARPUS_BASE_URL"]
)
def test_no_line_changes_how_programs_are_found_or_started(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "mine")
    monkeypatch.delenv(name)
    with env_file.open("a") as file:
        file.write(f"{name}=theirs\n")
    Secrets(env_file).export()
    assert name not in os.environ
    assert f"{name} is not used." in Secrets(env_file).unused()[0]


@pytest.mark.parametrize("value", ["$(touch {mark})", "`touch {mark}`", "${{HOME}}", "'$(touch {mark})'"])
def test_no_value_is_executed_or_expanded(env_file: Path, tmp_path: Path, value: str) -> None:
    mark = tmp_path / "ran"
    written = value.format(mark=mark)
    env_file.write_text(f"MLFLOW_TRACKING_URI={written}\n")
    assert Secrets(env_file, {}).get("MLFLOW_TRACKING_URI") == written.strip("'")
    assert not mark.exists()


def test_a_line_that_cannot_be_read_is_named_and_the_others_count(
    env_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    env_file.write_bytes(
        b"\xef\xbb\xbfSLACK_BOT_TOKEN = 'xoxb-1' # mine\r\nnot this\r\nMLFLOW_TRACKING_URI=http://a \r\n"
    )
    secrets = Secrets(env_file, {})
    assert (secrets.get("SLACK_BOT_TOKEN"), secrets.get("MLFLOW_TRACKING_URI")) == ("xoxb-1", "http://a")
    assert caplog.messages == [f"{env_file}: line 2 is not NAME=value, so it is not used"]
