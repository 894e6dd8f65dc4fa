"""`GET /health`, `GET /model-info` and `GET /metrics`."""

from __future__ import annotations

import time

import psutil
from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from utils.system.cores import usable_cores
from web.api.answers import responses
from web.api.parameters import refuse_others
from web.api.uploads import Uploads
from web.engine.engine import Engine

OBJECT = {"application/json": {"schema": {"type": "object"}}}
TEXT = {"text/plain": {"schema": {"type": "string"}}}
MIB = 1 << 20


def router(engine: Engine, uploads: Uploads) -> APIRouter:
    """Return the endpoints that say how the server is."""
    api = APIRouter(tags=["system"], dependencies=[Depends(refuse_others)])
    begun_s = time.monotonic()
    process = psutil.Process()

    @api.get("/health", responses=responses(OBJECT, (422,)), response_class=JSONResponse)
    async def health() -> Response:
        """Say whether images are accepted, how many are in work, and what the process uses. It needs no API key."""
        return JSONResponse(
            {
                "ready": engine.in_work < engine.settings.queue,
                "models": list(engine.models),
                "warnings": engine.warnings,
                "queue": {"in_work": engine.in_work, "most": engine.settings.queue},
                "uptime_s": round(time.monotonic() - begun_s, 1),
                "memory_mib": round(process.memory_info().rss / MIB, 1),
                "memory_available_mib": round(psutil.virtual_memory().available / MIB, 1),
                "cores": usable_cores(),
                "load": [round(each, 2) for each in psutil.getloadavg()],
                "threads": {"network": engine.threads, "images": engine.workers, "batch": engine.batch},
            }
        )

    @api.get("/model-info", responses=responses(OBJECT, (401, 422)), response_class=JSONResponse)
    async def model_info(request: Request, model: str | None = None) -> Response:
        """Say what is known of each model, or of one: all of it is computed from its file."""
        uploads.check_key(request.headers)
        if model is not None:
            return JSONResponse(engine.model(model).info())
        return JSONResponse({"models": [one.info() for one in engine.models.values()]})

    @api.get("/metrics", responses=responses(TEXT, (401, 422)), response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return the figures of the server in the format of Prometheus."""
        uploads.check_key(request.headers)
        engine.metrics.in_work.set(engine.in_work)
        return Response(engine.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return api
