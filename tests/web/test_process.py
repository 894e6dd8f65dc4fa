"""A started server: no torch in it, signals that end it in order, and clients that cost it nothing."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.root import ROOT
from tests.web.conftest import photo

BOUNDARY = "x"
BODY = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'.encode()
    + photo()
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)
HEAD = "POST /remove-background HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
# What serve.py does, and then what has been imported.
PROGRAM = """
import sys
import serve
try:
    serve.main()
finally:
    sys.stderr.write("imported: %s\\n" % sorted({"torch", "trainer", "models", "numba"} & set(sys.modules)))
"""


class Server:
    """A process that serves one small network."""

    def __init__(self, model: str, log: Path) -> None:
        self.log = log
        settings = ["limits.upload_s=2", "limits.header_s=1"]
        command = [sys.executable, "-c", PROGRAM, "--model", model, "--port", "0", *settings]
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        self.port = self._port()

    def _port(self) -> int:
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and self.process.poll() is None:
            text = self.log.read_text()
            if "http://127.0.0.1:" in text:
                return int(text.split("http://127.0.0.1:")[1].split()[0])
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def ask(self) -> int:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self._asked("POST", "/remove-background", BODY, headers)[0]

    def health(self) -> str:
        return self._asked("GET", "/health")[1].decode()

    def _asked(self, *request: Any) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(*request)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connect(self, *sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        for part in sent:
            connection.sendall(part)
        return connection


@pytest.fixture(scope="module")
def server(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(models[0], tmp_path_factory.mktemp("server") / "log.txt")
    yield server
    server.process.kill()
    server.process.wait()


def is_idle(server: Server) -> bool:
    until_s = time.monotonic() + 10
    while '"in_work":0' not in server.health():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


def test_a_client_that_sends_a_byte_at_a_time_is_given_up_and_others_are_served_meanwhile(server: Server) -> None:
    head = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode()
    with server.connect(head) as slow, server.connect(b"POST /remove-back") as silent:
        begun_s = time.monotonic()
        assert server.ask() == 200
        for number in range(15):
            slow.sendall(BODY[number : number + 1])
            time.sleep(0.1)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        assert silent.recv(1000) == b""
        assert time.monotonic() - begun_s < 10
    assert is_idle(server)


def test_a_client_that_hangs_up_leaves_no_work_behind(server: Server) -> None:
    head = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode()
    for sent in ((head, BODY), (head, BODY[:100])):
        for _ in range(5):
            server.connect(*sent).close()
    assert is_idle(server)
    assert server.ask() == 200


def test_a_body_that_is_longer_or_shorter_than_it_says_is_no_fault_of_the_server(server: Server) -> None:
    in_chunks = (b"%x\r\n" % len(BODY), BODY, b"\r\n0\r\n\r\n")
    for line, sent, status in (
        ("Content-Length: 20", (BODY,), 400),
        ("Transfer-Encoding: chunked", in_chunks, 200),
        ("Content-Length: 99999999999", (b"-",), 413),
    ):
        with server.connect(f"{HEAD}{line}\r\n\r\n".encode(), *sent) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 %d" % status)
    assert is_idle(server)


def test_sigterm_finishes_what_runs_and_ends_with_0(server: Server) -> None:
    with server.connect(f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode(), BODY[:-5]) as running:
        server.health()  # By its answer the request before has arrived.
        os.kill(server.process.pid, signal.SIGTERM)
        time.sleep(0.3)
        running.sendall(BODY[-5:])
        assert running.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.process.wait(20) == 0
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset
        server.connect()
    log = server.log.read_text()
    assert "All requests are answered." in log
    assert "Traceback" not in log
    assert "imported: []" in log or "imported: ['numba']" in log


def test_what_keeps_the_program_from_starting_is_one_sentence(models: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "serve.py", "--model", models[0], "--model", str(tmp_path / "none.onnx")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "none.onnx: cannot be read (No such file or directory)" in done.stderr
