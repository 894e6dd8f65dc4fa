"""What all requests together may take: overload, deadlines, clients that are slow, that hang up, or that are many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.conftest import client_of, photo
from utils.errors import UserError
from web.api.uploads import ClientGone, Uploads, unless_gone
from web.app import build_app
from web.engine.budget import Budget
from web.settings import Limits, Serve

FORM = {"content-type": "multipart/form-data; boundary=x"}


@asynccontextmanager
async def running(models: list[str], **settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """Start an application in this event loop; yields a client and its engine."""
    app = build_app(Serve(models=tuple(models[:1]), **settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        yield client, app.state.engine


def send(client: httpx.AsyncClient) -> Awaitable[httpx.Response]:
    return client.post("/remove-background", files={"file": ("a.png", photo())})


def test_more_images_than_the_queue_holds_are_answered_with_503_and_when_to_come_back(models: list[str]) -> None:
    async def flood() -> list[httpx.Response]:
        async with running(models, queue=3) as (client, engine):
            answers = await asyncio.gather(*(send(client) for _ in range(12)))
            assert engine.in_work == 0
            assert (await send(client)).status_code == 200
            return answers

    answers = asyncio.run(flood())
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert 3 <= len(answers) - len(refused) < 12
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert "Try again later" in refused[0].json()["error"]


def test_an_image_that_takes_too_long_is_answered_with_503(models: list[str]) -> None:
    async def late() -> httpx.Response:
        async with running(models, timeout_s=0.001) as (client, engine):
            answer = await send(client)
            assert engine.in_work == 0
            return answer

    answer = asyncio.run(late())
    assert (answer.status_code, "not finished within 0.001 s" in answer.text) == (503, True)


def test_requests_of_one_address_are_limited_if_that_is_configured(models: list[str]) -> None:
    async def many() -> list[int]:
        async with running(models, limits={"per_client": 2}) as (client, _):
            return [answer.status_code for answer in await asyncio.gather(*(send(client) for _ in range(5)))]

    assert sorted(asyncio.run(many())) == [200, 200, 429, 429, 429]


async def upload(messages: list[dict[str, Any]], limits: Limits, then_s: float = 0) -> Uploads:
    """Give these messages to the reader of forms as a server does, the last one again after a while."""
    from starlette.requests import Request

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            await asyncio.sleep(then_s)
            return messages[0]
        return messages.pop(0)

    headers = [(key.encode(), value.encode()) for key, value in FORM.items()]
    request = Request({"type": "http", "headers": headers, "query_string": b"", "client": ("a", 1)}, receive)
    uploads = Uploads(limits)
    try:
        async with uploads.form(request, 1):
            pass
    finally:
        assert (uploads.held_bytes, uploads.of_client) == (0, {})
    return uploads


PART = {"type": "http.request", "body": b"-", "more_body": True}


@pytest.mark.parametrize(
    ("status", "messages", "limits"),
    [
        (408, [PART], {"upload_s": 0.05}),
        (400, [{**PART, "body": b"--x\r\nnothing", "more_body": False}], {}),
        (413, [{**PART, "body": b"--x\r\n" + b"-" * 200_000}, {**PART, "more_body": False}], {"file_mb": 0.01}),
        (
            503,
            [{**PART, "body": b"--x\r\n" + b"-" * 200_000}, {**PART, "more_body": False}],
            {"upload_mb_at_once": 0.1},
        ),
    ],
    ids=["slow", "no form", "lying about its length", "too much at once"],
)
def test_uploads_are_bounded_and_what_they_held_is_given_back(
    status: int, messages: list[dict[str, Any]], limits: dict[str, Any]
) -> None:
    from web.faults import Refused

    with pytest.raises(Refused) as refused:
        asyncio.run(upload(messages, Limits(**limits), then_s=0.02))
    assert refused.value.status == status


def test_a_client_that_hangs_up_while_it_sends_leaves_nothing_behind() -> None:
    with pytest.raises(ClientGone):
        asyncio.run(upload([PART, {"type": "http.disconnect"}], Limits()))


def test_work_for_a_client_that_has_gone_is_cancelled() -> None:
    from starlette.requests import Request

    async def gone() -> bool:
        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        cancelled = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        with pytest.raises(ClientGone):
            await unless_gone(Request({"type": "http"}, receive), work())
        return cancelled.is_set()

    assert asyncio.run(gone())


def test_an_image_that_nobody_waits_for_is_not_computed(models: list[str]) -> None:
    async def cancel() -> tuple[int, int]:
        async with running(models, workers=1) as (_, engine):
            ran = 0
            real = engine.models["cut"].predictor.logits_of_batch

            def counted(images: Any) -> Any:
                nonlocal ran
                ran += len(images)
                return real(images)

            object.__setattr__(engine.models["cut"].predictor, "logits_of_batch", counted)

            async def one() -> None:
                async with engine.turn(photo()) as image:
                    await engine.predict(image)

            tasks = [asyncio.create_task(one()) for _ in range(8)]
            await asyncio.sleep(0)
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return ran, engine.in_work

    ran, in_work = asyncio.run(cancel())
    assert (ran, in_work) == (1, 0)


def test_a_budget_is_given_out_in_order_and_never_exceeded() -> None:
    async def share() -> list[str]:
        budget, order = Budget(10), list[str]()

        async def take(name: str, amount: float) -> None:
            async with budget.share(amount):
                assert budget.free >= 0
                order.append(name)
                await asyncio.sleep(0)

        waits = [take("a", 6), take("large", 50), take("small", 1), take("b", 9)]
        tasks: list[asyncio.Task[None]] = [asyncio.create_task(each) for each in waits]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.free == budget.total
        return order

    assert asyncio.run(share()) == ["a", "large", "small"]


def test_an_api_key_is_needed_by_all_but_health_and_never_shown(
    models: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = "-".join(["correct", "horse", "battery"])
    (tmp_path / "key").write_text(f"{key}\n")
    with client_of(models[:1], api_key_file=str(tmp_path / "key")) as client:
        assert client.get("/health").status_code == 200
        for path in ("/model-info", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"x-api-key": key[:-1]}).status_code == 401
            assert client.get(path, headers={"x-api-key": key}).status_code == 200
        for path in ("/remove-background", "/batch-remove-background", "/segment"):
            refused = client.post(path, files={"file": photo()}, headers={b"x-api-key": b"\xfc"})
            assert (refused.status_code, "X-API-Key" in refused.json()["error"]) == (401, True)
    assert key not in caplog.text


@pytest.mark.parametrize("content", ["short", "", None])
def test_a_key_that_protects_nothing_is_refused(models: list[str], tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(UserError, match=r"api_key_file: .*key"):
        build_app(Serve(models=tuple(models), api_key_file=str(tmp_path / "key")))


def test_other_pages_may_call_the_server_only_if_that_is_configured(models: list[str]) -> None:
    def ask(client: Any) -> Any:
        return client.get("/health", headers={"origin": "https://example.org"}).headers

    with client_of(models[:1]) as client:
        assert "access-control-allow-origin" not in ask(client)
    with client_of(models[:1], cors_origins=("https://example.org",)) as client:
        assert ask(client)["access-control-allow-origin"] == "https://example.org"


def test_two_images_of_one_model_are_computed_together_if_both_wait(models: list[str]) -> None:
    async def together() -> str:
        async with running(models, batch=4, workers=4) as (client, _):
            answers = await asyncio.gather(*(send(client) for _ in range(8)))
            assert len({answer.content for answer in answers}) == 1
            return (await client.get("/metrics")).text

    assert "carpus_batch_images_sum 8.0" in asyncio.run(together())
