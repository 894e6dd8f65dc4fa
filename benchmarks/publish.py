"""The time that the training thread needs to publish an epoch's event."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.material import Material
from benchmarks.pair import Sides, must_agree
from data.hand_bone.classes import BONES
from services import CHANNELS
from services.channel import QueuedEvent, RunFacts
from services.delivery.codec import event_as_dict
from services.delivery.outbox import OutboxReader
from services.delivery.publisher import EventPublisher
from services.secrets import Secrets
from utils.events import EpochEnded

EVENTS = 200
PAUSE_S = 0.002
"""Pause between two events, as in training; with a queue that is never empty the time would be too short."""
Result = tuple[float, int]
"""Seconds per event in the publishing thread, and the number of events that have arrived."""

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


def publish(material: Material) -> Sides:
    """Publish an epoch with 29 scores.

    The usual way posts it from the training thread, here to a server on this machine, which is the shortest way. Ours
    sends it to the notifier process. All events arrive in both ways.
    """
    event = EpochEnded(
        *(3, 50, 150.0, 0.04, {"bce": 0.01, "dice": 0.03}, {"all": 3e-4}, 0.02, 0.05, 0.97),
        dict.fromkeys(BONES, 0.97),
        0.97,
        True,
    )
    return Sides(
        usual=lambda: post_here(event),
        ours=lambda: publish_here(event),
        agree=lambda usual, ours: must_agree(usual[1] == ours[1] == EVENTS, f"{usual[1]} and {ours[1]} events arrived"),
        reads=lambda result: result[0],
    )


def post_here(event: EpochEnded) -> Result:
    """Send one request per event, over one open connection."""
    import requests

    with server() as url, requests.Session() as session:
        session.trust_env = False
        took_s = time_calls(
            lambda: session.post(url, json=event_as_dict(QueuedEvent("id", time.time(), event)), timeout=10)
        )
        return took_s, int(session.get(url, timeout=10).text)


def publish_here(event: EpochEnded) -> Result:
    """Use the publisher and its notifier process; the channel's secret is not set, so the events wait in the outbox."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        others_off = {name: {"enabled": name == "slack"} for name in CHANNELS}
        publisher = EventPublisher(example_facts(folder), others_off, Secrets(folder / ".env", {}))
        publisher.outbox.channels = frozenset({"slack"})
        took_s = time_calls(lambda: publisher(event))
        publisher.close()
        return took_s, len(OutboxReader(folder).read_new())


def time_calls(publisher: Callable[[], object]) -> float:
    """Median of the seconds per call: now and then another program uses the core."""
    spent_s = []
    for _ in range(EVENTS):
        time.sleep(PAUSE_S)
        started_s = time.perf_counter()
        publisher()
        spent_s.append(time.perf_counter() - started_s)
    return statistics.median(spent_s)


def example_facts(folder: Path) -> RunFacts:
    names: dict[str, Any] = {
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
    """Start a server in a separate process; yields its address."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        process.kill()
