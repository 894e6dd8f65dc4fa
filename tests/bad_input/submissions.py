"""What may be wrong with a submission: each fault made in a perfect one, and the sentence that tells of it."""

from __future__ import annotations

from collections.abc import Callable


def row(text: str, number: int) -> str:
    return text.splitlines()[number - 1]


def change(number: int, new: str) -> Callable[[str], str]:
    """Another rle in a row; the header is row 1."""

    def changed(text: str) -> str:
        lines = text.splitlines()
        name, label, _ = lines[number - 1].split(",")
        lines[number - 1] = f"{name},{label},{new}"
        return "\n".join(lines) + "\n"

    return changed


def drop(number: int) -> Callable[[str], str]:
    return lambda text: "\n".join(line for at, line in enumerate(text.splitlines(), 1) if at != number)


SUBMISSIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "a missing row": (drop(3), r"no row for image0007_0\.png, finger-2\. Write a row for every class"),
    "a doubled row": (lambda text: text + row(text, 3), r"row 118: a second row for image0007_0\.png, finger-2\. Keep"),
    "a missing image": (lambda text: text[: text.index("image0008_1")], r"1 of the 4 images .* image0008_1\.png\. Pre"),
    "an odd number": (change(3, "1 2 3"), "row 3: number 3 of the rle, '3', is a start without a length. Expected"),
    "out of order": (change(3, "9 1 1 1"), "row 3: number 3 of the rle, '1', is out of order or overlaps"),
    "overlapping": (change(3, "1 5 3 1"), "row 3: number 3 of the rle, '3', is out of order or overlaps"),
    "past the end": (change(3, "4096 2"), r"finger-2: a run ends at pixel 4097, outside the image of 64 x 64 px\. Pre"),
    "negative": (change(3, "-1 2"), "row 3: number 1 of the rle, '-1', is not a positive whole number"),
    "zero length": (change(3, "1 0"), "row 3: number 2 of the rle, '0', is not a positive whole number"),
    "fractions": (change(3, "1.0 2.0"), "row 3: number 1 of the rle, '1.0', is not a positive whole number"),
    "huge": (change(3, f"1 {10**30}"), "row 3: number 2 of the rle, '10{30}', is larger than any image"),
    "commas": (change(3, "1,2"), "row 3: 'image0007_0.png,finger-2,1,2' is not of the form image_name,class,rle"),
    "unknown class": (lambda text: text.replace("Ulna", "ulna"), "'ulna' is not a class. Did you mean 'Ulna'"),
    "names without .png": (lambda text: text.replace(".png", ""), "4 of the 4 .* It calls the first 'image0007_0'"),
    "other images": (
        lambda text: text.replace("image0", "x"),
        "4 of the 4 images .* Predict the images that the truth",
    ),
    "wrong header": (
        lambda text: text.replace("rle", "RLE", 1),
        "row 1: the header is 'image_name,class,RLE', expected",
    ),
    "an index": (lambda text: "," + text, r"row 1: the header is .* without an index column .pandas: index=False"),
    "semicolons": (lambda text: text.replace(",", ";"), "row 1: the header is 'image_name;class;rle', expected"),
    "nothing": (lambda text: "", r"\.csv: the file is empty\. A submission begins with 'image_name,"),
    "only the header": (lambda text: row(text, 1), r"\.csv: no rows below the header\. Write a row"),
    "an open quote": (
        lambda text: text.replace("image0007_1", '"image0007_1', 1),
        "row 31: a quote that is not closed",
    ),
}
