"""A real `mlflow server` for tests, and a proxy before it that can lose answers."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from services.mlflow.client import connect
from services.mlflow.store import store_of
from services.secrets import Secrets
from tests.services.mlflow.run_of import Run
from tests.standin import Answer, Request, StandIn

START_S = 120.0
OUTLIVES_NOBODY = '"$@" < /dev/null & cat > /dev/null; kill -9 0'
"""Runs a command until the input ends, as it does when the tests are killed."""
KEPT_HEADERS = ("content-type", "authorization", "host")


class MlflowServer:
    """One process group on a free port of 127.0.0.1. It starts in the background; `url` waits until it answers."""

    def __init__(self, folder: Path) -> None:
        self.port, self.log = free_port(), folder / "server.log"
        self.is_up = False
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", OUTLIVES_NOBODY, "sh", *command],
                cwd=folder,
                env={**os.environ, **quiet},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        address, until_s = f"http://127.0.0.1:{self.port}", time.monotonic() + START_S
        while not self.is_up:
            assert time.monotonic() < until_s, self.log.read_text()
            self.is_up = answers(f"{address}/health")
        return address

    def freeze(self) -> None:
        """It keeps its port and answers no more."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Gate(StandIn):
    """Forwards requests to a real server, unless a fault replaces the answer."""

    def __init__(self, url: str, host: str | None = None) -> None:
        super().__init__()
        self.address, self.host = url.removeprefix("http://"), host
        self.refuses: str | None = None
        """A part of the paths for which the server fails."""

    def reply(self, request: Request) -> Answer:
        if self.refuses is not None and self.refuses in request.path:
            return Answer(500, "no such disk")
        query = urlencode(request.query, doseq=True)
        headers = {name: value for name, value in request.headers.items() if name in KEPT_HEADERS}
        headers["host"] = self.host or self.address
        with closing(http.client.HTTPConnection(self.address, timeout=30)) as connection:
            connection.request(request.method, f"{request.path}?{query}", request.body, headers)
            answer = connection.getresponse()
            kind = {"Content-Type": answer.headers.get("Content-Type", "text/plain")}
            return Answer(answer.status, answer.read(), kind)


def kept(uri: str, run: Run | str) -> Any:
    """A run as MLflow keeps it, by its id there or by what ours remembers."""
    return client(uri).get_run(id_of(run))


def history(uri: str, run: Run | str, metric: str) -> list[tuple[int, float]]:
    """Every point of a curve."""
    return [(point.step, point.value) for point in client(uri).get_metric_history(id_of(run), metric)]


def files_of(uri: str, run: Run | str) -> list[str]:
    """The files that are kept with a run, folder by folder."""
    asked, found = client(uri), []
    waiting = asked.list_artifacts(id_of(run))
    while waiting:
        each = waiting.pop()
        if each.is_dir:
            waiting += asked.list_artifacts(id_of(run), each.path)
        else:
            found.append(each.path)
    return sorted(found)


def id_of(run: Run | str) -> str:
    return run if isinstance(run, str) else str(run.remembered["run_id"])


def client(uri: str) -> Any:
    return connect(store_of(uri, Path()), Secrets(Path("none"), {}))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answers(url: str) -> bool:
    """Whether somebody answers there; looks for a quarter of a second."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        time.sleep(0.25)
        return False
