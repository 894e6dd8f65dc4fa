"""The page for several photographs at once: a zip of their cut-outs, with the settings of the page for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from web.page.cutout.work import Work
from web.page.events import QUIET, add_notice

KINDS = (("transparent", ".png"), ("ground", ".jpg"), ("mask", ".png"))
"""The view and the format of what is written."""


class SeveralTab:
    """Builds the components of one language, and connects them. `settings` are the components of the other page."""

    def __init__(self, work: Work, settings: Sequence[gr.components.Component]) -> None:
        self.work, self.say, self.settings = work, work.answers.say, settings

    def build(self) -> None:
        """Lay out files, kind and results."""
        say = self.say
        kinds = [(f"{say(view)} ({suffix[1:].upper()})", place) for place, (view, suffix) in enumerate(KINDS)]
        with gr.Column(elem_classes="carpus-tab"):
            notice = add_notice("several")
            files = gr.File(
                label=say("several_files", most=self.work.answers.limits.files),
                file_count="multiple",
                height=200,
                elem_id="several-files",
            )
            gr.HTML(f"<p>{say('several_about', page=say('cutout_page'))}</p>")
            kind = gr.Radio(kinds, value=0, label=say("several_kind"), elem_id="several-kind")
            start = gr.Button(say("several_start"), variant="primary", elem_id="several-start")
            facts = gr.HTML(elem_id="several-facts")
            packed = gr.DownloadButton(say("download_zip"), visible=False, elem_id="file-zip")
            shown = gr.Gallery(
                label=say("several_results"),
                interactive=False,
                columns=3,
                height="auto",
                buttons=[],
                elem_id="several-shown",
            )

        async def write(uploads: Any, place: int, *values: Any) -> tuple[Any, ...]:
            return await self.work.write_several(uploads, *KINDS[place], *values)

        handler = self.work.answers.to(write, 3)
        given, made = [files, kind, *self.settings], [notice, packed, shown, facts]
        start.click(handler, given, made, preprocess=False, **QUIET)
