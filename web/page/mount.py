"""Add the page to the server: one Gradio app for each language, at `/en` and `/ko`; `/` leads to the browser's own."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from utils.errors import UserError
from web.engine.engine import Engine
from web.page.texts import LANGUAGES, preferred

log = logging.getLogger(__name__)

GRADIO = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    # Statistics of events, which nobody reads: fewer are kept, and they are not computed after each event.
    "GRADIO_ANALYTICS_MAX_EVENTS": "100",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
}
"""What Gradio reads from the environment, when it is imported or an app is built: nothing is sent to anybody."""


def mount_page(app: FastAPI, engine: Engine) -> None:
    """Add the page for the models that the engine has loaded, if the settings want one.

    Only then Gradio is imported, which takes seconds and 160 MB. Raises `UserError` if it is not installed.
    """
    settings = engine.settings
    if settings.page and settings.api_key_file is not None:
        log.info("There is no page, for it would need no key; page=false says the same.")
    if not settings.page or settings.api_key_file is not None:
        return
    folder = Path(tempfile.mkdtemp(prefix="carpus-page-"))
    os.environ.update(GRADIO, GRADIO_TEMP_DIR=str(folder))
    try:
        from web.page.build import Shared, mount_blocks
    except ModuleNotFoundError as error:
        folder.rmdir()
        way_out = "Install requirements-serve.txt, or set page=false."
        raise UserError(f"page: needs the package {error.name}. {way_out}") from error
    shared = Shared(engine, folder)
    for language in LANGUAGES:
        mount_blocks(app, shared, language)
    shared.files.keep_present()
    app.state.page_files = shared.files
    _remove_at_the_end(app, folder)

    @app.get("/", include_in_schema=False)
    def choose_language(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{preferred(request.headers.get('accept-language', ''))}/")


def _remove_at_the_end(app: FastAPI, folder: Path) -> None:
    """Remove the temporary files when the server ends."""
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(served: FastAPI) -> AsyncIterator[object]:
        async with inner(served) as state:
            try:
                yield state
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    app.router.lifespan_context = lifespan  # type: ignore[assignment]
