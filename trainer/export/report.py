"""Say what was written, how large it is, how it was proven and how quick it is: in the log, and for the model card."""

from __future__ import annotations

import logging
from pathlib import Path

from data.task import Task
from trainer.export.graph import Graph
from trainer.export.precision import LARGEST_SHARE
from trainer.export.proof.logits import BOUND, Case, LogitProof
from trainer.export.proof.proof import Proof

log = logging.getLogger(__name__)

MEGABYTE = 1e6


def say_written(output: Path, task: Task, graph: Graph, proof: Proof, use: str) -> None:
    """Log in a few lines what was written, how it was proven, and the command that uses it."""
    log.info("%s: %s", output, shapes_in_words(graph))
    for line in proof_in_words(task, proof):
        log.info("  %s", line)
    log.info("%s: its model card", output.with_suffix(".md"))
    log.info("use it without torch: %s", use)


def proof_in_words(task: Task, proof: Proof) -> list[str]:
    """Return how a file was proven, how large and how quick it is, a sentence each."""
    lines = [f"proven equal: {logits_in_words(proof.graph)}"]
    if proof.own is not proof.graph:
        calibrated = f", calibrated on {proof.material.calibration}" if proof.precision == "int8" else ""
        change = f"changes a probability by at most {proof.own.probability:.2g}"
        lines[0] = f"in fp32 {lines[0]}"
        lines.append(f"{proof.precision}{calibrated}, {change}; what counts are masks")
    return [*lines, masks_in_words(task, proof), size_and_speed_in_words(proof)]


def size_and_speed_in_words(proof: Proof) -> str:
    """Return how large the file is and how long an image takes, compared with float32 and torch."""
    size, full = proof.sizes[proof.precision], proof.sizes["fp32"]
    own_s, full_s, torch_s = (proof.seconds[name] for name in (proof.precision, "fp32", "torch"))
    words = f"{size_in_words(size)}; an image takes {own_s * 1000:.0f} ms"
    if proof.precision == "fp32":
        return f"{words}, with torch {torch_s * 1000:.0f} ms"
    much = f", which is more than the {LARGEST_SHARE:.0%} expected" if _too_large(proof) else ""
    return (
        f"{size_in_words(size)}, {size / full:.1%} of fp32{much}; an image takes {own_s * 1000:.0f} ms, in fp32 "
        f"{full_s * 1000:.0f} ms ({full_s / own_s:.2f}x as quick)"
    )


def _too_large(proof: Proof) -> bool:
    return proof.precision == "int8" and proof.sizes["int8"] > LARGEST_SHARE * proof.sizes["fp32"]


def size_in_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE / 10 else f"{size / 1000:.1f} kB"


def shapes_in_words(graph: Graph) -> str:
    """Return what the file takes and what it gives."""
    height, width = graph.size_hw
    sides = "H, W" if graph.any_size else f"{height}, {width}"
    steps = f" (H and W multiples of {graph.step_px})" if graph.any_size and graph.step_px > 1 else ""
    takes = f"images [N, {graph.channels}, {sides}]{steps}"
    gives = "H, W" if graph.any_size else ", ".join(map(str, graph.output_hw))
    return f"{takes} to probabilities [N, {graph.classes}, {gives}]"


def logits_in_words(logits: LogitProof) -> str:
    """Return how the logits were compared, and how much they differ."""
    return (
        f"probabilities differ from those of torch by at most {logits.probability:.1e}, and logits by "
        f"{logits.logit:.1e}, which is {logits.relative:.1e} of the largest (bound of both {BOUND:.0e}), over "
        f"batches of {', '.join(map(_case, logits.cases))} px"
    )


def masks_in_words(task: Task, proof: Proof) -> str:
    """Return how the masks were compared, what the metric is before and after, and which bound it keeps."""
    label, masks = task.metric.label, proof.masks
    differ = f"{masks.share:.1e} of their values differ"
    if task.encoding.soft:
        differ = f"alpha differs by at most {masks.levels} of 255 ({differ})"
    return (
        f"masks of {proof.material.proof}: {label} {masks.before:.4f} with torch, {masks.after:.4f} with the file (may "
        f"lose {proof.bound.loss}), {masks.agreement:.4f} between the two (at least {proof.bound.agreement}); {differ}"
    )


def _case(case: Case) -> str:
    images, (height, width) = case
    return f"{images} x {height} x {width}"
