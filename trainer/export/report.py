"""Say what was written, how large it is, how it was proven and how quick it is: in the log, and for the model card."""

from __future__ import annotations

import logging
from pathlib import Path

from data.task import Task
from trainer.export.graph import Graph
from trainer.export.proof.images import ProofImages
from trainer.export.proof.logits import BOUND, Case, LogitProof
from trainer.export.proof.masks import MaskProof

log = logging.getLogger(__name__)

MEGABYTE = 1e6


def say_written(
    output: Path, task: Task, graph: Graph, images: ProofImages, logits: LogitProof, masks: MaskProof
) -> None:
    """Log in a few lines what was written and how it was proven."""
    log.info("%s: %s, %s", output, size_in_words(output.stat().st_size), shapes_in_words(graph))
    log.info("%s", logits_in_words(logits))
    log.info("%s", masks_in_words(task, images, masks))
    log.info("%s: its model card", output.with_suffix(".md"))
    log.info("use it without torch: python inference.py --model %s --images DIR --output PATH", output)


def size_in_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE / 10 else f"{size / 1000:.1f} kB"


def shapes_in_words(graph: Graph) -> str:
    """Return what the file takes and what it gives."""
    height, width = graph.size_hw
    sides = "H, W" if graph.any_size else f"{height}, {width}"
    steps = f" (H and W multiples of {graph.step_px})" if graph.any_size and graph.step_px > 1 else ""
    takes = f"images [N, {graph.channels}, {sides}]{steps}"
    return f"{takes} to probabilities [N, {graph.classes}, {sides}]"


def logits_in_words(logits: LogitProof) -> str:
    """Return how the logits were compared, and how much they differ."""
    return (
        f"probabilities differ from those of torch by at most {logits.probability:.1e}, and logits by "
        f"{logits.logit:.1e}, which is {logits.relative:.1e} of the largest (bound of both {BOUND:.0e}), over "
        f"batches of {', '.join(map(_case, logits.cases))} px"
    )


def masks_in_words(task: Task, images: ProofImages, masks: MaskProof) -> str:
    """Return how the masks were compared, and what the metric is before and after."""
    label = task.metric.label
    scores = f"{label} {masks.before:.4f} with torch, {masks.after:.4f} with the file"
    differ = f"{masks.share:.1e} of their values differ"
    if task.encoding.soft:
        differ = f"alpha differs by at most {masks.levels} of 255 ({differ})"
    return f"masks of {images}: {scores}; {differ}"


def _case(case: Case) -> str:
    images, (height, width) = case
    return f"{images} x {height} x {width}"
