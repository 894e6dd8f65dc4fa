"""Report the trials of a search, the best first: `search.json`, `search.html` and a table on the terminal."""

from __future__ import annotations

import json
import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.search_space import format_override
from trainer.drawing.charts import trial_dots
from trainer.drawing.html import render_page
from trainer.search.study import Study
from utils.files import write_text
from utils.metric import Metric
from utils.table import print_table

log = logging.getLogger(__name__)

WORDS = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
ORDER = {word: place for place, word in enumerate(WORDS.values())}
MIN_TRIALS = 6
"""Trials with all their epochs that the importance of keys is computed from, at least."""
SHOWN = 20
"""Rows of the table on the terminal."""


def summary_of(study: Study, title: str, train_command: str) -> dict[str, Any]:
    """Return all trials, the best first and failed ones last, the best one's command, and the importance of keys."""
    metric = study.metric
    rows = [row_of(study, trial) for trial in study.finished]
    rows.sort(key=lambda row: (ORDER[row["state"]], trial_badness(metric, row), row["trial"]))
    best = rows[0] if rows and rows[0]["state"] == "done" else None
    settings = [shlex.quote(format_override(key, value)) for key, value in best["settings"].items()] if best else []
    return {
        "name": title,
        "best": best and {**best, "command": " ".join([train_command, *settings])},
        "importance": importance_of_keys(study),
        "keys": list(study.space),
        "log_keys": [key for key, choice in study.space.items() if getattr(choice, "log", False)],
        "trials": rows,
    }


def row_of(study: Study, trial: Any) -> dict[str, Any]:
    """Return a trial's values by name; the name of its score is that of the metric."""
    number, outcome = trial.user_attrs["number"], dict(trial.user_attrs["outcome"])
    if not outcome.get("steps"):  # epochs are counted
        outcome.pop("steps", None)
    names = {"score": study.metric.name}
    outcome = {names.get(name, name): value for name, value in outcome.items()}
    return {"trial": number, **outcome, "state": WORDS[trial.state.name], "settings": study.settings_of(trial)}


def trial_badness(metric: Metric, row: Mapping[str, Any]) -> float:
    """Return a number that is larger for a worse score, and infinite without a score."""
    return math.inf if row[metric.name] is None else metric.badness(row[metric.name])


def importance_of_keys(study: Study) -> dict[str, float]:
    """Compute the importance of each key for a good score (PED-ANOVA), 0..1; empty after few trials."""
    done = {trial.value for trial in study.finished if trial.state.name == "COMPLETE"}
    if len(done) < MIN_TRIALS or len(study.space) < 2:
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator()
    return {key: float(share) for key, share in get_param_importances(study.study, evaluator=evaluator).items()}


def write_summary(folder: Path, summary: Mapping[str, Any], metric: Metric) -> None:
    """Write `search.json` and, once there is a trial, `search.html`."""
    write_text(folder / "search.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    if summary["trials"]:
        write_text(folder / "search.html", render_page("search.html.j2", page_values(summary, metric)))
        log.info("open %s", folder / "search.html")


def page_values(summary: Mapping[str, Any], metric: Metric) -> dict[str, Any]:
    """Return the values that the template needs."""
    keys, best = summary["keys"], summary["best"]
    return {
        "name": summary["name"],
        "subtitle": f"{len(summary['trials'])} trials over {', '.join(keys)}",
        "tiles": main_numbers(summary, metric),
        "metric": metric,
        "command": best["command"] if best else "",
        "importance": [(key, f"{share:.0%}") for key, share in summary["importance"].items()],
        "dots": trial_dots([with_short_settings(row) for row in summary["trials"]], keys, summary["log_keys"], metric),
        "keys": keys,
        "length": length_heading(summary),
        "rows": [cells_of(row, keys, metric) for row in summary["trials"]],
        "failures": [row for row in summary["trials"] if row["state"] == "failed"],
    }


def main_numbers(summary: Mapping[str, Any], metric: Metric) -> list[dict[str, str]]:
    """Return the main numbers with their labels."""
    trials, best = summary["trials"], summary["best"]
    states = [row["state"] for row in trials]
    found = [(f"{best[metric.name]:.4f}", f"best {metric.label}, trial {best['trial']}")] if best else []
    found += [(str(states.count(state)), f"trials {state}") for state in ("done", "pruned", "failed")]
    found.append((f"{sum(row['seconds'] for row in trials) / 60:.1f}", "minutes of training"))
    return [{"value": value, "label": label} for value, label in found]


def print_trials(summary: Mapping[str, Any], metric: Metric) -> None:
    """Print the best trials, then the command that trains the best one with all epochs."""
    if not summary["trials"]:
        return
    more, best, key_columns = len(summary["trials"]) - SHOWN, summary["best"], short_keys(summary["keys"])
    print_table(
        f"{summary['name']}: trials, best first",
        ("trial", "state", metric.label, length_heading(summary), *key_columns),
        [cells_of(row, summary["keys"], metric) for row in summary["trials"][:SHOWN]],
        text_columns=("state", *key_columns),
        lines=[
            f"… and {more} more in search.json" if more > 0 else "",
            *(("To train the best at length:", best["command"]) if best else ()),
        ],
    )


def length_heading(summary: Mapping[str, Any]) -> str:
    """Return what the length of a trial is counted in."""
    return "steps" if any(row.get("steps") for row in summary["trials"]) else "epochs"


def short_keys(keys: Sequence[str]) -> list[str]:
    """Return the last part of each key; the whole key if another one ends in the same part."""
    lasts = [key.rpartition(".")[2] for key in keys]
    return [last if lasts.count(last) == 1 else key for key, last in zip(keys, lasts, strict=True)]


def cells_of(row: Mapping[str, Any], keys: Sequence[str], metric: Metric) -> list[str]:
    """Return the cells of a trial's row: number, state, score, epochs or steps, and the value of each key."""
    score = "" if row[metric.name] is None else f"{row[metric.name]:.4f}"
    return [
        str(row["trial"]),
        row["state"],
        score,
        str(row.get("steps") or row["epochs"]),
        *(format_setting(row["settings"].get(key)) for key in keys),
    ]


def with_short_settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial with settings that are numbers or short texts."""
    numbers = (int, float)
    settings = {
        key: value if isinstance(value, numbers) and not isinstance(value, bool) else format_setting(value)
        for key, value in row["settings"].items()
    }
    return {**row, "settings": settings}


def format_setting(value: Any) -> str:
    """Return a setting as short text: a component as `focal gamma=1.5`, other values as in YAML."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping) and "name" in value:
        return " ".join(
            [value["name"], *(f"{key}={format_setting(setting)}" for key, setting in value.items() if key != "name")]
        )
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
