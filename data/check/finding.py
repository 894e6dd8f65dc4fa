"""The findings of a data set's check: their kinds with severity, what was expected, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
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


_LEAVE_OUT = "or leave the image out with data.exclude"

KINDS: dict[str, Kind] = {
    "missing_folder": Kind(
        "problem",
        "Missing folders",
        "DCM/<patient>/<image>.png in each split, and outputs_json/<patient>/<image>.json in train",
        "Add the folder, or name the folder that holds train/ and test/.",
    ),
    "unpaired": Kind(
        "problem",
        "Unpaired files",
        "a label of the same patient and name for every image, and an image for every label",
        f"Add the missing file, {_LEAVE_OUT}.",
    ),
    "doubled_name": Kind(
        "problem",
        "Names that occur twice",
        "every image name only once in a split: a submission knows images by their names",
        f"Rename one of them with its label, {_LEAVE_OUT}.",
    ),
    "not_read": Kind(
        "problem",
        "Files that are not read",
        "8-bit PNG images and JSON labels, each directly in its patient's folder",
        "Convert or move the file, or remove it.",
    ),
    "bad_name": Kind(
        "problem",
        "Names and places that are refused",
        "each image in its patient's folder, its name without commas, quotes and control characters",
        "Rename or move it, and its label with it.",
    ),
    "bad_image": Kind(
        "problem", "Images that cannot be read", "a whole 8-bit PNG", f"Copy or convert it again, {_LEAVE_OUT}."
    ),
    "bit_depth": Kind(
        "problem", "Images with 16 bits", "8 bits per channel", f"Convert it to an 8-bit grey PNG, {_LEAVE_OUT}."
    ),
    "bad_label": Kind(
        "problem",
        "Labels that cannot be read",
        "JSON with a list 'annotations' of labels and points",
        f"Copy the label again from its source, {_LEAVE_OUT}.",
    ),
    "unknown_class": Kind(
        "problem", "Unknown classes", "one of the 29 bones, spelt as in the contest", f"Correct the name, {_LEAVE_OUT}."
    ),
    "missing_class": Kind(
        "problem", "Missing classes", "all 29 bones in every label", f"Complete the label, {_LEAVE_OUT}."
    ),
    "few_points": Kind(
        "problem", "Outlines of fewer than 3 points", "at least 3 points", f"Correct the label, {_LEAVE_OUT}."
    ),
    "bad_points": Kind(
        "problem", "Points that are no points", "finite [x, y] pairs of numbers", f"Correct the label, {_LEAVE_OUT}."
    ),
    "two_splits": Kind(
        "problem",
        "Patients in two splits",
        "every patient either in train or in test: shared ones make scores look better than they are",
        "Remove the patient from one split, leave it out of training, or rename it if it is somebody else.",
    ),
    "duplicate": Kind(
        "problem", "Duplicate images", "every image only once", "Remove the copy, or leave it out with data.exclude."
    ),
    "near_duplicate": Kind(
        "suspect",
        "Images that are almost equal",
        "every radiograph only once, also brightened, resized or mirrored",
        "Look at both; leave the copy out with data.exclude.",
    ),
    "same_label": Kind(
        "problem", "Equal labels of different images", "an own label for every image", "Find which image it belongs to."
    ),
    "size": Kind("suspect", "Images of another size", "the size of the others", f"Export it again, {_LEAVE_OUT}."),
    "alpha": Kind(
        "suspect",
        "Images with an alpha channel",
        "grey, or three equal channels; an alpha channel is ignored",
        "See that no other program has changed the picture; save it without alpha.",
    ),
    "blank": Kind("problem", "Blank images", "a radiograph", f"Copy it again, {_LEAVE_OUT}."),
    "outside": Kind(
        "suspect",
        "Points outside the image",
        "points in the image's own pixels; what lies outside is cut off",
        f"Correct the outline, {_LEAVE_OUT}. Never scale by the label's metadata: it is wrong in the published data.",
    ),
    "off_image": Kind(
        "problem",
        "Bones outside the image",
        "every bone in the image",
        f"See whether it is another image's label, or the image was resized; correct it, {_LEAVE_OUT}.",
    ),
    "swapped": Kind(
        "suspect",
        "Labels at other bones' places",
        "each bone where it lies in the other hands",
        f"Give the outlines their right names, {_LEAVE_OUT}.",
    ),
    "misplaced": Kind(
        "suspect",
        "Bones far from their place",
        "each bone near its neighbours, as in the other hands",
        f"Draw the outline where the bone is, {_LEAVE_OUT}.",
    ),
    "area": Kind(
        "suspect",
        "Unusual areas",
        "about the class's usual share of the hand",
        f"Compare outline and image; correct the label, {_LEAVE_OUT}.",
    ),
    "outline": Kind(
        "suspect",
        "Unusual outlines",
        "one outline that follows the bone alone, without rings or other jewellery, holes or loose parts",
        f"Compare outline and image; correct the label, {_LEAVE_OUT}.",
    ),
    "several_entries": Kind("note", "Several outlines of a class", "usually one; their union is used", "Nothing."),
    "one_hand": Kind("note", "Patients without two images", "a right and a left hand", "Nothing."),
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

    @property
    def severity(self) -> Severity:
        """The severity of the finding's kind."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, Any]:
        """Return the finding with the texts of its kind, for JSON."""
        kind = KINDS[self.kind]
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
