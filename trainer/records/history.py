"""The run's `metrics.csv`: one row per epoch, whole at any moment, and without the epochs that a resume repeats.

A training that is counted in optimizer steps has a row for each of its rounds, and a column `step` beside `epoch`.
Pretrained weights that were scored before the first step are epoch 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from utils.errors import UserError
from utils.events import EpochEnded, Event, RunStarted, StartScored
from utils.files import write_text
from utils.metric import Metric
from utils.rounds import Rounds

Row = dict[str, str]


class History:
    """A listener that keeps the file; columns that a later epoch brings are added, gaps stay empty."""

    def __init__(self, path: Path, metric: Metric) -> None:
        self.path, self.metric = path, metric
        self.rows: list[Row] = []
        self.rounds: Rounds | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.rows = [row for row in read_history(self.path) if int(row["epoch"]) <= event.first_epoch]
            self.rounds = event.rounds
        if isinstance(event, StartScored):
            self.rows = [start_row(event, self.metric, self.rounds)]
            self._write()
        if isinstance(event, EpochEnded):
            self.rows.append(row_of(event, self.metric))
            self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(column for row in [*without_start(self.rows), *self.rows] for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def read_history(path: Path) -> list[Row]:
    """Read the rows of a metrics file, in order; none if there is no file. Raises `UserError` for any other file."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            int(row["epoch"]), float(row["seconds"]), float(row["data_wait_share"])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: is damaged ({type(error).__name__}: {error}). Move it away.") from error
    return rows


def without_start(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of epochs, without that of the start."""
    return [row for row in rows if int(row["epoch"]) > 0]


def start_of(rows: Sequence[Row]) -> Row | None:
    """Return the row of the weights that training began with, None if they were not scored."""
    return next((row for row in rows if int(row["epoch"]) == 0), None)


def fall_of(rows: Sequence[Row], metric: Metric) -> tuple[Row, Row] | None:
    """Return the row of the start and the first one whose score fell clearly below it, None if none did."""
    start = start_of(rows)
    if start is None:
        return None
    scored = [row for row in without_start(rows) if row.get(metric.name)]
    below = float(start[metric.name])
    fallen = (row for row in scored if metric.fell_below(below, float(row[metric.name])))
    return next(((start, row) for row in fallen), None)


def row_of(event: EpochEnded, metric: Metric) -> Row:
    """Return an epoch as cells of text; in the file epochs count from 1."""
    return _place(event.epoch, event.rounds) | _cells(
        {
            "train_loss": event.train_loss,
            **{f"train_{name}": value for name, value in event.loss_parts.items()},
            "valid_loss": event.valid_loss,
            metric.name: event.score,
            **{f"lr_{name}": value for name, value in event.learning_rates.items()},
            "seconds": event.seconds,
            "data_wait_share": event.data_wait_share,
            **{f"{metric.name}_{name}": value for name, value in event.score_per_class.items()},
        }
    )


def start_row(event: StartScored, metric: Metric, rounds: Rounds | None) -> Row:
    """Return the scores before the first step as cells of text, as epoch 0."""
    return _place(-1, rounds) | _cells(
        {
            "train_loss": None,
            "valid_loss": event.valid_loss,
            metric.name: event.score,
            "seconds": event.seconds,
            "data_wait_share": 0.0,
            **{f"{metric.name}_{name}": value for name, value in event.score_per_class.items()},
        }
    )


def _place(epoch: int, rounds: Rounds | None) -> Row:
    return {"epoch": str(epoch + 1)} | ({} if rounds is None else {"step": str(rounds.end(epoch))})


def _cells(values: Mapping[str, float | None]) -> Row:
    return {name: "" if value is None else f"{value:.6g}" for name, value in values.items()}
