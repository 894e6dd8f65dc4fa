"""The findings of a data set's check: their kinds with severity, what was expected, and what to do.

The kinds here are those of any task. A task words some of them anew and adds its own (`data.check.checks.Checks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["problem", "suspect", "note"]
"""A problem stops or spoils training; a suspect is for a person to check; a note does not change the exit code."""


@dataclass(frozen=True)
class Kind:
    """The texts of one kind of finding."""

    severity: Severity
    title: str
    expected: str
    remedy: str
    drawn: bool = False
    """Whether the contact sheet shows it, because a picture shows more than words."""


LEAVE_OUT = "or leave the image out with data.exclude"

KINDS: dict[str, Kind] = {
    "missing_folder": Kind(
        "problem",
        "Missing folders",
        "the folders of images in each split, and those of labels in the split to train on",
        "Add the folder, or name the folder that holds the splits.",
    ),
    "unreadable": Kind(
        "problem",
        "Folders that cannot be read",
        "folders that may be listed: nobody knows what is missing",
        "Give yourself access with chmod, or move it elsewhere.",
    ),
    "unpaired": Kind(
        "problem",
        "Unpaired files",
        "a label of the same {group} and name for every image, and an image for every label",
        f"Add the missing file, {LEAVE_OUT}.",
    ),
    "doubled_name": Kind(
        "problem",
        "Names that occur twice",
        "every image name only once in a split: predictions know images by their names",
        f"Rename one of them with its label, {LEAVE_OUT}.",
    ),
    "not_read": Kind(
        "problem",
        "Files that are not read",
        "images and labels alone, each at the place that the layout gives it",
        "Convert or move the file, or remove it.",
    ),
    "bad_name": Kind(
        "problem",
        "Names and places that are refused",
        "each image at its place, with a name that predictions can hold",
        "Rename or move it, and its label with it.",
    ),
    "bad_image": Kind(
        "problem", "Images that cannot be read", "a whole 8-bit image", f"Copy or convert it again, {LEAVE_OUT}."
    ),
    "bit_depth": Kind(
        "problem", "Images with 16 bits", "8 bits per channel", f"Convert it to 8 bits per channel, {LEAVE_OUT}."
    ),
    "bad_label": Kind(
        "problem",
        "Labels that cannot be read",
        "a whole label of this task",
        f"Copy the label again from its source, {LEAVE_OUT}.",
    ),
    "unknown_class": Kind("problem", "Unknown classes", "one of the task's classes", f"Correct the name, {LEAVE_OUT}."),
    "other_classes": Kind(
        "problem",
        "Labels of other classes",
        "the classes of the task",
        "Choose the task of these labels (--task here, the key 'task' in a config; data/tasks.py defines the tasks), "
        "or rename their classes.",
    ),
    "missing_class": Kind(
        "problem", "Missing classes", "every class in every label", f"Complete the label, {LEAVE_OUT}."
    ),
    "few_points": Kind(
        "problem", "Outlines of fewer than 3 points", "at least 3 points", f"Correct the label, {LEAVE_OUT}."
    ),
    "bad_points": Kind(
        "problem", "Points that are no points", "finite [x, y] pairs of numbers", f"Correct the label, {LEAVE_OUT}."
    ),
    "two_splits": Kind(
        "problem",
        "{Group}s in two splits",
        "every {group} in one split only: shared ones make scores look better than they are",
        "Remove the {group} from one split, leave it out of training, or rename it if it is another one.",
    ),
    "duplicate": Kind(
        "problem", "Duplicate images", "every image only once", "Remove the copy, or leave it out with data.exclude."
    ),
    "near_duplicate": Kind(
        "suspect",
        "Images that are almost equal",
        "every image only once, also brightened, resized or mirrored",
        "Look at both; leave the copy out with data.exclude.",
    ),
    "same_label": Kind(
        "problem", "Equal labels of different images", "an own label for every image", "Find which image it belongs to."
    ),
    "size": Kind("suspect", "Images of another size", "the size of the others", f"Export it again, {LEAVE_OUT}."),
    "look": Kind(
        "suspect",
        "Images that look unlike the others",
        "the brightness of the others, and their polarity: which of background and object is dark",
        f"Invert it or export it again, {LEAVE_OUT}.",
    ),
    "alpha": Kind(
        "suspect",
        "Images with an alpha channel",
        "no alpha channel; it is ignored",
        "See that no other program has changed the picture; save it without alpha.",
    ),
    "orientation": Kind(
        "suspect",
        "Images with an orientation in EXIF",
        "pixels stored upright: programs do not agree on whether to turn them, nor on the frame of the label",
        "Save the image upright without EXIF, and see that its label fits.",
    ),
    "blank": Kind("problem", "Blank images", "an image with content", f"Copy it again, {LEAVE_OUT}."),
    "outside": Kind(
        "suspect",
        "Points outside the image",
        "points in the image's own pixels; what lies outside is cut off",
        f"Correct the outline, {LEAVE_OUT}.",
        drawn=True,
    ),
    "off_image": Kind(
        "problem",
        "Objects outside the image",
        "every object in the image",
        f"See whether it is another image's label, or the image was resized; correct it, {LEAVE_OUT}.",
        drawn=True,
    ),
    "frame": Kind(
        "problem",
        "Labels in another frame",
        "outlines in pixels of their own image",
        f"Scale the points to the image's size, or export the label again, {LEAVE_OUT}.",
        drawn=True,
    ),
    "other_file": Kind("note", "Other files", "images and labels alone; this one is not read", "Nothing."),
}
"""The kinds of any task, in the order of a report; `{group}` is the task's word for a group of images."""


def reworded(kind: str, **texts: str) -> dict[str, Kind]:
    """Return a general kind under its name, with the texts in which a task is more precise: `expected`, `remedy`."""
    return {kind: replace(KINDS[kind], **texts)}  # type: ignore[arg-type]


def worded(kinds: Mapping[str, Kind], group: str) -> dict[str, Kind]:
    """Return the kinds with the task's word for a group of images in their texts."""

    def fill(text: str) -> str:
        return text.replace("{group}", group).replace("{Group}", group.capitalize())

    return {
        name: replace(kind, title=fill(kind.title), expected=fill(kind.expected), remedy=fill(kind.remedy))
        for name, kind in kinds.items()
    }


@dataclass(frozen=True)
class Finding:
    """One finding: `file` is relative to the data set's root, `found` says what was found."""

    kind: str
    file: str
    found: str
    classes: tuple[str, ...] = ()
    exclude: str | None = None
    """The name to write into data.exclude to leave it out; None if that does not help, as for test images."""
    oddness: float = 0.0
    """How unusual it is, in multiples of the limit; the most unusual are shown first."""

    def as_dict(self, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """Return the finding with the texts of its kind, for JSON."""
        kind = kinds[self.kind]
        return {
            "kind": self.kind,
            "severity": kind.severity,
            "file": self.file,
            "class": ", ".join(self.classes) or None,
            "found": self.found,
            "expected": kind.expected,
            "remedy": kind.remedy,
            "exclude": self.exclude,
            "oddness": round(self.oddness, 2) or None,
        }
