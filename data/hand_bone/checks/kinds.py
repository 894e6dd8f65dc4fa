"""The kinds of findings that only hands have, and the general ones in words of this data set."""

from __future__ import annotations

from data.check.finding import LEAVE_OUT, Kind

HAND_KINDS: dict[str, Kind] = {
    "missing_folder": Kind(
        "problem",
        "Missing folders",
        "DCM/<patient>/<image>.png in each split, and outputs_json/<patient>/<image>.json in train",
        "Add the folder, or name the folder that holds train/ and test/.",
    ),
    "doubled_name": Kind(
        "problem",
        "Names that occur twice",
        "every image name only once in a split: a submission knows images by their names",
        f"Rename one of them with its label, {LEAVE_OUT}.",
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
        "problem", "Images that cannot be read", "a whole 8-bit PNG", f"Copy or convert it again, {LEAVE_OUT}."
    ),
    "bit_depth": Kind(
        "problem", "Images with 16 bits", "8 bits per channel", f"Convert it to an 8-bit grey PNG, {LEAVE_OUT}."
    ),
    "bad_label": Kind(
        "problem",
        "Labels that cannot be read",
        "JSON with a list 'annotations' of labels and points",
        f"Copy the label again from its source, {LEAVE_OUT}.",
    ),
    "unknown_class": Kind(
        "problem", "Unknown classes", "one of the 29 bones, spelt as in the contest", f"Correct the name, {LEAVE_OUT}."
    ),
    "missing_class": Kind(
        "problem", "Missing classes", "all 29 bones in every label", f"Complete the label, {LEAVE_OUT}."
    ),
    "two_splits": Kind(
        "problem",
        "Patients in two splits",
        "every patient either in train or in test: shared ones make scores look better than they are",
        "Remove the patient from one split, leave it out of training, or rename it if it is somebody else.",
    ),
    "near_duplicate": Kind(
        "suspect",
        "Images that are almost equal",
        "every radiograph only once, also brightened, resized or mirrored",
        "Look at both; leave the copy out with data.exclude.",
    ),
    "alpha": Kind(
        "suspect",
        "Images with an alpha channel",
        "grey, or three equal channels; an alpha channel is ignored",
        "See that no other program has changed the picture; save it without alpha.",
    ),
    "orientation": Kind(
        "suspect",
        "Images with an orientation in EXIF",
        "pixels stored upright; EXIF is ignored, so label and submission are in the frame of the stored pixels",
        "Save the image upright without EXIF, and see that its label fits.",
    ),
    "blank": Kind("problem", "Blank images", "a radiograph", f"Copy it again, {LEAVE_OUT}."),
    "outside": Kind(
        "suspect",
        "Points outside the image",
        "points in the image's own pixels; what lies outside is cut off",
        f"Correct the outline, {LEAVE_OUT}. Never scale by the label's metadata: it is wrong in the published data.",
        drawn=True,
    ),
    "off_image": Kind(
        "problem",
        "Bones outside the image",
        "every bone in the image",
        f"See whether it is another image's label, or the image was resized; correct it, {LEAVE_OUT}.",
        drawn=True,
    ),
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
    "several_entries": Kind("note", "Several outlines of a class", "usually one; their union is used", "Nothing."),
    "one_hand": Kind("note", "Patients without two images", "a right and a left hand", "Nothing."),
}
