"""All that was found out about an exported file before it appears, and the bounds that it must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.task import Task
from trainer.export.proof.images import Material
from trainer.export.proof.logits import LogitProof
from trainer.export.proof.masks import MaskProof


@dataclass(frozen=True)
class Bound:
    """What a file of some precision may lose, in the task's metric over the images of the proof."""

    loss: float
    """By how much the metric against the truth may be worse than torch's."""
    agreement: float
    """The least metric of the file's masks against torch's."""

    def wider(self, other: Bound) -> Bound:
        """Return a bound that allows what either does."""
        return Bound(max(self.loss, other.loss), min(self.agreement, other.agreement))


BOUNDS = {"fp32": Bound(0.001, 0.999), "fp16": Bound(0.002, 0.99), "int8": Bound(0.01, 0.95)}

IN_FRAME = Bound(0.005, 0.97)
"""The same of a file that is given images in another program's size, and so not the very pixels that the run saw."""


@dataclass(frozen=True)
class Proof:
    """What was found out about a file."""

    precision: str
    material: Material
    graph: LogitProof
    """Of the file in float32, which is within `logits.BOUND`."""
    own: LogitProof
    """Of this file; the same for float32."""
    masks: MaskProof
    bound: Bound
    seconds: Mapping[str, float]
    """Of one image: `torch`, `fp32` and this precision."""
    sizes: Mapping[str, int]
    """In bytes: `fp32` and this precision."""

    def loss(self, task: Task) -> float:
        """Return by how much the metric of the file is worse than torch's."""
        return task.metric.badness(self.masks.after) - task.metric.badness(self.masks.before)

    def fault(self, task: Task) -> str | None:
        """Say which bound the file does not keep; None if it keeps all."""
        label, bound = task.metric.label, self.bound
        if not self.loss(task) <= bound.loss:
            return f"loses {self.loss(task):.4f} of {label}, more than {bound.loss}"
        if task.metric.higher_is_better and not self.masks.agreement >= bound.agreement:
            agreement = f"{self.masks.agreement:.4f}, less than {bound.agreement}"
            return f"has masks whose {label} with those of torch is {agreement}"
        return None
