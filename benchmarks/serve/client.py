"""Requests to a server on this machine, one after the other or many at the same time."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

BOUNDARY = "carpus-benchmark-boundary"
TIMEOUT_S = 600


@dataclass(frozen=True)
class Answer:
    """An answer, or status 0 if there was none. `seconds`: from the beginning of the request to the last byte."""

    status: int
    seconds: float
    content: bytes = field(repr=False, default=b"")
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


def ask(port: int, path: str, photo: bytes | None = None, fields: Mapping[str, str] | None = None) -> Answer:
    """Get a page, or post a photograph with further fields of a form."""
    begun_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        if photo is None:
            connection.request("GET", path)
        else:
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            connection.request("POST", path, _form(photo, fields or {}), headers)
        answer = connection.getresponse()
        content = answer.read()
        return Answer(answer.status, time.perf_counter() - begun_s, content, dict(answer.getheaders()))
    except OSError:
        return Answer(0, time.perf_counter() - begun_s)
    finally:
        connection.close()


def ask_at_once(port: int, path: str, photos: Sequence[bytes], fields: Mapping[str, str]) -> tuple[list[Answer], float]:
    """Post all photographs at the same moment; return the answers, and the seconds until the last one."""
    together = threading.Barrier(len(photos))

    def send(photo: bytes) -> Answer:
        together.wait()
        return ask(port, path, photo, fields)

    with ThreadPoolExecutor(len(photos)) as pool:
        begun_s = time.perf_counter()
        answers = list(pool.map(send, photos))
    return answers, time.perf_counter() - begun_s


class Watch:
    """Asks for a page five times a second during a `with`; `seconds` of each answer."""

    def __init__(self, port: int, path: str) -> None:
        self.seconds: list[float] = []
        self._asked = (port, path)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self.seconds.append(ask(*self._asked).seconds)


def _form(photo: bytes, fields: Mapping[str, str]) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return b"".join([*parts, head.encode(), photo, f"\r\n--{BOUNDARY}--\r\n".encode()])
