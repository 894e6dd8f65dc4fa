"""The page for regions: what is on it, and which handler answers to which control."""

from __future__ import annotations

from typing import Any

import gradio as gr

from web.page.events import QUIET, SILENT, add_notice, connect_download, download
from web.page.examples import RADIOGRAPHS
from web.page.regions.work import FILES, RegionsWork


class RegionsTab:
    """Builds the components of one language inside the `gr.Blocks` that is open, and connects them."""

    def __init__(self, work: RegionsWork) -> None:
        self.work, self.say = work, work.answers.say

    def build(self) -> None:
        """Lay out image, label and result; on a narrow screen in this order."""
        say, names = self.say, list(self.work.models)
        with gr.Column(elem_classes="carpus-tab"):
            self.notice = add_notice("regions")
            self.key = gr.State(None, time_to_live=3600, delete_callback=self.work.kept.forget)
            with gr.Row(elem_classes="carpus-columns carpus-regions"):
                with gr.Column(elem_classes="carpus-input", min_width=280):
                    several = len(names) > 1
                    self.model = gr.Dropdown(
                        names, value=names[0], label=say("model"), visible=several, elem_id="regions-model"
                    )
                    self.image = gr.Image(
                        label=say("drop_radiograph"),
                        type="filepath",
                        sources=["upload", "clipboard"],
                        height=260,
                        buttons=[],
                        elem_id="radiograph",
                    )
                    self.label = gr.File(
                        label=say("drop_label"), file_types=[".json"], height=160, elem_id="true-label"
                    )
                    self.examples = gr.Dataset(
                        components=[gr.Image(type="filepath", render=False)],
                        samples=[[str(path)] for path in RADIOGRAPHS],
                        type="index",
                        label=say("examples"),
                        elem_id="regions-examples",
                    )
                with gr.Column(elem_classes="carpus-result", min_width=280):
                    self.facts = gr.HTML(elem_id="regions-facts")
                    self.shown = gr.HTML(elem_id="regions-shown", apply_default_css=False)
                    with gr.Row():
                        self.downloads = {kind: download(say(f"download_{kind}"), kind) for kind in FILES}
        self._connect()

    def _connect(self) -> None:
        answer, result = self.work.answers.to, [self.facts, self.shown]
        opened = [self.notice, self.image, self.label, self.key, *result]
        given = [self.image, self.label, self.key, self.model]
        self.image.upload(answer(self.work.open, 5, clears=True), given, opened, preprocess=False, **QUIET)
        self.model.input(answer(self.work.open_again, 5), given, opened, preprocess=False, **QUIET)
        self.image.clear(lambda: ("", None, "", ""), None, [self.notice, *opened[3:]], **SILENT)
        self.examples.click(
            answer(self.work.open_example, 5),
            [self.examples, self.key, self.model],
            opened,
            preprocess=False,
            **QUIET,
        )
        compare = answer(self.work.compare, 2)
        for event in (self.label.upload, self.label.clear):
            event(compare, [self.label, self.key], [self.notice, *result], preprocess=False, **QUIET)
        for kind, parts in self.downloads.items():
            self._connect_download(kind, parts)

    def _connect_download(self, kind: str, parts: Any) -> None:
        async def write(key: str | None) -> tuple[Any, ...]:
            return await self.work.write(kind, key)

        connect_download(parts, self.work.answers.to(write, 1), [self.key], self.notice)
