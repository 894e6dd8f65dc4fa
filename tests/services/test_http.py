from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services import http, http_adapter
from services.channel import AnswerLost, NotDelivered, Refused
from services.http import Reply, repeat, retry_after_s, send_request
from tests.standin import Answer, Fault, Request, StandIn

Serve = Callable[[socket.socket], object]


class Echo(StandIn):
    """Answers every request with its headers."""

    def reply(self, request: Request) -> Answer:
        return Answer(200, {"headers": dict(request.headers), "body": request.body.decode()})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Callable[[Serve], str]]:
    """A function that starts a server of raw bytes, which reads a request and calls `serve`; returns its address."""
    opened: list[socket.socket] = []

    def start(serve: Serve) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def run() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    serve(connection)
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for each in opened:
        each.close()


def drip(data: bytes) -> Serve:
    """Send one byte every 20 ms: each arrives long before a time limit between two pieces."""

    def serve(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return serve


def test_an_answer_is_returned_whatever_it_says(echo: Echo) -> None:
    echo.fail(Fault("answer", Answer(404, {"a": 1}, {"Retry-After": "7"})))
    found = send_request("GET", echo.url)
    assert (found.status, found.json, found.retry_after_s) == (404, {"a": 1}, 7.0)
    found = send_request("POST", echo.url, form={"a": "ä b"}, token="t0ken")
    assert found.json is not None
    assert found.json["headers"]["authorization"] == "Bearer t0ken"
    assert found.json["body"] == "a=%C3%A4+b"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff\xfe", b"[" * 10_000])
def test_an_answer_that_is_no_object_is_none(body: bytes) -> None:
    assert Reply(200, body).json is None


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"


@pytest.mark.parametrize(
    "serve",
    [drip(HEAD + b"x" * 400), drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400), lambda connection: time.sleep(1)],
    ids=["body", "headers", "silence"],
)
def test_one_time_limit_holds_for_the_whole_call(server: Callable[[Serve], str], serve: Serve) -> None:
    began_s = time.monotonic()
    with pytest.raises(AnswerLost, match="did not answer completely in time"):
        send_request("GET", server(serve), within_s=0.15)
    assert time.monotonic() - began_s < 0.6


def test_a_name_look_up_that_hangs_is_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: asleep.wait(5))
    began_s = time.monotonic()
    with pytest.raises(NotDelivered, match=r"^slack\.example cannot be reached \(no connection in time\)$") as caught:
        send_request("POST", "https://slack.example/x", within_s=0.1)
    asleep.set()
    assert time.monotonic() - began_s < 0.6
    assert not isinstance(caught.value, AnswerLost)


def test_a_connection_that_comes_too_late_sends_nothing(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer, look_up, threads = threading.Event(), socket.getaddrinfo, list[threading.Thread]()

    def slow(*args: Any) -> Any:
        threads.append(threading.current_thread())
        may_answer.wait(5)
        return look_up(*args)

    monkeypatch.setattr("socket.getaddrinfo", slow)
    with pytest.raises(NotDelivered, match="no connection in time") as caught:
        send_request("POST", echo.url, within_s=0.05)
    may_answer.set()
    threads[0].join(20)
    assert (isinstance(caught.value, AnswerLost), echo.requests) == (False, [])


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://127.0.0.1:1/secret", "nobody answers there"), ("http://nosuch.invalid/secret", "its name is not known")],
)
def test_what_was_never_sent_is_told_without_the_address_s_path(url: str, why: str) -> None:
    with pytest.raises(NotDelivered, match=why) as caught:
        send_request("POST", url, body=b"x")
    assert not isinstance(caught.value, AnswerLost)
    assert "secret" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize("fault", [Fault("reset"), Fault("reset_after")])
def test_what_may_have_been_heard_is_told_apart(echo: Echo, fault: Fault) -> None:
    echo.fail(fault)
    with pytest.raises(AnswerLost, match="broke off"):
        send_request("POST", echo.url, body=b"x")


def test_an_answer_without_end_is_cut_off(server: Callable[[Serve], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_adapter, "LARGEST", 1000)
    address = server(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000))
    with pytest.raises(AnswerLost):
        send_request("GET", address)


def test_no_redirect_is_followed_and_no_netrc_replaces_the_token(
    echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    echo.fail(Fault("answer", Answer(307, "", {"Location": "/elsewhere"})))
    assert send_request("POST", echo.url, token="t0ken").status == 307
    assert [request.headers["authorization"] for request in echo.requests] == ["Bearer t0ken"]


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://127.0.0.1:9", "for which a package is missing.*pip install PySocks"),
        ("gopher://127.0.0.1:9", "is not the address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str, words: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(Refused, match=words):
        send_request("GET", "https://slack.example")


def test_a_proxy_that_does_not_connect_has_sent_nothing(
    server: Callable[[Serve], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server(lambda connection: connection.sendall(b"HTTP/1.1 403 no\r\n\r\n")))
    with pytest.raises(NotDelivered, match="the proxy does not connect") as caught:
        send_request("POST", "https://slack.example")
    assert not isinstance(caught.value, AnswerLost)


def test_no_proxy_stands_between_us_and_this_machine(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert send_request("GET", echo.url).status == 200


@pytest.mark.parametrize(
    "url", ["kauth.kakao.com", "ftp://x", "http://", "http://[::x", "http://" + "a" * 70 + ".com/"]
)
def test_no_address_is_a_sentence(url: str) -> None:
    with pytest.raises(Refused, match="is not an address"):
        send_request("GET", url)


def test_a_machine_without_room_for_a_thread_still_sends(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(http_adapter, "Thread", type("Unstartable", (threading.Thread,), {"start": start}))
    assert send_request("GET", echo.url).status == 200


def test_a_call_leaves_nothing_behind(echo: Echo) -> None:
    before = threading.active_count()
    for _ in range(3):
        send_request("GET", echo.url)
    time.sleep(0.05)
    assert threading.active_count() <= before + 1  # the stand-in's last connection


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("1 Oct 2015 7:28 +99999999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-After": text}) == seconds


@pytest.mark.parametrize(
    ("failures", "tried"),
    [
        ([], 1),
        ([NotDelivered("x")], 2),
        ([NotDelivered("x")] * 3, 3),
        ([AnswerLost("x")], 1),
        ([NotDelivered("x", 99.0)], 1),
        ([NotDelivered("x", 0.01)], 2),
    ],
)
def test_a_call_is_repeated_only_where_it_helps_and_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception], tried: int
) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.001)
    left, count = list(failures), 0

    def send() -> str:
        nonlocal count
        count += 1
        if left:
            raise left.pop(0)
        return "done"

    try:
        assert repeat(send, tries=3, within_s=1.0, is_safe=False) == "done"
        assert len(failures) < tried
    except NotDelivered:
        assert len(failures) >= tried
    assert count == tried
