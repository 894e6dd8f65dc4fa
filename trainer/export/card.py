"""The model card of an exported file, in Markdown: what it is, what it was made from, how good and how proven it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.task import Task
from runtime.model.metadata import Metadata
from trainer.export.description import NOT_GIVEN, Described
from trainer.export.graph import INPUT, OUTPUT, Graph
from trainer.export.proof.proof import Proof
from trainer.export.report import proof_in_words, shapes_in_words, size_in_words
from trainer.provenance import Provenance, is_used


def card_of(name: str, task: Task, described: Described, graph: Graph, proof: Proof, use: str) -> str:
    """Return the card of the file `name`; `use` is the command that predicts with it."""
    parts = [
        f"# {name}",
        _summary(described, graph, proof),
        "## Use",
        *_use(use, task, described.metadata, graph),
        "## Scores",
        _scores(task, described.metadata, proof),
        "## Made from",
        *source_tables(described.sources),
        "## How it was proven",
        *_proof(task, proof),
        "## Limits",
        _limits(task, described, proof),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(described: Described, graph: Graph, proof: Proof) -> str:
    about = described.metadata
    trained = f", after {described.trained}" if described.trained else ""
    rows = {
        "task": about.task,
        "network": f"{described.model}, {described.parameters:,} parameters as trained",
        "run": f"{about.run}{trained}",
        "file": f"{size_in_words(proof.sizes[proof.precision])}, ONNX, {about.precision}",
        "shapes": shapes_in_words(graph),
        f"classes ({len(about.classes)})": ", ".join(about.classes),
        "licence": about.licence or NOT_GIVEN,
        "attribution": "; ".join(about.attributions) or NOT_GIVEN,
    }
    return table(("", ""), list(rows.items()))


def _use(use: str, task: Task, about: Metadata, graph: Graph) -> list[str]:
    colours = "RGB" if graph.channels == 3 else "grey"
    height, width = graph.size_hw
    padded = "keeping the ratio of their sides, with black around them, " if about.transform.get("pad") else ""
    divisor = "the largest value of the image" if about.transform.get("divide_by_maximum") else "255"
    refine = about.predict.get("refine")
    names = task.refine if refine is None else ", ".join(str(step.get("name")) for step in refine)
    masks = f"Refinement by Carpus, at the image's own size: {names or 'none'}."
    if not task.encoding.soft:
        threshold = "one for each class, in the metadata" if about.thresholds else about.predict.get("threshold")
        masks = f"A pixel belongs to a class if its probability exceeds a threshold: {threshold}."
    return [
        f"```\n{use}\n```",
        "\n".join(
            [
                f"- Input `{INPUT}`, float32: {colours} images, resized to {height} x {width} px (height x width), "
                f"{padded}divided by {divisor}, minus {about.transform.get('mean')}, divided by "
                f"{about.transform.get('std')}.",
                f"- Output `{OUTPUT}`, float32: the probability of each class, 0 to 1.",
                f"- {masks}",
                "- The file holds all of this in its metadata, and Carpus reads it there.",
            ]
        ),
    ]


def _scores(task: Task, about: Metadata, proof: Proof) -> str:
    label, images, masks = task.metric.label, proof.material.proof, proof.masks
    rows = [(f"{name}, when the network was chosen", f"{value:.4f}") for name, value in (about.score or {}).items()]
    rows += [
        (f"{label} of {images}, with torch", f"{masks.before:.4f}"),
        (f"{label} of {images}, with this file", f"{masks.after:.4f}"),
    ]
    return table(("score", "value"), rows)


def source_tables(sources: Provenance) -> list[str]:
    """Return a table of the images and one of the starting weights that a network was made from."""
    found = []
    for part, heading in (("data", "Images"), ("start", "Starting weights")):
        entries = sources.get(part, [])
        if entries:
            rows = [_source(entry) for entry in entries]
            found.append(table((heading, "licence", "attribution", "remark"), rows))
    return found or ["Nobody has noted what it was made from."]


def _source(entry: Mapping[str, Any]) -> tuple[str, ...]:
    remark = "" if is_used(entry) else f"not used: {entry['reason']}"
    if is_used(entry) and entry.get("images") is not None:
        remark = f"{entry['images']} images"
    facts = (entry.get("name"), entry.get("licence") or NOT_GIVEN, entry.get("attribution") or NOT_GIVEN)
    return (*map(str, facts), remark or str(entry.get("source") or ""))


def _proof(task: Task, proof: Proof) -> list[str]:
    each = [(name, f"{before:.4f}", f"{after:.4f}") for name, (before, after) in proof.masks.scores.items()]
    return [
        "Before this file appeared, ONNX Runtime and torch computed the same images:",
        "\n".join(f"- {line[0].upper()}{line[1:]}." for line in proof_in_words(task, proof)),
        table(("image", f"{task.metric.label} with torch", "with this file"), each),
    ]


def _limits(task: Task, described: Described, proof: Proof) -> str:
    known = described.sources.get("data")
    trained = "It was trained on the images above." if known else "Nobody has noted which images it was trained on."
    limits = [
        *task.limits,
        f"{trained} Of images that look otherwise nothing is known: try it on some of yours.",
        *(f"{limit[0].upper()}{limit[1:]}." for limit in described.limits),
    ]
    if proof.material.proof.rendered:
        limits.append(
            "The images of its run were not here, so the scores above are of rendered ones. They say that the file "
            "equals the network, not how good it is."
        )
    if proof.precision == "int8":
        limits.append(
            "Sums of 8-bit products are exact on processors with instructions for them (VNNI, or those of ARM). On an "
            "older one (AVX2 alone) some overflow: export the file there, and it is proven there."
        )
    limits += unknown_licence(described.metadata.licence)
    return "\n".join(f"- {limit}" for limit in limits)


def unknown_licence(licence: str | None) -> list[str]:
    """Return the sentence that something a network was made from has no licence; nothing if all have one."""
    if licence is not None and NOT_GIVEN not in licence:
        return []
    return ["A licence is not given for all that it was made from: ask before you pass the file on."]


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text that stays in its cell."""
    return " ".join(str(text).split()).replace("|", "\\|")
