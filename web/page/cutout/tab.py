"""The page for cut-outs: what is on it, and which handler answers to which control."""

from __future__ import annotations

from typing import Any

import gradio as gr

from data.refine import PRESETS
from web.page.cutout.controls import EDGES, ISLANDS, Controls, controls_of
from web.page.cutout.work import AS_MODEL, VIEWS, Work
from web.page.events import LIVELY, QUIET, SILENT, add_notice, connect_download, download
from web.page.examples import PHOTOGRAPHS

GROUNDS = ("colour", "picture", "blur")
SUFFIXES = {"transparent": (".png",), "ground": (".png", ".jpg"), "mask": (".png",)}
"""The formats in which each view can be downloaded."""


class CutoutTab:
    """Builds the components of one language inside the `gr.Blocks` that is open, and connects them.

    `settings` are those that say how a cut-out is made, in the order of the fields of `cutout.work.Settings`.
    """

    def __init__(self, work: Work) -> None:
        self.work, self.say = work, work.answers.say

    def build(self) -> None:
        """Lay out picture, result and settings; on a narrow screen in this order."""
        with gr.Column(elem_classes="carpus-tab"):
            self.notice = add_notice("cutout")
            self.key = gr.State(None, time_to_live=3600, delete_callback=self.work.kept.forget)
            self.view = gr.State(VIEWS[0])
            with gr.Row(elem_classes="carpus-columns"):
                with gr.Column(elem_classes="carpus-input", min_width=280):
                    self._build_input()
                with gr.Column(elem_classes="carpus-result", min_width=280):
                    self._build_result()
                with gr.Column(elem_classes="carpus-settings", min_width=280):
                    self._build_controls()
        self.settings = [self.model, self.preset, *self.controls, *self.grounds, self.own_colours]
        self._connect()

    def _build_input(self) -> None:
        names = list(self.work.models)
        several = len(names) > 1
        self.model = gr.Dropdown(names, value=names[0], label=self.say("model"), visible=several, elem_id="model")
        self.picture = gr.Image(
            label=self.say("drop_picture"),
            type="filepath",
            sources=["upload", "clipboard"],
            height=260,
            buttons=[],
            elem_id="picture",
        )
        self.examples = gr.Dataset(
            components=[gr.Image(type="filepath", render=False)],
            samples=[[str(path)] for path in PHOTOGRAPHS],
            type="index",
            label=self.say("examples"),
            elem_id="examples",
        )

    def _build_result(self) -> None:
        self.tabs, self.shown, self.downloads = {}, {}, {}
        with gr.Tabs(elem_id="views"):
            for view in VIEWS:
                with gr.Tab(self.say(view), id=view) as self.tabs[view]:
                    self.shown[view] = gr.ImageSlider(
                        label=self.say("before_after"),
                        interactive=False,
                        max_height=460,
                        buttons=["fullscreen"],
                        elem_id=f"shown-{view}",
                    )
                    if view == "ground":
                        self._build_grounds()
                    with gr.Row():
                        for suffix in SUFFIXES[view]:
                            label = self.say(f"download_{suffix[1:]}")
                            self.downloads[view, suffix] = download(label, f"{view}-{suffix[1:]}")
        self.facts = gr.HTML(elem_id="cutout-facts")

    def _build_grounds(self) -> None:
        say = self.say
        kinds = [(say(f"ground_{kind}"), kind) for kind in GROUNDS]
        kind = gr.Radio(kinds, value=GROUNDS[0], label=say("ground_kind"), elem_id="ground-kind")
        colour = gr.ColorPicker("#ffffff", label=say("colour"), elem_id="ground-colour")
        picture = gr.Image(
            label=say("ground_file"),
            type="filepath",
            sources=["upload"],
            height=160,
            visible=False,
            buttons=[],
            elem_id="ground-picture",
        )
        blur = gr.Slider(0.5, 10, 1.5, step=0.5, label=say("blur_strength"), visible=False, elem_id="ground-blur")
        self.grounds = kind, colour, picture, blur
        shown = [colour, picture, blur]
        kind.change(lambda chosen: [gr.update(visible=chosen == name) for name in GROUNDS], kind, shown, **SILENT)

    def _build_controls(self) -> None:
        say, at = self.say, self._positions_at_first()
        presets = [(say("preset_model"), AS_MODEL), *((name, name) for name in PRESETS)]
        edges = [(say(f"edges_{kind}"), kind) for kind in EDGES]
        islands = [(say(f"islands_{kind}"), kind) for kind in ISLANDS]
        with gr.Accordion(say("settings"), open=True, elem_id="settings"):
            self.preset = gr.Dropdown(presets, value=AS_MODEL, label=say("preset"), elem_id="preset")
            edge = gr.Radio(edges, value=at.edges, label=say("edges"), info=say("edges_about"), elem_id="edges")
            radius = self._slider("radius", 1, 32, at.radius_px, 1)
            cutoff = self._slider("cutoff", 0, 0.9, at.cutoff, 0.05)
            gamma = self._slider("gamma", 0.1, 1, at.gamma, 0.05)
            feather = self._slider("feather", 0, 40, at.feather_px, 1)
            parts = gr.Radio(islands, value=at.islands, label=say("islands"), elem_id="islands")
            stretch = gr.Checkbox(at.stretch, label=say("stretch"), info=say("stretch_about"), elem_id="stretch")
            self.own_colours = gr.Checkbox(True, label=say("own_colours"), elem_id="own-colours")
        self.controls = stretch, edge, radius, parts, cutoff, gamma, feather

    def _slider(self, name: str, low: float, high: float, value: float, step: float) -> gr.Slider:
        about = self.say(f"{name}_about")
        return gr.Slider(low, high, value, step=step, label=self.say(name), info=about, elem_id=name)

    def _positions_at_first(self) -> Controls:
        """Return the positions of the controls for the first model."""
        return controls_of(next(iter(self.work.models.values())).refinements)

    def _connect(self) -> None:
        answer, shown = self.work.answers.to, list(self.shown.values())
        opened = [self.notice, self.picture, self.key, self.facts, *shown]
        given, count = [self.picture, self.key, self.view, *self.settings], len(opened) - 1
        self.picture.upload(answer(self.work.open, count, clears=True), given, opened, preprocess=False, **QUIET)
        self.picture.clear(lambda: ("", None, "", *[None] * len(shown)), None, [self.notice, *opened[2:]], **SILENT)
        example = [self.examples, *given[1:]]
        self.examples.click(answer(self.work.open_example, count), example, opened, preprocess=False, **QUIET)
        positions = answer(self.work.positions, len(self.controls)), [self.model, self.preset]
        moved = self.model.input(*positions, [self.notice, *self.controls], **SILENT)
        moved.then(answer(self.work.open_again, count), given, opened, preprocess=False, **QUIET)
        drawn: Any = answer(self.work.draw, 1 + len(shown)), given[1:], [self.notice, self.facts, *shown]
        moved = self.preset.input(*positions, [self.notice, *self.controls], **SILENT)
        moved.then(*drawn, preprocess=False, **LIVELY)
        gr.on(self._changes(), *drawn, preprocess=False, **LIVELY)
        for view, tab in self.tabs.items():
            chosen = tab.select(lambda view=view: view, None, self.view, **SILENT)
            chosen.then(*drawn, preprocess=False, **LIVELY)
        for (view, suffix), parts in self.downloads.items():
            self._connect_download(view, suffix, parts)

    def _changes(self) -> list[Any]:
        """Return the events after which a cut-out looks otherwise."""
        kind, colour, picture, blur = self.grounds
        events = [one.release if isinstance(one, gr.Slider) else one.input for one in self.controls]
        return [*events, kind.input, colour.change, picture.upload, picture.clear, blur.release, self.own_colours.input]

    def _connect_download(self, view: str, suffix: str, parts: Any) -> None:
        async def write(*values: Any) -> tuple[Any, ...]:
            return await self.work.write(view, suffix, *values)

        connect_download(parts, self.work.answers.to(write, 1), [self.key, *self.settings], self.notice)
