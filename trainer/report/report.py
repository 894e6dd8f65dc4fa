"""Write the report of a run, `report.html` with its pictures inside, from the files of the run's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from configs.loading.load import load_as
from configs.schema import Config
from data.task import Task
from services.texts import text
from trainer.drawing.charts import class_bars, curves
from trainer.drawing.checkpoints import section_of
from trainer.drawing.html import render_page
from trainer.evaluation.distances import MEANS_NOTE, ShownDistances, shown_distances
from trainer.provenance import Provenance, read_provenance
from trainer.records.folder import RunFolder, refuse_links, refuse_no_run
from trainer.records.history import Row, fall_of, read_history, start_of
from trainer.report.pictures import class_map_of, draw_pictures, pictures_by_title, shown_pictures
from utils.errors import DAMAGED, UserError
from utils.events import ReportWritten
from utils.files import write_text
from utils.metric import Metric

log = logging.getLogger(__name__)


def write_report(folder: RunFolder) -> Path:
    """Write the page from the files that exist so far; return its path. Raises `UserError` if there is no run."""
    refuse_no_run(folder)
    refuse_links(folder.path)
    config = load_as(Config, folder.config)  # Not `load`: pretrained weights may have gone since.
    task = config.chosen_task
    mean = task.metric.mean_name
    history = read_history(folder.metrics)
    validation = _json(folder.validation, "epoch", mean, "per_class", "images")
    swa = _json(folder.swa_validation, mean)
    distances = _json(folder.distances, "epoch", "distances")
    score = _json(folder.score, mean, "per_class")
    environment = _json(folder.environment)
    draw_pictures(folder, task, validation)
    page = {
        "name": config.title,
        "subtitle": subtitle(config, environment),
        "tiles": main_numbers(task, history, validation, swa, score),
        "warning": warning_of(history, task.metric),
        "curves": curves(history, task.metric) if history else "",
        "networks": networks_of(folder),
        "class_bars": bar_charts(task, validation, score),
        "distances": distance_tables(folder, validation, distances, score),
        "class_map": class_map_of(folder),
        "pictures": shown_pictures(folder, task),
        "sources": source_tables(read_provenance(folder)),
        "commands": commands_of(config, task),
        "environment": [(key, _text(value)) for key, value in environment.items()],
        "config": folder.config.read_text(encoding="utf-8"),
    }
    write_text(folder.report, render_page("report.html.j2", page))
    return folder.report


def report_written(folder: RunFolder) -> ReportWritten:
    """Write the page of a run that has ended; return the event that announces it."""
    config, report = load_as(Config, folder.config), write_report(folder)
    validation = _json(folder.validation, "per_class")
    return ReportWritten(config.title, folder.path, report, validation.get("per_class", {}), pictures_by_title(folder))


def networks_of(folder: RunFolder) -> dict[str, Any] | None:
    """Return the section on all networks of the run, if `trainer.checkpoints` has scored them."""
    found = _json(folder.checkpoint_scores, "checkpoints", "columns", "sheet")
    try:
        return section_of(found, folder.pictures) if found else None
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        raise UserError(
            f"{folder.checkpoint_scores}: is damaged ({type(error).__name__}). Delete it, or let trainer.checkpoints "
            "write it anew."
        ) from error


def subtitle(config: Config, environment: Mapping[str, Any]) -> str:
    """Return the experiment in one line."""
    model = config.model.as_dict()
    network = " ".join(str(model[key]) for key in ("name", "encoder") if key in model)
    return f"{network} · {config.transform.size_px} px · {config.loss.name} · {environment.get('device', '')}"


def main_numbers(
    task: Task,
    history: Sequence[Row],
    validation: Mapping[str, Any],
    swa: Mapping[str, Any],
    score: Mapping[str, Any],
) -> list[dict[str, str]]:
    """Return the main numbers with their labels."""
    found, mean, word = [], task.metric.mean_name, task.metric.label
    if score:
        found.append((f"{score[mean]:.4f}", f"test {word}"))
        found += [
            (f"{score[name]:.4f}", f"test {word}, {name}") for name in task.stratum_names if score.get(name) is not None
        ]
    if validation:
        best = f"step {validation['step']}" if "step" in validation else f"epoch {validation['epoch']}"
        found.append((f"{validation[mean]:.4f}", f"validation {word}, best {best}"))
    if swa:
        last = "evaluations" if "step" in validation else "epochs"
        found.append((f"{swa[mean]:.4f}", f"validation {word}, average of the last {last}"))
    if start := start_of(history):
        found.append((f"{float(start[task.metric.name]):.4f}", f"validation {word} at the start"))
    if history:
        seconds = [float(row["seconds"]) for row in history]
        found.append((history[-1]["step"], "steps") if "step" in history[-1] else (history[-1]["epoch"], "epochs"))
        found.append((f"{sum(seconds) / 60:.1f}", "minutes of training"))
        waited = sum(float(row["data_wait_share"]) * float(row["seconds"]) for row in history)
        found.append((f"{waited / sum(seconds):.1%}", "of it waiting for data"))
    return [{"value": value, "label": label} for value, label in found]


def warning_of(history: Sequence[Row], metric: Metric) -> str:
    """Return what it means that a score fell below that of the start; empty if none did."""
    fall = fall_of(history, metric)
    if fall is None:
        return ""
    start, row = fall
    unit, numbers = "step" if "step" in row else "epoch", {"start": start[metric.name], "score": row[metric.name]}
    shown = {name: f"{float(number):.4f}" for name, number in numbers.items()}
    return text("en", "fell_below_start", metric=metric.label, at=text("en", f"at_{unit}", number=row[unit]), **shown)


def bar_charts(task: Task, validation: Mapping[str, Any], score: Mapping[str, Any]) -> list[dict[str, str]]:
    """Draw a bar chart for each score that the run has."""
    word = task.metric.label
    named = ((f"Test {word} per class", score), (f"Validation {word} per class", validation))
    return [
        {"title": title, "svg": class_bars(numbers["per_class"], task.groups, word)}
        for title, numbers in named
        if numbers
    ]


def distance_tables(
    folder: RunFolder, validation: Mapping[str, Any], distances: Mapping[str, Any], score: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return a table of distances for each score that has them, but not those of earlier weights."""
    if distances and distances["epoch"] != validation.get("epoch"):
        log.info("%s: of earlier weights, so not shown; measure again with --distances", folder.distances)
        distances = {}
    named = (("Test distances", folder.score, score), ("Validation distances", folder.distances, distances))
    return [
        {"title": title, "table": distance_table(path, found["distances"]), "note": MEANS_NOTE}
        for title, path, found in named
        if found.get("distances")
    ]


def distance_table(path: Path, found: Any) -> ShownDistances:
    """Return a table of distances. Raises `UserError` if the file that they are from is damaged."""
    try:
        return shown_distances(found)
    except DAMAGED as error:
        raise UserError(
            f"{path}: its distances are damaged ({type(error).__name__}: {error}). Have them measured anew."
        ) from error


def source_tables(provenance: Provenance) -> list[dict[str, Any]]:
    """Return a table of the sources of images, and one of the starting weights, each if there are any."""
    given = [
        {
            "title": title,
            "heads": heads,
            "rows": [cells_of(entry, heads) for entry in provenance.get(part, [])],
        }
        for part, title, heads in (
            ("data", "Data", ("source", "images", "weight", "share of all drawn", "licence", "attribution")),
            ("start", "Starting weights", ("weights", "licence", "attribution", "source")),
        )
    ]
    return [table for table in given if table["rows"]]


def cells_of(entry: Mapping[str, Any], heads: Sequence[str]) -> list[str]:
    """Return an entry as a row of text; a source that is only listed says why."""
    share, reason = entry.get("share"), entry.get("reason")
    cells = {
        **{key: "" if entry.get(key) is None else _text(entry[key]) for key in ("images", "weight", "attribution")},
        heads[0]: _text(entry.get("name", "")) + (f" (not trained on: {reason})" if reason else ""),
        "share of all drawn": f"{share:.1%}" if isinstance(share, (int, float)) else "",
        "licence": _text(entry.get("licence") or "not given"),
    }
    return [cells.get(head, _text(entry.get(head) or "not given")) for head in heads]


def commands_of(config: Config, task: Task) -> str:
    """Return the commands that repeat, continue and use this run."""
    run, truth = config.folder, task.layout.scored_in(config.data.root)

    def in_run(name: str) -> str:
        return quote(str(run / name))

    return "\n".join(
        (
            "# repeat",
            f"python train.py --config {in_run('config.yaml')} run.name={config.run.name}-again",
            "# continue, after an interruption or to train longer",
            f"python train.py --resume {quote(str(run))}",
            "# predict and score",
            f"python inference.py --run {quote(str(run))}",
            f"python evaluate.py --prediction {in_run(task.output.default_name)} --truth {quote(str(truth))}",
        )
    )


def _json(path: Path, *wanted: str) -> dict[str, Any]:
    """Read one of the run's JSON files; empty if it does not exist yet. Raises `UserError` if a key is missing."""
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in wanted if key not in found] if isinstance(found, dict) else ["a block of keys"]
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged ({error}). Delete it, or let its program write it anew.") from error
    if missing:
        raise UserError(f"{path}: lacks {', '.join(missing)}. Delete it, or let its program write it anew.")
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
