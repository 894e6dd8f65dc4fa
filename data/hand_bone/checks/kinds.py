"""The kinds of findings that only hands have, and the general ones in more precise words for this data set."""

from __future__ import annotations

from data.check.finding import LEAVE_OUT, Kind, reworded

HAND_KINDS: dict[str, Kind] = {
    **reworded(
        "missing_folder",
        expected="DCM/<patient>/<image>.png in each split, and outputs_json/<patient>/<image>.json in train",
    ),
    **reworded("not_read", expected="images and JSON labels, each directly in its patient's folder"),
    **reworded(
        "bad_name",
        expected="each image in its patient's folder, its name without commas, quotes and control characters",
    ),
    **reworded("bad_image", expected="a whole PNG, JPEG, TIFF, BMP, WebP or DICOM file"),
    **reworded("unknown_class", expected="one of the 29 bones, spelt as in the contest"),
    **reworded("missing_class", expected="all 29 bones in every label"),
    **reworded("alpha", expected="grey, or three equal channels; an alpha channel is ignored"),
    **reworded(
        "orientation",
        expected="pixels stored upright; EXIF is ignored, so label and submission are in the frame of the stored "
        "pixels",
    ),
    **reworded(
        "outside",
        remedy=f"Correct the outline, {LEAVE_OUT}. Never scale by the label's metadata: it is wrong in the published "
        "data.",
    ),
    **reworded("off_image", title="Bones outside the image", expected="every bone in the image"),
    "swapped": Kind(
        "suspect",
        "Labels at other bones' places",
        "each bone where it lies in the other hands",
        f"Give the outlines their right names, {LEAVE_OUT}.",
        drawn=True,
    ),
    "misplaced": Kind(
        "suspect",
        "Bones far from their place",
        "each bone near its neighbours, as in the other hands",
        f"Draw the outline where the bone is, {LEAVE_OUT}.",
        drawn=True,
    ),
    "area": Kind(
        "suspect",
        "Unusual areas",
        "about the class's usual share of the hand",
        f"Compare outline and image; correct the label, {LEAVE_OUT}.",
        drawn=True,
    ),
    "outline": Kind(
        "suspect",
        "Unusual outlines",
        "one outline that follows the bone alone, without rings or other jewellery, holes or loose parts",
        f"Compare outline and image; correct the label, {LEAVE_OUT}.",
        drawn=True,
    ),
    "one_hand": Kind("note", "Patients without two images", "a right and a left hand", "Nothing."),
}
