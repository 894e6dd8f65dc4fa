"""The handlers of the page for regions. `open` and `open_example` run the network; the others do not."""

from __future__ import annotations

import html
import math
import time
from pathlib import Path

import gradio as gr

from data.sample import Sample
from utils.arrays import Packed
from utils.files import file_in_memory
from web.engine.engine import Engine
from web.page.answers import Answers, Outputs, Upload
from web.page.examples import RADIOGRAPHS
from web.page.files import PageFiles, safe_stem
from web.page.kept import Kept
from web.page.regions.drawing import draw
from web.page.regions.findings import Findings
from web.page.texts import Language

FILES = {"csv": ".csv", "label": ".json", "coco": "-coco.json"}
"""How the names of the files that can be downloaded end."""


class RegionsWork:
    """Handlers in one language; `kept` is shared by all languages."""

    def __init__(
        self, engine: Engine, answers: Answers, files: PageFiles, kept: Kept[Findings], language: Language
    ) -> None:
        self.engine, self.answers, self.files, self.kept, self.language = engine, answers, files, kept, language
        self.models = {name: model for name, model in engine.models.items() if not model.cuts_out}

    async def open(self, upload: Upload | None, label: Upload | None, key: str | None, model: str) -> Outputs:
        """Predict an uploaded image; returns image and label as they are, the key, the facts and the picture."""
        opened = await self._opened(*self.answers.read(upload), label, key, model)
        return (gr.update(), gr.update(), *opened)

    async def open_again(self, upload: Upload | None, label: Upload | None, key: str | None, model: str) -> Outputs:
        """Do the same for another model, if there is an image."""
        return (gr.update(),) * 5 if upload is None else await self.open(upload, label, key, model)

    async def open_example(self, index: int, key: str | None, model: str) -> Outputs:
        """Predict an example; returns the example and its label first, to be shown as if they had been dropped."""
        path = RADIOGRAPHS[index]
        label = self.files.example(path.with_suffix(".json"))
        opened = await self._opened(path.read_bytes(), path.name, {"path": label}, key, model)
        return (self.files.example(path), label, *opened)

    async def compare(self, label: Upload | None, key: str | None) -> Outputs:
        """Draw the image that is kept with another truth, or with none; returns the facts and the picture."""
        if key is None:
            return gr.update(), gr.update()
        findings = self._findings(key)
        findings.truth = await self.engine.run(self._truth, label, findings)
        return await self.engine.run(self._drawn, findings)

    async def write(self, kind: str, key: str | None) -> Outputs:
        """Write a file; returns its path."""
        findings = self._findings(key)
        content = await self.engine.run(getattr(findings, kind))
        return (self.files.write(f"{safe_stem(findings.name)}{FILES[kind]}", content.encode()),)

    async def _opened(self, content: bytes, name: str, label: Upload | None, key: str | None, model: str) -> Outputs:
        with self.answers.naming(name):
            async with self.engine.turn(content, model) as image:
                begun = time.perf_counter()
                prediction = await self.engine.predict(image)
                packed = await self.engine.run(prediction.packed)
                seconds = time.perf_counter() - begun
        findings = Findings(name, prediction.model.task, prediction.photo.pixels, packed, seconds)
        findings.oddity = await self.engine.run(lambda: prediction.oddity)
        findings.truth = await self.engine.run(self._truth, label, findings)
        drawn = await self.engine.run(self._drawn, findings)
        return (self.kept.keep(findings, findings.size_bytes, instead_of=key), *drawn)

    def _truth(self, upload: Upload | None, findings: Findings) -> Packed | None:
        """Read the label of an image, if one is given. Raises `UserError` for one that does not fit."""
        if upload is None:
            return None
        content, name = self.answers.read(upload)
        with file_in_memory(content) as path, self.answers.without_path(path, name, "bad_label"):
            sample = Sample(findings.name, "", Path(findings.name), path)
            return findings.task.encoding.harden(findings.task.read_mask(sample, findings.size_hw))

    def _findings(self, key: str | None) -> Findings:
        findings = self.kept.of(key)
        if findings is None:
            raise self.answers.fault("first_a_picture" if key is None else "gone")
        return findings

    def _drawn(self, findings: Findings) -> Outputs:
        return self._facts(findings), draw(findings, self.answers.say, self.language)

    def _facts(self, findings: Findings) -> str:
        say, task = self.answers.say, findings.task
        height, width = findings.size_hw
        found = int((findings.areas_px > 0).sum())
        about = {"width": width, "height": height, "found": found, "count": len(task.classes)}
        facts = [say("regions_facts", **about, seconds=f"{findings.seconds:.2f}")]
        kind = task.stratum_of(findings.runs, findings.size_hw)
        if task.strata is not None and kind is not None and not math.isnan(findings.angle_deg):
            angle = f"{findings.angle_deg:.1f}{task.strata.unit}"
            facts.append(say("wrist_angle", angle=angle, kind=say(f"wrist_{kind}")))
        scores = findings.scores
        if scores is not None:
            facts.append(say("mean_score", metric=task.metric.label, value=f"{scores.mean():.4f}"))
        lines = [f"<p>{html.escape(' · '.join(facts))}</p>"]
        if findings.oddity is not None:
            lines.append(f'<p role="alert">{html.escape(say("unlike_trained", oddity=findings.oddity))}</p>')
        return "".join(lines)
