"""Return what runs have written as pandas tables for a notebook. Nothing is computed again and no file is changed.

from trainer.records import tables
tables.scores("runs/demo").groupby("class")["score"].mean()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeAlias

from data.submission.reader import read_submission
from trainer.records.folder import RunFolder
from trainer.records.history import read_history
from utils.errors import UserError
from utils.files import paths_in, read_json

if TYPE_CHECKING:
    import pandas as pd

Place: TypeAlias = str | PathLike[str]


def scores(run: Place) -> pd.DataFrame:
    """The score of each image and class, a row each: `image`, `class`, `score` (0..1), `stratum` and `group`.

    `run` is a run's folder, whose `validation.json` is read (the held-out images under the best weights), or a JSON
    file of this kind: also `swa.json`, and what `evaluate.py --json` writes. That one knows no strata of images, so
    they are None; so are the groups of an older file. For a run of several folds the table is that of all its folds,
    with a column `fold`. Raises `UserError` for a file that is missing or damaged.
    """
    path = Path(run)
    if folds := _folds(path):
        return _joined(folds, scores)
    path = RunFolder(path).validation if path.is_dir() else path
    return _table(path, "A run writes it after its first scored epoch; evaluate.py with --json.", _score_rows)


def _score_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    strata, groups = found.get("strata", {}), found.get("groups", {})
    return [
        {
            "image": image,
            "class": label,
            "score": float(score),
            "stratum": strata.get(image),
            "group": groups.get(image),
        }
        for image, of_classes in found["per_image_and_class"].items()
        for label, score in of_classes.items()
    ]


def metrics(run: Place) -> pd.DataFrame:
    """The `metrics.csv` of a run's folder: a row per epoch, counted from 1, and its columns as numbers.

    An epoch that was not scored has nan. For a run of several folds the table is that of all its folds, with a column
    `fold`. Raises `UserError` for a file that is missing or damaged.
    """
    import pandas as pd

    if folds := _folds(Path(run)):
        return _joined(folds, metrics)
    path = RunFolder(Path(run)).metrics
    _refuse_missing(path, "A run writes it after its first epoch.")
    try:
        numbers = pd.DataFrame(
            [{name: float(cell or "nan") for name, cell in row.items()} for row in read_history(path)]
        )
        return numbers.astype({"epoch": "int64"})
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def distances(run: Place) -> pd.DataFrame:
    """How far the outlines of each class lie from the true ones, a row each: `hd95`, `assd`, `nsd` and `one_empty`.

    `run` is a run's folder, whose `distances.json` is read, or what `evaluate.py --distances --json` writes. Distances
    are in pixels or mm, as they were measured; `one_empty` counts the images in which one of the two masks is empty.
    Raises `UserError` for a file that is missing or damaged.
    """
    path = Path(run)
    path = RunFolder(path).distances if path.is_dir() else path
    return _table(path, "python -m trainer.report --run RUN --distances writes it.", _distance_rows)


def _distance_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    measured = found["distances"]
    return [
        {"class": label, **numbers, "one_empty": measured["one_empty"][label]}
        for label, numbers in measured["per_class"].items()
    ]


def checkpoints(run: Place) -> pd.DataFrame:
    """The networks that a run has kept, a row each: their step and epoch, and each number's mean and limits (95 %).

    Raises `UserError` for a `checkpoints.json` that is missing or damaged.
    """
    path = RunFolder(Path(run)).checkpoint_scores
    return _table(path, f"python -m trainer.checkpoints --run {quote(str(run))} writes it.", _checkpoint_rows)


def _checkpoint_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _flat({"name": row["name"], "step": row["step"], "epoch": row["epoch"], **row["scores"]})
        for row in found["checkpoints"]
    ]


def crossval_folds(run: Place) -> pd.DataFrame:
    """The folds of a cross-validation, a row each: their epoch, images and means. `run`: the folder with `fold0/`, …

    Raises `UserError` for a `crossval.json` that is missing or damaged.
    """
    return _crossval(run, lambda found: list(map(_flat, found["folds"])))


def crossval_classes(run: Place) -> pd.DataFrame:
    """The classes of a cross-validation, a row each: means over all images, and the image with the lowest score.

    `sd` is the standard deviation of the folds' means. Raises `UserError` as `crossval_folds`.
    """
    return _crossval(run, lambda found: [{"class": label, **row} for label, row in found["per_class"].items()])


def crossval_images(run: Place) -> pd.DataFrame:
    """The images of a cross-validation, a row each: the fold that held it out, its stratum and its mean score.

    Raises `UserError` as `crossval_folds`. For each image and class, join `scores(run / "fold0")` and so on.
    """
    return _crossval(run, lambda found: [{"image": image, **row} for image, row in found["images"].items()])


def _crossval(run: Place, rows_of: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> pd.DataFrame:
    path = Path(run) / "crossval.json"
    return _table(path, f"Train with fold=all, or give: python -m trainer.crossval {quote(str(run))}", rows_of)


def search(folder: Place) -> pd.DataFrame:
    """The trials of a search, the best first, a row each: how it ended, and the value of each key that was searched.

    `folder` is the `<run>-search` folder of `python -m trainer.search`. A value that is a mapping or a list, such as a
    loss with its parameters, is JSON text. Raises `UserError` for a `search.json` that is missing or damaged.
    """
    path = Path(folder) / "search.json"
    return _table(path, "python -m trainer.search writes it when it ends. Name its folder, <run>-search.", _trial_rows)


def _trial_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in trial.items() if name != "settings"}
        | {key: _cell(trial["settings"].get(key)) for key in found["keys"]}
        for trial in found["trials"]
    ]


def submission(file: Place, classes: Sequence[str]) -> pd.DataFrame:
    """The masks of a submission, a row each: `image`, `class` and `pixels`, the area of the mask (0: not found).

    `classes` are those of the task, such as `data.task.TASKS["hand_bone"].classes`. Raises `UserError` for a file that
    is missing or malformed.
    """
    import pandas as pd

    found = read_submission(Path(file), classes)
    rows = [
        {"image": image, "class": label, "pixels": int(runs[:, 1].sum())}
        for image, of_classes in found.runs.items()
        for label, runs in zip(found.classes, of_classes, strict=True)
    ]
    return pd.DataFrame(rows)


def _table(path: Path, missing: str, rows_of: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> pd.DataFrame:
    """Return the rows of a JSON file as a table; `missing` says which program writes the file."""
    import pandas as pd

    _refuse_missing(path, missing)
    found = read_json(path, unreadable="Change its permissions.", malformed="Move it away, and have it written anew.")
    try:
        return pd.DataFrame(rows_of(found))
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _damaged(path, error) from error


def _folds(run: Path) -> dict[int, Path]:
    """The folders of the folds that a run of several has begun, by number; none for any other folder."""
    if RunFolder(run).config.exists():
        return {}
    numbered = {path.name.removeprefix("fold"): path for path in paths_in(run, "fold*")}
    found = {int(number): path for number, path in numbered.items() if number.isdecimal()}
    return {number: found[number] for number in sorted(found) if RunFolder(found[number]).config.exists()}


def _joined(folds: Mapping[int, Path], read: Callable[[Place], pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of all folds as one, with the fold in the first column."""
    import pandas as pd

    parts = [read(path) for path in folds.values()]
    for number, part in zip(folds, parts, strict=True):
        part.insert(0, "fold", number)
    return pd.concat(parts, ignore_index=True)


def _refuse_missing(path: Path, way_out: str) -> None:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent.absolute()}: no such folder. Name the folder of a run.")
    if not path.is_file():
        raise UserError(f"{path.absolute()}: no such file. {way_out}")


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: is damaged, or of an older version ({type(error).__name__}: {error}). Have it written anew."
    )


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose values are single: `{"images_per_stratum": {"bent": 2}}` becomes `{"images_per_stratum.bent": 2}`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
