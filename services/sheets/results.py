"""The results: one row for each completed run on the person's tab and on the team's.

The run's id identifies its row, so there are never two. People may move and add columns: values go below their header,
and the public score, like any column that is not in `COLUMNS`, is never written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.channel import RunFacts
from services.delivery.snapshot import Snapshot
from services.sheets.book import SCORE, Book, TablePlan, header_of, rounded
from services.sheets.client import Cell

COLUMNS = (
    *("finished", "person", "run", "model", "scheduler", "optimizer", "lr", "epochs", "metric", "task", "fold"),
    *(SCORE, "public score", "best epoch", "hours", "server", "commit", "run id"),
)
"""Then one column per class, its score."""
RUN_ID = "run id"


class Results:
    """Rows of one run in several tabs. Its methods raise as those of `Sheets`."""

    def __init__(self, book: Book, tabs: Sequence[str], run_id: str, label: str) -> None:
        self.book, self.run_id, self.label = book, run_id, label
        unlike = {tab.casefold(): tab for tab in reversed(tabs)}
        self.tabs = tuple(reversed(unlike.values()))

    def put(self, values: Mapping[str, Cell], scores: Mapping[str, float], *, new: bool = True) -> None:
        """Write the run's row in each tab: the existing one, else a `new` one. It can be repeated safely.

        One read, one write for each tab, and one read to check new rows. An append whose answer was lost raises, and
        the next try finds its row.
        """
        by_class = {column_of(name, self.label): rounded(score, 4) for name, score in scores.items()}
        header, cells = (*header_of(COLUMNS, self.label), *by_class), {**values, **by_class}
        plans = [TablePlan(tab, header, RUN_ID) for tab in self.tabs]
        blocks, absent = {}, []
        for table in self.book.read_tables(plans):
            row = table.row_of(self.run_id)
            if row is None:
                absent.append(table)
            else:
                blocks.update(table.block(row, cells))
        if blocks:
            self.book.write(blocks)
        if absent and new:
            self.book.append(absent, cells)


def column_of(name: str, score_label: str) -> str:
    """The header of a class: its name, after the metric's label if another column has the same name."""
    taken = {header.casefold() for header in header_of(COLUMNS, score_label)}
    return f"{score_label} {name}" if name.casefold() in taken else name


def values_of(facts: RunFacts, now: Snapshot, person: str, finished: str) -> dict[str, Cell]:
    """The cells of a completed run by header. `finished`: its end as text, in the sheet's time zone."""
    config = facts.config
    return {
        "finished": finished,
        "person": person,
        "run": facts.title,
        "model": model_of(_part(config, "model")),
        "scheduler": _part(config, "scheduler").get("name", ""),
        "optimizer": _part(config, "optimizer").get("name", ""),
        "lr": _part(config, "optimizer").get("lr", ""),
        "epochs": length_of(now, _part(config, "trainer")),
        "metric": _part(config, "early_stopping").get("metric", facts.metric.name),
        "task": facts.task,
        "fold": f"{now.folds} folds" if now.folds else _or_empty(facts.fold),
        facts.metric.label: rounded(now.best, 5),
        "best epoch": _or_empty(now.best_epoch) if now.rounds is None else f"step {now.best_at}",
        "hours": rounded(now.seconds and now.seconds / 3600, 2),
        "server": facts.host,
        "commit": commit_of(facts),
        RUN_ID: facts.run_id,
    }


def length_of(now: Snapshot, settings: Mapping[str, Any]) -> Cell:
    """How long a run was trained, in epochs or, with the word, in steps; if it is not known, how long it should be."""
    steps = now.steps_done or settings.get("steps")
    return f"{steps} steps" if steps else now.epoch or settings.get("epochs") or ""


def model_of(model: Mapping[str, Any]) -> str:
    """The network and its encoder, if it has one: `unetplusplus (tu-hrnet_w48)`."""
    encoder = model.get("encoder")
    return f"{model.get('name', '')} ({encoder})" if encoder else str(model.get("name", ""))


def commit_of(facts: RunFacts) -> str:
    """The commit's first ten digits, with a `+` if files were changed since."""
    return f"{(facts.commit or '')[:10]}{'+' if facts.commit and facts.dirty else ''}"


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A block of the configuration; a component given by its name alone becomes `{"name": …}`, null an empty block."""
    found = config.get(name)
    if isinstance(found, str):
        return {"name": found}
    return found if isinstance(found, Mapping) else {}


def _or_empty(number: int | None) -> Cell:
    return "" if number is None else number
