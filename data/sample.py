"""Which images there are: the contest's folders become sorted `Sample`s, or one error that names every misfit.

A split folder holds `DCM/<patient>/<image>.png` and, where it is labelled, `outputs_json/<patient>/<image>.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError
from utils.names import nearest

IMAGES, LABELS = "DCM", "outputs_json"


@dataclass(frozen=True)
class Sample:
    """One image of one patient's hand, and where its label is, if it has one."""

    name: str
    """The image's base name with `.png`; unique in its split, for the scorer joins on it."""
    patient: str
    """The patient's folder, such as `ID001`."""
    image: Path
    label: Path | None = None

    @property
    def key(self) -> str:
        """`ID001/image1661130828152_R.png`: how messages and exclusions name the sample."""
        return f"{self.patient}/{self.name}"


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the samples of `<root>/train` or `<root>/test`, sorted by (patient, name).

    `exclude` names patients (`ID073`), images (`image1.png` or `image1`) or keys (`ID073/image1.png`) to leave out,
    before anything is checked. Raises `UserError` for a missing folder, for all unpaired files at once, for an image
    name that occurs twice, and for an exclusion that matches nothing.
    """
    images = files_by_key(split_dir / IMAGES, ".png")
    labels = files_by_key(split_dir / LABELS, ".json") if labelled else {}
    left_out = keys_excluded({*images, *labels}, exclude)
    images = {key: path for key, path in images.items() if key not in left_out}
    labels = {key: path for key, path in labels.items() if key not in left_out}
    if labelled:
        _refuse_unpaired(split_dir, images, labels)
    return _samples(split_dir, images, labels)


def find_images(folder: Path) -> list[Sample]:
    """List the images of a folder such as `<root>/test/DCM` (patients' folders inside), without labels.

    Images that lie in `folder` itself belong to a patient of the folder's name. Raises `UserError` as `find_samples`.
    """
    return _samples(folder, files_by_key(folder, ".png"), {})


def files_by_key(folder: Path, suffix: str) -> dict[str, Path]:
    """The folder's `<patient>/<file>`s by key (`ID001/image1.png`, also for labels); hidden files do not count."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder. A split folder holds {IMAGES}/<patient>/<image>.png "
            f"and, for training, {LABELS}/<patient>/<image>.json."
        )
    paths = [*folder.glob("*"), *folder.glob("*/*")]
    wanted = (p for p in paths if p.suffix.lower() == suffix and not p.name.startswith(".") and p.is_file())
    return {f"{path.parent.name}/{path.stem}.png": path for path in wanted}


def keys_excluded(keys: Collection[str], exclude: Collection[str]) -> set[str]:
    """The keys that the entries of `exclude` name; `UserError` for an entry that names none."""
    keys_of: dict[str, set[str]] = {}
    for key in keys:
        patient, name = key.split("/")
        for alias in (patient, name, name.removesuffix(".png"), key, key.removesuffix(".png")):
            keys_of.setdefault(alias, set()).add(key)
    unknown = [entry for entry in exclude if entry not in keys_of]
    if unknown:
        near = nearest(unknown[0], sorted(keys_of)) if len(unknown) == 1 else []
        way_out = f"Did you mean '{near[0]}'?" if near else "Remove what this edition of the data does not have."
        raise UserError(f"data.exclude: no patient and no image is called {', '.join(unknown)}. {way_out}")
    return {key for entry in exclude for key in keys_of[entry]}


def _refuse_unpaired(split_dir: Path, images: Mapping[str, Path], labels: Mapping[str, Path]) -> None:
    """Name every image without a label and every label without an image, in one error."""
    without_label = sorted(images.keys() - labels.keys())
    without_image = sorted(labels.keys() - images.keys())
    if not without_label and not without_image:
        return
    faults = [f"{len(images)} images but {len(labels)} label files"]
    if without_label:
        faults.append(f"no label for {', '.join(without_label)}")
    if without_image:
        faults.append(f"no image for {', '.join(without_image)}")
    raise UserError(f"{split_dir}: {'; '.join(faults)}. Add the missing files or list them in data.exclude.")


def _samples(folder: Path, images: Mapping[str, Path], labels: Mapping[str, Path]) -> list[Sample]:
    samples = [Sample(f"{path.stem}.png", path.parent.name, path, labels.get(key)) for key, path in images.items()]
    if not samples:
        raise UserError(f"{folder}: no PNG image in it or in its patients' folders.")
    names = Counter(sample.name for sample in samples)
    twice = sorted(sample.key for sample in samples if names[sample.name] > 1)
    if twice:
        raise UserError(f"{folder}: image names must be unique, but occur twice: {', '.join(twice)}. Rename them.")
    return sorted(samples, key=lambda sample: (sample.patient, sample.name))
