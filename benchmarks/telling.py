"""What it costs the training thread to tell others of an epoch."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.material import Material
from benchmarks.pair import Sides, must_agree
from data.hand_bone.classes import BONES
from services import CHANNELS
from services.channel import RunFacts, Told
from services.delivery.codec import told_as_dict
from services.delivery.publisher import FanOut
from services.secrets import Secrets
from utils.events import EpochEnded

EVENTS = 200
PAUSE_S = 0.002
"""Between two events: nobody tells epochs at once, and a queue that is never empty would flatter."""
Result = tuple[float, int]
"""Seconds per event in the telling thread, and how many events have arrived."""

SERVER = """
import sys, threading, os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    count, protocol_version, disable_nagle_algorithm = 0, "HTTP/1.1", True
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.count += 1
        self.answer(b"ok")
    def do_GET(self):
        self.answer(str(Handler.count).encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
"""


def telling(material: Material) -> Sides:
    """An epoch with 29 scores.

    Usually it is posted where it happens, here to a server on this machine, and none can be nearer. Ours goes to the
    process beside the run. All events arrive, either way.
    """
    event = EpochEnded(
        *(3, 50, 150.0, 0.04, {"bce": 0.01, "dice": 0.03}, {"all": 3e-4}, 0.02, 0.05, 0.97),
        dict.fromkeys(BONES, 0.97),
        0.97,
        True,
    )
    return Sides(
        usual=lambda: posted(event),
        ours=lambda: told(event),
        agree=lambda usual, ours: must_agree(usual[1] == ours[1] == EVENTS, f"{usual[1]} and {ours[1]} events arrived"),
        reads=lambda result: result[0],
    )


def posted(event: EpochEnded) -> Result:
    """A request per event, over one connection that stays open."""
    import requests

    with server() as url, requests.Session() as session:
        session.trust_env = False
        took_s = timed(lambda: session.post(url, json=told_as_dict(Told("id", time.time(), event)), timeout=10))
        return took_s, int(session.get(url, timeout=10).text)


def told(event: EpochEnded) -> Result:
    """The fan-out, with its process beside this one, and no channel that would want the event."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell = FanOut(facts(folder), {name: {"enabled": False} for name in CHANNELS}, Secrets(folder / ".env"))
        took_s = timed(lambda: tell(event))
        tell.close()
        return took_s, EVENTS - len(tell.unacknowledged) - len(tell.queue)


def timed(tell: Callable[[], object]) -> float:
    """Seconds per call, the median: now and then another program has the core."""
    spent_s = []
    for _ in range(EVENTS):
        time.sleep(PAUSE_S)
        started_s = time.perf_counter()
        tell()
        spent_s.append(time.perf_counter() - started_s)
    return statistics.median(spent_s)


def facts(folder: Path) -> RunFacts:
    names = {
        "run_id": "benchmark",
        "title": "benchmark",
        "name": "benchmark",
        "task": "hand_bone",
        "host": "",
        "user": "",
    }
    return RunFacts(**names, fold=None, folder=folder, group=None, command="", commit=None, dirty=False, config={})


@contextmanager
def server() -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        process.kill()
