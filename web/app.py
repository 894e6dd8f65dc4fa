"""Build the application: engine, endpoints, limits and the answers to what is wrong.

app = build_app(load_settings(Path("configs/serve.yaml"), ["models=[weights/u2netp.onnx]"]))
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.errors import UserError
from utils.files import expand
from utils.redact import add_secrets
from web.api import cutouts, segment, system
from web.api.answers import TIME
from web.api.docs import add_docs
from web.api.uploads import ClientGone, Uploads
from web.engine.engine import Engine
from web.faults import Refused
from web.metrics import Metrics
from web.settings import Serve

log = logging.getLogger(__name__)

SHORTEST_KEY = 16
GONE = 499
"""Written to the log and the metrics if the client has closed the connection; nobody reads it."""


def build_app(settings: Serve) -> FastAPI:
    """Load the models and return the application.

    Its engine is `app.state.engine`, and the functions in the list `app.state.ends` are called before the server ends.

    Raises `UserError` for a model or a key that cannot be used.
    """
    metrics = Metrics()
    engine = Engine(settings, metrics)
    uploads = Uploads(settings.limits, read_key(settings.api_key_file))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.close()

    app = FastAPI(
        title="Carpus", description=DESCRIPTION, version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.engine, app.state.ends = engine, []
    app.include_router(cutouts.router(engine, uploads))
    app.include_router(segment.router(engine, uploads))
    app.include_router(system.router(engine, uploads))
    add_docs(app)
    _answer_faults(app)
    paths = frozenset(app.openapi()["paths"])
    app.add_middleware(Watch, metrics=metrics, paths=paths)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_headers=["X-API-Key"], expose_headers=[TIME]
        )
    return app


DESCRIPTION = """Cut out what photographs show, and segment images, with networks in ONNX files.

Images are sent as files of a form and never named by a URL or path. What is wrong with a request is answered with one
sentence, `{"error": "…"}`."""


def read_key(place: str | None) -> bytes | None:
    """Read the API key. Raises `UserError` if the file cannot be read, or the key is short."""
    if place is None:
        return None
    path = Path(expand(place))
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"api_key_file: {path} cannot be read. Write the key into it, in one line.") from error
    if len(key) < SHORTEST_KEY or not key.isascii():
        raise UserError(f"api_key_file: {path} holds no key of at least {SHORTEST_KEY} letters and digits. Write one.")
    add_secrets([key])
    return key.encode()


class Watch:
    """Notes when a request began, counts and times requests of the API, and answers what no endpoint has caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self.app, self.metrics, self.paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self.paths:
            await self.app(scope, receive, send)
            return
        begun_s = time.perf_counter()
        scope.setdefault("state", {})["begun_s"] = begun_s
        status = GONE

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self.metrics.requests.labels(scope["path"], str(status)).inc()
            self.metrics.seconds.labels(scope["path"]).observe(time.perf_counter() - begun_s)


def _answer_faults(app: FastAPI) -> None:
    """Answer each kind of fault with a status and one sentence."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return error.answer()

    @app.exception_handler(UserError)
    async def user_error(_: Request, error: UserError) -> Response:
        return Refused(422, str(error)).answer()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return Refused(422, f"{first['loc'][-1]}: {first['msg']}.").answer()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": f"{error.detail}."}, error.status_code, headers=error.headers)

    @app.exception_handler(MemoryError)
    async def short_of_memory(_: Request, __: MemoryError) -> Response:
        return Refused(503, "The server is short of memory. Try again later.", retry_after_s=10).answer()

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path, exc_info=error)
        return Refused(500, "The server failed at this request; its log says why.").answer()
