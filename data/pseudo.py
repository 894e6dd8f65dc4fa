"""Pseudo labels: turn a submission into labelled images in the contest's layout, to train on beside real ones.

python -m data.pseudo --csv CSV… --images DIR --out ROOT [--min-agreement A] [--copy]

The polygons fill to exactly the masks of the first CSV; the others only measure agreement. An image with a doubtful
class is left out completely, as is one without a class that every image shows: a label without it would teach that
there is none. Labels are written as the contest's JSON (`data.polygons.annotation`).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data.masks.agreement import agreement_of as overlap_of
from data.masks.agreement import warn_of_strangers
from data.masks.outline import outlines_of_runs
from data.masks.rle import Runs, dice, joined
from data.polygons.annotation import label_text
from data.polygons.layout import IMAGES, LABELS
from data.sample import Sample
from data.submission.reader import Submission, mask_ends, read_submissions, refuse_other_images, seem_of_another_size
from data.task import Task
from data.task_option import add_task_option, chosen_task
from utils.arrays import Floats, Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError
from utils.files import write_text
from utils.log import log_to_console
from utils.parallel import map_ahead
from utils.program import run_program
from utils.progress import track
from utils.text import list_names

# Shapes: F files, C classes.

log = logging.getLogger(__name__)

MANIFEST = "pseudo.json"
_NAMED = 10


@dataclass(frozen=True)
class Candidate:
    """An image that may become a pseudo label.

    `agreement` of the files in each class is float64[C] in 0..1, and 1 if there is one file. `doubtful` and `absent`
    are the classes because of which the image is left out.
    """

    sample: Sample
    agreement: Floats
    doubtful: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def is_usable(self) -> bool:
        """Whether the image becomes a pseudo label."""
        return not self.doubtful and not self.absent


def main() -> None:
    arguments = parse()
    log_to_console()
    write_pseudo_labels(
        chosen_task(arguments),
        arguments.csv,
        arguments.images,
        arguments.out,
        min_agreement=arguments.min_agreement,
        copy=arguments.copy,
    )


def write_pseudo_labels(
    task: Task,
    paths: Sequence[Path],
    images: Path,
    out: Path,
    *,
    min_agreement: float | None = None,
    copy: bool = False,
) -> list[Candidate]:
    """Write `<out>/train` from the masks of `paths[0]`, and `<out>/pseudo.json` about every image; return all images.

    `min_agreement`: the least mean Dice, 0..1, over all pairs of files, in every class of an image. Images are linked,
    or with `copy` copied. Raises `UserError` for files that cannot be read, images that are missing or too small for
    their masks, an `out` that is not empty, and if no image is usable.
    """
    # Refuse everything that is wrong before any work.
    if task.output.is_folder:
        raise UserError(
            f"--task {task.name}: pseudo labels are written as polygons of hard masks, which this task does not read. "
            "Move good predictions to a folder masks/ beside their images instead."
        )
    _refuse_settings(paths, min_agreement)
    _refuse_used(out)
    samples = {sample.name: sample for sample in task.layout.find_images(images)}
    submissions = read_submissions(paths, task.classes)
    refuse_other_images(submissions)
    _refuse_absent(submissions[0], samples, images)
    _warn_of_another_size(task, submissions[0], samples)
    # Choose the images whose classes are all there and agreed on.
    every = task.checks.all_classes
    candidates = [
        _examine(submissions, samples[name], min_agreement or 0.0, all_classes=every) for name in submissions[0].names
    ]
    kept = [one for one in candidates if one.is_usable]
    _log_agreement(candidates, len(paths), min_agreement)
    _warn_of_strangers(submissions)
    if not kept:
        raise UserError(f"{paths[0]}: no image is left. {_way_out(candidates, min_agreement)}")
    manifest = _manifest(task, paths, candidates, min_agreement)
    _write(task, submissions[0], kept, out, manifest, copy=copy)
    log.info(
        "%s: %d labelled images. Train on them with data.extra_roots=[{root: %s, weight: 0.3}]", out, len(kept), out
    )
    return candidates


def agreement_of(runs_of_files: Sequence[Sequence[Runs]]) -> Floats:
    """Return the mean Dice over all pairs of files in each class of an image, float64[C]; 1 if there is one file."""
    pairs = list(combinations(runs_of_files, 2))
    dices = [[dice(a, b) for a, b in zip(one, other, strict=True)] for one, other in pairs]
    return np.mean(dices, axis=0) if pairs else np.ones(len(runs_of_files[0]))


def label_of(task: Task, sample: Sample, runs: Sequence[Runs], size_hw: Size, attributes: Mapping[str, Any]) -> str:
    """Return the contest's JSON of one image, whose polygons fill to these runs."""
    rings = [(index, ring) for index, of_class in enumerate(runs) for ring in outlines_of_runs(of_class, size_hw[1])]
    return label_text(
        rings, task.classes, filename=sample.name, patient=sample.group, size_hw=size_hw, attributes=attributes
    )


def _examine(
    submissions: Sequence[Submission], sample: Sample, min_agreement: float, *, all_classes: bool
) -> Candidate:
    runs_of_files = [submission.runs[sample.name] for submission in submissions]
    agreement = agreement_of(runs_of_files)
    classes = submissions[0].classes
    absent = tuple(name for name, runs in zip(classes, runs_of_files[0], strict=True) if not len(runs))
    return Candidate(
        sample,
        agreement,
        doubtful=tuple(name for name, value in zip(classes, agreement, strict=True) if value < min_agreement),
        absent=absent if all_classes else (),
    )


def _write(
    task: Task, submission: Submission, kept: Sequence[Candidate], out: Path, manifest: Mapping[str, Any], *, copy: bool
) -> None:
    """Write labels and images to `<out>/train`, which appears when all is written, the manifest too."""
    unfinished = out / ".train.part"
    shutil.rmtree(unfinished, ignore_errors=True)  # a killed process may have left one

    def write_one(candidate: Candidate) -> None:
        """Write one label and place its image."""
        sample = candidate.sample
        size_hw = task.image_size(sample.image)
        about = {"pseudo_label_of": submission.path.name, "agreement": round(float(candidate.agreement.mean()), 4)}
        text = label_of(task, sample, submission.of(sample.name, size_hw), size_hw, about)
        write_text(unfinished / LABELS / sample.group / f"{Path(sample.name).stem}.json", text)
        name = f"{Path(sample.name).stem}{sample.image.suffix}"
        _place_image(sample.image, unfinished / IMAGES / sample.group / name, copy=copy)

    try:
        for _ in track(map_ahead(write_one, kept), "Tracing outlines", len(kept)):
            pass
        write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        unfinished.rename(out / "train")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _place_image(image: Path, target: Path, *, copy: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(image, target)
        else:
            target.symlink_to(image.resolve())
    except OSError as error:
        way_out = "Free space or choose another --out." if copy else "Try --copy."
        raise UserError(f"{target}: the image could not be placed ({error.strerror}). {way_out}") from error


def _refuse_settings(paths: Sequence[Path], min_agreement: float | None) -> None:
    if min_agreement is None:
        return
    if not 0 < min_agreement <= 1:
        raise UserError(f"--min-agreement {min_agreement:g}: expected a Dice above 0 and up to 1, such as 0.9.")
    if len(paths) < 2:
        raise UserError("--min-agreement: one file agrees with itself. Name two or more with --csv.")


def _refuse_used(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file. Name a folder.")
    if (out / "train").exists():
        raise UserError(f"--out {out}: holds train already. Name another folder, or remove it.")


def _refuse_absent(submission: Submission, samples: Mapping[str, Sample], images: Path) -> None:
    missing = [name for name in submission.names if name not in samples]
    if missing:
        raise UserError(
            f"{images}: {len(missing)} of the {len(submission.names)} images of {submission.path} are not there, "
            f"{list_names(missing)}. {did_you_mean(missing[0], samples)}"
        )


def _warn_of_another_size(task: Task, submission: Submission, samples: Mapping[str, Sample]) -> None:
    """Log a warning if in every image the masks end far above the lower edge, which a forearm crosses."""
    sizes_hw = [task.image_size(samples[name].image) for name in submission.names]
    if seem_of_another_size(mask_ends(submission).values(), [height * width for height, width in sizes_hw]):
        log.warning(
            "%s: in every image the masks end far above its lower edge. Were they written at another size than the "
            "image's own?",
            submission.path,
        )


def _warn_of_strangers(submissions: Sequence[Submission]) -> None:
    """Log a warning for a file that hardly overlaps the others: its masks are transposed, or of other images."""
    if len(submissions) > 1:
        names, paths = submissions[0].names, [submission.path for submission in submissions]
        overlap_N = [overlap_of([joined(submission.runs[name]) for submission in submissions]) for name in names]
        warn_of_strangers(paths, names, np.stack(overlap_N))


def _log_agreement(candidates: Sequence[Candidate], files: int, min_agreement: float | None) -> None:
    """Log how far the files agree, and which images were left out for which classes."""
    if files > 1:
        lowest = np.sort([one.agreement.min() for one in candidates])
        log.info(
            "Dice of the class on which %d files agree least: median %.4f over %d images, a tenth of them below %.4f",
            *(files, np.median(lowest), len(candidates), np.quantile(lowest, 0.1)),
        )
    for what, chosen in (
        (f"a class agrees less than {min_agreement}", [(one.sample.key, one.doubtful) for one in candidates]),
        ("a class is absent", [(one.sample.key, one.absent) for one in candidates]),
    ):
        dropped = [(key, classes) for key, classes in chosen if classes]
        if dropped:
            counts = Counter(name for _, classes in dropped for name in classes)
            listed = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
            keys = ", ".join(key for key, _ in dropped[:_NAMED]) + (" …" if len(dropped) > _NAMED else "")
            log.info("left out because %s: %d of %d images (%s): %s", what, len(dropped), len(candidates), listed, keys)


def _way_out(candidates: Sequence[Candidate], min_agreement: float | None) -> str:
    if min_agreement is None or not any(one.doubtful for one in candidates):
        return "Every one lacks a class, and its label would teach that there is none. Name the CSV of a better model."
    best = max(float(one.agreement.min()) for one in candidates)
    return f"The best one's classes agree by {best:.4f} or more. Lower --min-agreement."


def _manifest(
    task: Task, paths: Sequence[Path], candidates: Sequence[Candidate], min_agreement: float | None
) -> dict[str, Any]:
    """Return the origin of the labels, and for each image whether it was taken and how far the files agree."""
    return {
        "csv": [str(path) for path in paths],
        "min_agreement": min_agreement,
        "images": {
            one.sample.key: {
                "taken": one.is_usable,
                "doubtful": one.doubtful,
                "absent": one.absent,
                "agreement": dict(zip(task.classes, np.round(one.agreement, 4).tolist(), strict=True)),
            }
            for one in candidates
        },
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.pseudo",
        description="Turn a submission into labelled images in the contest's layout, to train on beside real ones.",
    )
    parser.add_argument(
        "--csv", type=Path, nargs="+", required=True, help="the submission; more after it only measure agreement"
    )
    parser.add_argument("--images", type=Path, required=True, help="its images, such as <root>/test/DCM")
    parser.add_argument("--out", type=Path, required=True, metavar="ROOT", help="the folder to write train/ into")
    parser.add_argument(
        "--min-agreement",
        type=float,
        metavar="A",
        help="leave out images of which a class's mean Dice between the files is lower (0 to 1; default: take all)",
    )
    parser.add_argument("--copy", action="store_true", help="copy the images (default: link to them)")
    add_task_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
