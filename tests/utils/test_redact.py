from __future__ import annotations

import html
import json
import logging
import shlex
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

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
        ("http://user:p@ss/w0rd@10.0.0.2:5000/api", "http://***@10.0.0.2:5000/api"),
        ("http://user:p@ss@host", "http://***@host"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic ***"),
        ("authorization: bearer abc.DEF-123=", "authorization: bearer ***"),
        ("https%3A%2F%2Fhooks.slack.com%2Fservices%2FT1%2FB2%2Fx3y4", "https%3A%2F%2Fhooks.slack.com%2Fservices%2F***"),
        ("key AKIAIOSFODNN7EXAMPLE of", "key *** of"),
        ("AIzaSyA-1234567890abcdefghijklmnopqrstuv", "***"),
        ("Bearer ya29.a0AfH6SMBx-_x", "Bearer ***"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "***"),
        ("hf_abcdefghijklmnopqrstuvwxyz", "***"),
        ('{"client_secret": "abcdef12", "id": 1}', '{"client_secret": "***", "id": 1}'),
        ("{'password': 'abcdef12'}", "{'password': '***'}"),
        ("s3?X-Amz-Signature=0a1b2c3d&x=1", "s3?X-Amz-Signature=***&x=1"),
        ("AccountName=a;AccountKey=abcd1234==;x", "AccountName=a;AccountKey=***;x"),
        ("WANDB_API_KEY=ab/cd+ef12 python", "WANDB_API_KEY=*** python"),
        ("{'AWS_SECRET_ACCESS_KEY': 'ab/cd+ef12'}", "{'AWS_SECRET_ACCESS_KEY': '***'}"),
        ("https://0a1b2c3d4e5f60718293@host/team", "https://***@host/team"),
        ("GET /v4?alt=json&key=0a1b2c3d HTTP/1.1", "GET /v4?alt=json&key=*** HTTP/1.1"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, left: str) -> None:
    assert redact(text) == left
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        *("epoch 3/10 loss 0.12", "http://10.0.0.2:5000/api", "unet/tu-resnet50", "Bearer x", "Basic set-up"),
        *(
            "http://10.0.0.2:5000/@kim",
            "sig=1",
            "password: cannot be read",
            'access_token = found["access_token"]',
            "git@host:team/repo",
            "ssh://git@host/repo",
            "key=value",
            "12:30 kim@host",
        ),
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_a_long_list_of_addresses_is_read_in_linear_time() -> None:
    began_s = time.process_time()
    redact("http://10.0.0.2:5000," * 5000 + "http://user:pa55@host")
    assert time.process_time() - began_s < 2


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


HOSTILE = "p\u00e4\"s'w\\o/r d&+=:@%\n!"
"""A secret with every character that a notation escapes."""


@pytest.mark.parametrize("before", ["", "u:", "us:", "usr:"])
@pytest.mark.parametrize(
    "written",
    [
        *(str, repr, ascii, json.dumps, lambda value: json.dumps(value, ensure_ascii=False)),
        *(
            lambda value: json.dumps(json.dumps(value)),
            lambda value: f"{ {value: [value]} }",
            lambda value: repr(value.encode()),
        ),
        *(quote, lambda value: quote(value, safe=""), quote_plus, lambda value: quote_plus(value).lower()),
        *(lambda value: repr(repr(value)), html.escape, shlex.quote),
        lambda value: b64encode(value.encode()).decode(),
        lambda value: urlsafe_b64encode(value.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_notation(written: Callable[[str], str], before: str) -> None:
    add_secrets([HOSTILE])
    shown = redact(written(before + HOSTILE))
    assert "***" in shown
    leaks = ("s'w", "s\\'w", "s%27w", "s&#x27;w", "o/r", "o%2Fr", "cMOkInNzJ3c", "w6Qicyd3")
    assert not any(part in shown for part in leaks)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        *[(name, True) for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WANDB_API_KEY", "HF_TOKEN")],
        *[(name, False) for name in ("MLFLOW_TRACKING_URI", "KAKAO_SHEET_ID", "PATH", "AWS_ACCESS_KEY_ID", "KEYBOARD")],
    ],
)
def test_a_variable_is_secret_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, is_secret: bool) -> None:
    monkeypatch.setenv(name, "value-of-this-variable")
    assert (redact("it is value-of-this-variable.") == "it is ***.") is is_secret
