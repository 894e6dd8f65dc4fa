from __future__ import annotations

import logging
from pathlib import Path

import pytest

from utils.log import close_log, log_to_file
from utils.redact import add_secrets, looks_secret, redact

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBg==\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("token xoxb-1-2-aB3 refused", "token *** refused"),
        ("https://hooks.slack.com/services/T1/B2/x3y4: 404", "https://hooks.slack.com/services/***: 404"),
        ("Authorization: Bearer abc.DEF-123=", "Authorization: Bearer ***"),
        (f"key {KEY} end", "key *** end"),
        ("http://team:pa55word@10.0.0.2:5000/api", "http://***@10.0.0.2:5000/api"),
        ("POST refresh_token=aXb2&client_id=1", "POST refresh_token=***&client_id=1"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, left: str) -> None:
    assert redact(text) == left
    assert looks_secret(text)


@pytest.mark.parametrize("text", ["epoch 3/10 loss 0.12", "http://10.0.0.2:5000/api", "unet/tu-resnet50", "Bearer x"])
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_a_secret_is_masked_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKAO_REST_API_KEY", "0f1e2d3c4b")
    assert redact("client_id=0f1e2d3c4b&x=1") == "client_id=***&x=1"


def test_a_secret_that_was_read_is_masked() -> None:
    add_secrets(["only-in-a-file", "x"])
    assert redact("only-in-a-file, x") == "***, x"


def test_neither_messages_nor_tracebacks_in_the_log_hold_secrets(tmp_path: Path) -> None:
    handler = log_to_file(tmp_path / "log.txt")
    try:
        try:
            raise ValueError("sent xoxb-1-2-secret")
        except ValueError:
            logging.getLogger("test").exception("failed with %s", "xoxb-9-secret")
    finally:
        close_log(handler)
    text = (tmp_path / "log.txt").read_text()
    assert "Traceback" in text
    assert "xoxb" not in text
