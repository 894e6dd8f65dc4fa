"""Check a whole data set: every file is read once, in threads, then compared with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.check.files import Split, file_findings, open_splits, relative
from data.check.finding import KINDS, Finding
from data.check.images import ImageFacts, compare_images, look_at_image
from data.hand_bone.checks.labels import LabelFacts, compare_labels, look_at_label
from data.hand_bone.checks.suspects import FEWEST_HANDS, Hand, is_hand, suspects
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
    """In the order of `KINDS`, the oddest of a kind first."""
    pairs: dict[str, Pair]
    remarks: Sequence[str]
    """What could not be checked, a sentence each."""

    @property
    def faulty(self) -> bool:
        """Whether anything more than notes was found."""
        return any(finding.severity != "note" for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind that was found."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS if kind in found}

    def exclusions(self, *severities: str) -> list[str]:
        """Return the names for data.exclude that leave findings of these severities out of training."""
        named = {f.exclude for f in self.findings if f.exclude is not None and f.severity in severities}
        return sorted(name for name in named if "/" not in name or name.split("/")[0] not in named)


def check_dataset(root: Path, exclude: Collection[str] = ()) -> Survey:
    """Check every image and label in `root`, except the excluded.

    Raises `UserError` if `root` is not a data set's folder, or an exclusion matches nothing.
    """
    # Names and folders first, then every file by itself, in threads.
    splits = open_splits(root, exclude)
    findings = list(file_findings(root, splits, exclude))
    pairs = [Pair(split, key) for split in splits for key in sorted({*split.images, *split.labels})]
    looked = map_ahead(lambda pair: look_at_pair(root, pair), pairs, workers=WORKERS, ahead=2 * WORKERS)
    facts = list(track(looked, "Looking at images and labels", len(pairs)))
    images = [image for image, _ in facts if image is not None]
    labels = [label for _, label in facts if label is not None]
    findings += [fault for image in images for fault in image.faults]
    findings += [fault for label in labels for fault in label.faults]
    # Last, what only shows in comparison with the other files.
    findings += [*compare_images(images), *compare_labels(labels)]
    hands = [Hand(label.file, label.exclude, label.shape) for label in labels if label.shape is not None]
    findings += suspects(hands)
    return Survey(root, splits, _sorted(findings), _by_file(root, pairs), _remarks(hands))


def look_at_pair(root: Path, pair: Pair) -> tuple[ImageFacts | None, LabelFacts | None]:
    """Decode one image, measure its label, and return what is needed of them: a few kilobytes."""
    exclude = pair.split.exclusion(pair.key)
    image = label = None
    if pair.image is not None:
        image = look_at_image(pair.image, relative(pair.image, root), exclude)
    if pair.label is not None:
        size_hw = image.size_hw if image is not None else None
        label = look_at_label(pair.label, relative(pair.label, root), exclude, size_hw)
    return image, label


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    order = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda finding: (order[finding.kind], -finding.oddness, finding.file, finding.classes))


def _by_file(root: Path, pairs: Sequence[Pair]) -> dict[str, Pair]:
    return {relative(path, root): pair for pair in pairs for path in (pair.image, pair.label) if path is not None}


def _remarks(hands: Sequence[Hand]) -> list[str]:
    whole = sum(is_hand(hand) for hand in hands)
    if not hands or whole >= FEWEST_HANDS:
        return []
    return [
        f"Areas, places and outlines were not compared: that takes {FEWEST_HANDS} labelled hands, there "
        f"{'is' if whole == 1 else 'are'} {whole}."
    ]
