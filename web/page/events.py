"""How components are connected to handlers, and how a file is made when its button is pressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import gradio as gr

QUIET: Mapping[str, Any] = {"api_visibility": "private", "concurrency_limit": None}
"""Of all events: none is part of an API, and how many run is bounded by `answers.Room` and the engine."""
SILENT: Mapping[str, Any] = {**QUIET, "show_progress": "hidden"}
LIVELY: Mapping[str, Any] = {**QUIET, "trigger_mode": "always_last", "show_progress": "minimal"}
"""Of a control that is moved again before the answer is there, only the last position counts."""

Download: TypeAlias = tuple[gr.Button, gr.DownloadButton]
"""The button that a person presses, and a hidden one that gets the file and is pressed by a script."""


def add_notice(tab: str) -> gr.HTML:
    """Add the place of a tab's notice, and a hidden button by which a script empties it."""
    notice = gr.HTML(elem_id=f"{tab}-notice", elem_classes="carpus-notice")
    gr.Button(visible="hidden", elem_classes="carpus-empty").click(None, None, notice, js="() => ''", **QUIET)
    return notice


def download(label: str, name: str) -> Download:
    """Add a button that makes a file and gives it to the browser; `name` is unique on the page."""
    return gr.Button(label, elem_id=f"get-{name}"), gr.DownloadButton(visible="hidden", elem_id=f"file-{name}")


def connect_download(parts: Download, handler: Any, inputs: Sequence[gr.components.Component], notice: gr.HTML) -> None:
    """Connect both buttons to a handler that returns the notice and the path of a file."""
    button, file = parts

    async def make(*values: Any) -> tuple[str, str | None]:
        fault, path = await handler(*values)
        return fault, None if fault else path  # The file of the press before is not given a second time.

    made = button.click(make, list(inputs), [notice, file], preprocess=False, **QUIET)
    made.then(None, file, None, js="(file) => carpusDownload(file)", **QUIET)
