"""Nothing that a client names is a path or an address for the server; what Gradio offers beside the page is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from web.page.files import PageFiles
from web.page.gate import LARGEST_JSON, Gate


@pytest.fixture
def files(tmp_path: Path) -> PageFiles:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return PageFiles(tmp_path / "uploads", 1000)


@pytest.fixture
def client(files: PageFiles) -> Iterator[TestClient]:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(b"passed " + body)(scope, receive, send)

    app = FastAPI()
    app.mount("/en", Gate(inner, files, 600, "<title>first</title>"))
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "file=/etc/passwd",
        "file=%2Fetc%2Fpasswd",
        "file=http://127.0.0.1:1/",
        "file=UPLOADS/../secret.txt",
        "file=UPLOADS/%2e%2e/secret.txt",
        "file=UPLOADS%252f..%252f..%252fsecret.txt",
        "file/etc/passwd",
        "proxy=http://127.0.0.1:1/",
        "call/draw",
        "run/draw",
        "api/draw",
        "openapi.json",
        "vibe-edit",
        "runs",
        "process_recording",
        "deep_link",
    ],
)
def test_other_paths_are_refused(path: str, client: TestClient, files: PageFiles) -> None:
    address = f"/en/gradio_api/{path.replace('UPLOADS', str(files.folder))}"
    assert client.get(address).status_code == 404
    assert client.post(address).status_code == 404


def test_what_the_page_needs_passes(client: TestClient, files: PageFiles) -> None:
    for path in ("", "assets/index.js", "config", "gradio_api/queue/data", f"gradio_api/file={files.folder}/a.png"):
        assert client.get(f"/en/{path}").text == "passed "


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "http://127.0.0.1:1/", "UPLOADS/../secret.txt", "/proc/self/environ", 7]
)
@pytest.mark.parametrize(
    "place", [lambda file: {"data": [file]}, lambda file: {"data": [[{"a": [file]}]], "path": None}]
)
def test_an_event_cannot_name_a_file_that_was_not_uploaded(
    place: object, path: object, client: TestClient, files: PageFiles
) -> None:
    named = path.replace("UPLOADS", str(files.folder)) if isinstance(path, str) else path
    event = place({"path": named, "meta": {"_type": "gradio.FileData"}})  # type: ignore[operator]
    refused = client.post("/en/gradio_api/queue/join", json=event)
    assert refused.status_code == 400
    assert "not uploaded" in refused.json()["error"]


def test_an_event_with_an_uploaded_file_passes_unchanged(client: TestClient, files: PageFiles) -> None:
    body = f'{{"data": [{{"path": "{files.folder}/x/a.png"}}, 0.5, null]}}'
    assert client.post("/en/gradio_api/queue/join", content=body).text == f"passed {body}"


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'"' + b"x" * LARGEST_JSON + b'"', b"\xff"])
def test_an_event_that_cannot_be_read_is_refused(body: bytes, client: TestClient) -> None:
    assert client.post("/en/gradio_api/queue/join", content=body).status_code == 400


def test_an_upload_makes_room(client: TestClient, files: PageFiles) -> None:
    old = Path(files.write("old.png", b"x" * 900))
    assert client.post("/en/gradio_api/upload", content=b"y" * 500).status_code == 200
    assert not old.exists()


@pytest.mark.parametrize("content", [b"y" * 601, iter([b"y", b"y"])])
def test_an_upload_without_a_size_or_beyond_the_limit_is_refused(
    content: Any, client: TestClient, files: PageFiles
) -> None:
    old = Path(files.write("old.png", b"x" * 900))
    assert client.post("/en/gradio_api/upload", content=content).status_code == 413
    assert old.exists()


def test_the_page_gets_its_own_head_first(files: PageFiles) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("<html><head><script></script></head></html>")(scope, receive, send)

    app = FastAPI()
    app.mount("/en", Gate(inner, files, 600, "<title>first</title>"))
    with TestClient(app) as client:
        answer = client.get("/en/")
    assert answer.text == "<html><head><title>first</title><script></script></head></html>"
    assert int(answer.headers["content-length"]) == len(answer.text)
