"""The run's `metrics.csv`: one row per epoch, whole at any moment, and without the epochs that a resume repeats."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from utils.errors import UserError
from utils.events import EpochEnded, Event, RunStarted
from utils.files import write_text
from utils.metric import Metric

Row = dict[str, str]


class History:
    """A listener that keeps the file; columns that a later epoch brings are added, gaps stay empty."""

    def __init__(self, path: Path, metric: Metric) -> None:
        self.path, self.metric = path, metric
        self.rows: list[Row] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.rows = [row for row in read_history(self.path) if int(row["epoch"]) <= event.first_epoch]
        if isinstance(event, EpochEnded):
            self.rows.append(row_of(event, self.metric))
            self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
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


def row_of(event: EpochEnded, metric: Metric) -> Row:
    """Return an epoch as cells of text; in the file epochs count from 1."""
    cells: dict[str, float | None] = {
        "train_loss": event.train_loss,
        **{f"train_{name}": value for name, value in event.loss_parts.items()},
        "valid_loss": event.valid_loss,
        metric.name: event.score,
        **{f"lr_{name}": value for name, value in event.learning_rates.items()},
        "seconds": event.seconds,
        "data_wait_share": event.data_wait_share,
        **{f"{metric.name}_{name}": value for name, value in event.score_per_class.items()},
    }
    return {"epoch": str(event.epoch + 1)} | {
        name: "" if value is None else f"{value:.6g}" for name, value in cells.items()
    }
