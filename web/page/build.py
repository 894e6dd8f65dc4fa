"""Build the Gradio app of one language: which pages it has follows from the tasks of the models."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from utils.viewer.markup import program, style
from web.engine.engine import Engine
from web.page.answers import MEGA, Answers, Room
from web.page.cutout.several import SeveralTab
from web.page.cutout.tab import CutoutTab
from web.page.cutout.work import Work
from web.page.files import PageFiles
from web.page.gate import Gate
from web.page.kept import Kept
from web.page.regions.tab import RegionsTab
from web.page.regions.work import RegionsWork
from web.page.texts import LANGUAGES, Language, Say, say_in
from web.settings import Limits

ASSETS = Path(__file__).parent / "assets"
KEPT_MB = 512
"""Predictions that are kept for the sliders, over all persons; temporary files on disk may take as much."""
SWEEP_S, FILES_AGE_S = 600, 3600
"""How often temporary files are looked at, and after how long they are removed."""
FONT = ["system-ui", "-apple-system", "Noto Sans KR", "Noto Sans CJK KR", "sans-serif"]
"""Fonts of the machine: none is sent."""


@dataclass(frozen=True)
class Shared:
    """What the pages of all languages share."""

    engine: Engine
    folder: Path
    """For temporary files."""
    kept: Kept[Any] = field(default_factory=lambda: Kept(KEPT_MB * MEGA))

    @cached_property
    def room(self) -> Room:
        """For as many requests as the engine takes in."""
        return Room(self.engine.settings.queue)

    @cached_property
    def files(self) -> PageFiles:
        """The temporary files."""
        return PageFiles(self.folder, KEPT_MB * MEGA)


def mount_blocks(app: FastAPI, shared: Shared, language: Language) -> None:
    """Add the page of a language to the server, at `/en` or `/ko`."""
    blocks = build_blocks(shared, language)
    limits = shared.engine.settings.limits
    gr.mount_gradio_app(
        app,
        blocks,
        f"/{language}",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=round(limits.file_mb * MEGA),
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=gr.themes.Default(font=FONT, font_mono=["monospace"]),
        css_paths=[ASSETS / "page.css"],
        head=f"<script>{program()}</script>{style()}",
    )
    # Paths in a request are only checked by an app that was launched, and a mounted one never is.
    blocks.has_launched = True
    mounted = next(route for route in app.routes if isinstance(route, Mount) and route.path == f"/{language}")
    gradio: Any = mounted.app
    app.state.ends.append(gradio.stop_event.set)  # Pages that are open would keep the server from ending.
    largest_upload = round((limits.files + 1) * limits.file_mb * MEGA)
    mounted.app = Gate(gradio, shared.files, largest_upload, head_of(say_in(language), language, limits))


def build_blocks(shared: Shared, language: Language) -> gr.Blocks:
    """Lay out the page of a language."""
    say, engine = say_in(language), shared.engine
    answers = Answers(say, engine.settings.limits, shared.room, shared.folder)
    tasks = [model.cuts_out for model in engine.models.values()]
    with gr.Blocks(
        analytics_enabled=False, title=say("title"), delete_cache=(SWEEP_S, FILES_AGE_S), fill_width=True
    ) as blocks:
        gr.HTML(_heading(say, language))
        with gr.Tabs(elem_id="pages"):
            if any(tasks):
                work = Work(engine, answers, shared.files, shared.kept)
                with gr.Tab(say("cutout_page"), id="cutout"):
                    tab = CutoutTab(work)
                    tab.build()
                with gr.Tab(say("several_page"), id="several"):
                    SeveralTab(work, tab.settings).build()
            if not all(tasks):
                with gr.Tab(say("regions_page"), id="regions"):
                    RegionsTab(RegionsWork(engine, answers, shared.files, shared.kept, language)).build()
    blocks.queue(api_open=False, default_concurrency_limit=None)
    return blocks


def _heading(say: Say, language: Language) -> str:
    other = next(one for one in LANGUAGES if one != language)
    link = f'<a href="../{other}/" hreflang="{other}" lang="{other}">{html.escape(say("other_language"))}</a>'
    return f'<header class="carpus-heading"><h1>{html.escape(say("title"))}</h1><nav>{link}</nav></header>'


def head_of(say: Say, language: Language, limits: Limits) -> str:
    """Return what is put at the beginning of the page's head: its icon, and the script that comes before Gradio's."""
    settings = {
        "language": language,
        "fileBytes": round(limits.file_mb * MEGA),
        "texts": {
            "tooLarge": say("too_large", name="{name}", mb="{mb}", most=f"{limits.file_mb:g}"),
            "tooLargeAny": say("too_large_any", most=f"{limits.file_mb:g}"),
            "noConnection": say("no_connection"),
            "failed": say("failed"),
        },
    }
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    told = json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c")
    icon = '<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E">'
    return f"{icon}<script>{script.replace('SETTINGS', told)}</script>"
