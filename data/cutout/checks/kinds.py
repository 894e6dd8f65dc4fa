"""The kinds of findings that only photographs with masks have, and the general ones in more precise words."""

from __future__ import annotations

from dataclasses import replace

from data.check.finding import KINDS, LEAVE_OUT, Kind

CUTOUT_KINDS: dict[str, Kind] = {
    "short_set": Kind(
        "suspect",
        "Public data sets that are not whole",
        "as many images with masks as the data set has",
        "Unpack or download it again, or train on the part that is there.",
    ),
    "orientation": replace(
        KINDS["orientation"],
        severity="note",
        expected="photographs are turned as EXIF says, and their masks if they have EXIF themselves",
        remedy="Nothing.",
    ),
    "mask_size": Kind(
        "problem",
        "Masks of another size than their photographs",
        "a mask as large as its photograph is shown",
        f"Make both of one size; save a turned photograph upright without EXIF, {LEAVE_OUT}.",
    ),
    "mask_channels": Kind(
        "problem",
        "Masks in colour or with transparent parts",
        "grey: 0 around the object, 255 on it, values between where it is half transparent",
        f"Save the mask, or the alpha of a cut-out, as grey values, {LEAVE_OUT}.",
    ),
    "dark_mask": Kind(
        "problem",
        "Masks without a bright value",
        "255 on the object; numbers of classes are no mask",
        f"Make the object's value 255, {LEAVE_OUT}.",
    ),
    "inverted_mask": Kind(
        "suspect",
        "Masks that may be inverted",
        "the object bright, and what is around it dark",
        f"Look at it, and invert it if the object is dark, {LEAVE_OUT}.",
    ),
    "empty_mask": Kind(
        "suspect",
        "Empty masks",
        "an object in every photograph, or photographs that are meant to show none",
        f"See whether the object was forgotten; draw it, {LEAVE_OUT}.",
    ),
    "full_mask": Kind(
        "suspect",
        "Full masks",
        "something around the object",
        f"See whether the mask is a box, or the mask of another object; correct it, {LEAVE_OUT}.",
    ),
    "lossy_mask": Kind(
        "suspect",
        "Masks that were compressed as JPEG",
        "a lossless file: JPEG changes values along every edge",
        "Export the mask again as PNG.",
    ),
    "mixed_masks": Kind(
        "suspect",
        "Hard and soft masks in one set",
        "the edges of all masks drawn in one way",
        "See whether the masks come from two programs; the network learns the mean of both ways.",
    ),
    "binary_mask": Kind("note", "Masks of 0 and 1", "0 and 255; 1 is read as 255", "Nothing."),
}
