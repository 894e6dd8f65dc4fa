"""Check a whole data set: every file is read once, in threads, then compared with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.check.checks import OTHER_CLASSES, LabelFacts, Split, compare_labels, look_at_mask
from data.check.files import file_findings, open_splits, relative
from data.check.finding import KINDS, Finding, Kind, Severity, worded
from data.check.images import ImageFacts, compare_images, look_at_image
from data.sample import Sample
from data.task import Task
from utils.parallel import map_ahead
from utils.progress import track

WORKERS = 4
"""Threads that decode and measure; each holds one image."""


@dataclass(frozen=True)
class Pair:
    """An image and its label, either of which may be missing."""

    split: Split
    key: str

    @property
    def image(self) -> Path | None:
        """The image's file; None if there is none."""
        return self.split.images.get(self.key)

    @property
    def label(self) -> Path | None:
        """The label's file; None if there is none."""
        return self.split.labels.get(self.key)


@dataclass(frozen=True)
class Survey:
    """The result of a check. `pairs` gives the files by the name under which findings mention them."""

    root: Path
    splits: Sequence[Split]
    findings: Sequence[Finding]
    """In the order of `kinds`, the oddest of a kind first."""
    kinds: Mapping[str, Kind]
    """What findings may be, for any task and for this one."""
    pairs: dict[str, Pair]
    remarks: Sequence[str]
    """What could not be checked, a sentence each."""

    @property
    def faulty(self) -> bool:
        """Whether anything more than notes was found."""
        return any(self.severity_of(finding) != "note" for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind that was found."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in self.kinds if kind in found}

    def severity_of(self, finding: Finding) -> Severity:
        """Return the severity of a finding's kind."""
        return self.kinds[finding.kind].severity

    def exclusions(self, *severities: str) -> list[str]:
        """Return the names for data.exclude that leave findings of these severities out of training."""
        named = {f.exclude for f in self.findings if f.exclude is not None and self.severity_of(f) in severities}
        return sorted(name for name in named if "/" not in name or name.split("/")[0] not in named)


def check_dataset(task: Task, root: Path, exclude: Collection[str] = ()) -> Survey:
    """Check every image and label in `root`, except the excluded.

    Raises `UserError` if `root` is not a data set's folder, or an exclusion matches nothing.
    """
    # Names and folders first, then every file by itself, in threads.
    splits, left_out = open_splits(task, root, exclude)
    findings = list(file_findings(task, root, splits, left_out, exclude))
    pairs = [Pair(split, key) for split in splits for key in sorted({*split.images, *split.labels})]
    looked = map_ahead(lambda pair: look_at_pair(task, root, pair), pairs, workers=WORKERS, ahead=2 * WORKERS)
    facts = list(track(looked, "Looking at images and labels", len(pairs)))
    images = [image for image, _ in facts if image is not None]
    labels = [label for _, label in facts if label is not None]
    findings += [fault for image in images for fault in image.faults]
    findings += label_faults(labels)
    # Last, what only shows in comparison with the other files.
    findings += [*compare_images(images, task.checks), *compare_labels(labels)]
    unlike, remarks = task.checks.compare(labels)
    kinds = worded({**KINDS, **task.checks.kinds}, task.layout.group)
    return Survey(root, splits, _sorted([*findings, *unlike], kinds), kinds, _by_file(root, pairs), remarks)


def label_faults(labels: Sequence[LabelFacts]) -> list[Finding]:
    """Return the faults of labels. If all labels are of another task they are one finding, with all their names."""
    faults = [fault for label in labels for fault in label.faults]
    others = [fault for fault in faults if fault.kind == OTHER_CLASSES]
    if len(others) < len(labels) or len(labels) < 2:
        return faults
    names = tuple(dict.fromkeys(name for fault in others for name in fault.classes))
    found = f"{others[0].found}, and so it is in all {len(labels)} labels"
    return [Finding(OTHER_CLASSES, others[0].file, found, names)]


def look_at_pair(task: Task, root: Path, pair: Pair) -> tuple[ImageFacts | None, LabelFacts | None]:
    """Decode one image, measure its label, and return what is needed of them: a few kilobytes."""
    exclude = pair.split.exclusion(pair.key)
    image = label = None
    if pair.image is not None:
        image = look_at_image(task.read_image, pair.image, relative(pair.image, root), exclude)
    if pair.label is not None:
        label = _look_at_label(task, pair, relative(pair.label, root), exclude, image)
    return image if image is None else replace(image, small=None), label


def _look_at_label(
    task: Task, pair: Pair, file: str, exclude: str | None, image: ImageFacts | None
) -> LabelFacts | None:
    """Check a label as its task does; as a mask, which needs its image, if the task has no check of its own."""
    assert pair.label is not None
    size_hw = image.size_hw if image else None
    if task.checks.of_label is not None:
        return task.checks.of_label(pair.label, file, exclude, size_hw, image.small if image else None)
    if pair.image is None or size_hw is None:
        return None
    group, _, name = pair.key.rpartition("/")
    return look_at_mask(task.read_mask, Sample(name, group, pair.image, pair.label), file, exclude, size_hw)


def _sorted(findings: Sequence[Finding], kinds: Mapping[str, Kind]) -> list[Finding]:
    order = {kind: place for place, kind in enumerate(kinds)}
    return sorted(findings, key=lambda finding: (order[finding.kind], -finding.oddness, finding.file, finding.classes))


def _by_file(root: Path, pairs: Sequence[Pair]) -> dict[str, Pair]:
    return {relative(path, root): pair for pair in pairs for path in (pair.image, pair.label) if path is not None}
