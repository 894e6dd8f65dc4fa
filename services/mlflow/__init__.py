"""MLflow: each run with its settings, a curve of every number, its files and how it ended; folds under one parent.

Without `MLFLOW_TRACKING_URI` runs are kept in `mlflow.db` beside the runs' folders; `make mlflow` shows them.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from services.channel import Channel, Context, NotDelivered, Refused, Told
from services.mlflow import values
from services.mlflow.client import connect, experiment_of
from services.mlflow.faults import Gone
from services.mlflow.notes import SharedNotes
from services.mlflow.place import VARIABLE, Place, fault_in, place_of
from services.mlflow.run import PARENT_TAG, TrackedRun
from services.secrets import Secrets
from utils.errors import UserError
from utils.events import (
    EpochEnded,
    Event,
    FoldsJoined,
    ImageScored,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepEnded,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

START_FILES = ("config.yaml", "environment.json")
END_FILES = (*START_FILES, "metrics.csv", "log.txt")
FILE_TRIES = 3
"""A server that keeps numbers but no files is asked so often in a row."""


def mlflow(
    context: Context,
    *,
    enabled: bool = True,
    local: bool = True,
    experiment: Annotated[str, Field(min_length=1, max_length=500)] = "carpus",
    artifacts: bool = True,
) -> Channel:
    """Keeps every run in MLflow: on the server that MLFLOW_TRACKING_URI names, or in a local file.

    enabled: whether this channel is used at all.
    local: without MLFLOW_TRACKING_URI keep runs in the SQLite file `mlflow.db` beside the runs' folders.
    experiment: what the runs are grouped under; made where there is none.
    artifacts: keep files too: settings, log, metrics, report and its pictures.
    """
    return Tracking(context, local=local, experiment=experiment, artifacts=artifacts)


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """What keeps MLflow from being used, in words; None where it can be tried."""
    uri = secrets.get(VARIABLE)
    if uri is not None:
        return fault_in(uri)
    return None if settings.get("local", True) else f"{VARIABLE} is not set, and services.mlflow.local is false"


@dataclass(frozen=True)
class Home:
    """Where runs go."""

    client: MlflowClient
    place: Place
    experiment: str


class Tracking:
    """The channel. Everything that it is told of a run must arrive, in any order and however late.

    What was not answered is simply said again: a run is marked and found by its mark, points that are there already
    stay as they are (`TrackedRun.log`), and all else replaces what was said before.
    """

    beat_s: float | None = None

    def __init__(self, context: Context, *, local: bool, experiment: str, artifacts: bool) -> None:
        self.context, self.facts = context, context.facts
        self.local, self.experiment, self.artifacts = local, experiment, artifacts
        self.home: Home | None = None
        self.file_failures: Counter[str] = Counter()

    def wants(self, event: Event) -> bool:
        if self.facts.fold is None:  # all folds at once: each of them tells how it goes
            return isinstance(event, FoldsJoined)
        return not isinstance(event, (StepEnded, ImageScored))

    def keeps(self, event: Event) -> bool:
        return self.wants(event)

    def deliver(self, told: Told) -> None:
        try:
            self._deliver(told)
        except Gone:  # the server begins anew, without what it was told before
            self._forget()
            self._deliver_anew(told)

    def beat(self) -> None:
        """Not called: MLflow shows no sign of life."""

    def close(self) -> None:
        self.home = None

    def _deliver(self, told: Told) -> None:
        event = told.event
        if isinstance(event, RunStarted):
            self._begin(told, event)
        elif isinstance(event, EpochEnded):
            self._log_epoch(told, event)
        elif isinstance(event, (RunFinished, RunInterrupted, RunFailed)):
            self._end(told)
        elif isinstance(event, ReportWritten):
            self._keep_report(told, event)
        elif isinstance(event, FoldsJoined):
            self._join(told, event)

    def _deliver_anew(self, told: Told) -> None:
        try:
            self._deliver(told)
        except Gone as error:
            raise NotDelivered(f"MLflow does not find what it has just made ({error})") from error

    def _begin(self, told: Told, event: RunStarted) -> None:
        run = self._found(told)
        start = values.start_tags(event) if run.is_news(told.at_s) else {}
        run.describe(values.params_of(self.facts.config), {**values.tags_of(self.facts), **start})
        run.set_status("RUNNING", told.at_s)
        if self.facts.group is not None:
            with self._parent(told) as parent:
                parent.set_status("RUNNING", told.at_s)
        self._keep(run, told, files=self._own(START_FILES), may_wait=True)

    def _log_epoch(self, told: Told, event: EpochEnded) -> None:
        """One request. An epoch that a resumed run repeats is there already."""
        run, epoch = self._run(told), event.epoch + 1
        if epoch not in self.context.memory.get("epochs", []):
            run.log(values.metrics_of(event), epoch, round(told.at_s * 1000))
            self.context.memory.set(epochs=[*self.context.memory.get("epochs", []), epoch])

    def _end(self, told: Told) -> None:
        """The status first: it needs no file."""
        run, status = self._run(told), values.status_of(told.event)
        run.set_status(status, told.at_s)
        if run.is_news(told.at_s):
            run.describe({}, values.end_tags(told.event))
        if self.facts.group is not None and status != "FINISHED":
            with self._parent(told) as parent:
                parent.set_status(status, told.at_s)
        self._keep(run, told, files=self._own(END_FILES))

    def _keep_report(self, told: Told, event: ReportWritten) -> None:
        files = {**self._own(END_FILES), event.report: None, **dict.fromkeys(event.pictures.values(), "pictures")}
        self._keep(self._run(told), told, files=files)

    def _join(self, told: Told, event: FoldsJoined) -> None:
        with self._parent(told) as parent:
            parent.log(values.joined_metrics(event), event.folds, round(told.at_s * 1000))
            parent.set_status("FINISHED", told.at_s)
            parent.describe({}, values.as_tags({"folds": event.folds}))
            self._keep(parent, told, files={event.report: None})

    def _run(self, told: Told) -> TrackedRun:
        """This run, described where that has not been done yet: its start may be told later, or never."""
        run = self._found(told)
        if not run.notes.get("described"):
            run.describe(values.params_of(self.facts.config), values.tags_of(self.facts))
        return run

    def _found(self, told: Told) -> TrackedRun:
        """This run, made where there is none."""
        home, facts = self._open(), self.facts
        run = TrackedRun(home.client, home.place, self.context.memory)
        if run.id is None:
            tags = values.tags_of(facts)
            if facts.group is not None:
                with self._parent(told) as parent:
                    tags[PARENT_TAG] = parent.known_id
            run.find_or_make(home.experiment, facts.run_id, facts.title, tags, round(told.at_s * 1000))
        return run

    @contextmanager
    def _parent(self, told: Told) -> Iterator[TrackedRun]:
        """The run of the whole cross-validation, for this process alone; made by whichever fold comes first."""
        home, folder = self._open(), self.facts.group or self.facts.folder
        notes = SharedNotes(folder)
        parent = TrackedRun(home.client, home.place, notes)
        with notes.alone():
            if notes.get("key") is None:
                notes.set(key=uuid.uuid4().hex)
            if parent.id is None:
                tags = values.parent_tags(self.facts, folder)
                parent.find_or_make(home.experiment, notes.get("key"), folder.name, tags, round(told.at_s * 1000))
            if not notes.get("described"):
                config = {key: value for key, value in self.facts.config.items() if key != "fold"}
                parent.describe(values.params_of(config), {})
            yield parent

    def _open(self) -> Home:
        """The client and the experiment, once. Raises `NotDelivered` and `Refused`."""
        if self.home is None:
            place = self._place()
            client = connect(place, self.context.secrets)
            self.home = Home(client, place, experiment_of(client, place, self.experiment))
        return self.home

    def _place(self) -> Place:
        try:
            uri = self.context.secrets.get(VARIABLE)
            why = missing(self.context.secrets, {"local": self.local})
        except UserError as error:
            raise Refused(str(error)) from error
        if why is not None:
            raise Refused(f"{why}.")
        return place_of(uri, (self.facts.group or self.facts.folder).parent)

    def _forget(self) -> None:
        self.home = None
        self.context.memory.set(run_id=None)
        if self.facts.group is not None or self.facts.fold is None:
            notes = SharedNotes(self.facts.group or self.facts.folder)
            with notes.alone():
                notes.set(run_id=None)

    def _own(self, names: tuple[str, ...]) -> dict[Path, str | None]:
        return {self.facts.folder / name: None for name in names}

    def _keep(self, run: TrackedRun, told: Told, *, files: Mapping[Path, str | None], may_wait: bool = False) -> None:
        """Keep the files of this run that there are, by the folder that each goes to. `may_wait`: where one does not
        get through it is left to a later event, and numbers need not wait behind it."""
        within = self.facts.folder.resolve()
        try:
            for path, inside in files.items() if self.artifacts else ():
                if path.is_file() and path.resolve().is_relative_to(within) and run.upload(path, inside):
                    self.file_failures.pop(told.id, None)
        except NotDelivered as error:
            self.file_failures[told.id] += 1
            if not may_wait and self.file_failures[told.id] < FILE_TRIES:
                raise
            log.log(logging.DEBUG if may_wait else logging.WARNING, "%s; files of this run are not kept there", error)
