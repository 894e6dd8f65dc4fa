"""MLflow: each run with its settings, a curve of every number, its files and how it ended; folds under one parent.

Without `MLFLOW_TRACKING_URI` runs are kept in `mlflow.db` beside the runs' folders; `make mlflow` shows them.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from services.channel import Channel, Context, NotDelivered, QueuedEvent, Refused
from services.delivery.delivery_log import SharedNotes
from services.mlflow import values
from services.mlflow.client import LOGIN, connect, experiment_of
from services.mlflow.run import PARENT_TAG, TrackedRun
from services.mlflow.store import VARIABLE, RunGone, TrackingStore, fault_in, store_of
from services.secrets import Secrets
from utils.errors import UserError
from utils.events import End, EpochEnded, Event, FoldsJoined, ReportWritten, RunFinished, RunStarted, StartScored, Step
from utils.rounds import counted_in, done_after

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

START_FILES = ("config.yaml", "environment.json")
END_FILES = (*START_FILES, "metrics.csv", "log.txt")
WEIGHTS = "checkpoints/best.safetensors"
SHARED_FILE = "mlflow.json"
"""What the folds of a cross-validation know of their parent run, in its folder."""
ModelName = Annotated[str, Field(pattern=r"^[^/:'\"]{1,250}$")]
FILE_TRIES = 3
"""Failed uploads in a row, over all events and processes of a run, after which no event waits for its files."""


def missing(secrets: Secrets, settings: Mapping[str, Any]) -> str | None:
    """The reason why MLflow cannot be used, in a few words; None if it can be tried."""
    uri = secrets.get(VARIABLE)
    if uri is not None:
        for name in LOGIN:
            secrets.get(name)  # raises for one that was copied badly
        return fault_in(uri)
    return None if settings.get("local", True) else f"{VARIABLE} is not set, and services.mlflow.local is false"


@dataclass(frozen=True)
class Connection:
    """A connected store, and the experiment that runs belong to."""

    client: MlflowClient
    store: TrackingStore
    experiment: str


class Mlflow(Channel):
    """Keeps every run in MLflow: on the server that MLFLOW_TRACKING_URI names, or in a local file.

    enabled: whether this channel is used at all.
    local: without MLFLOW_TRACKING_URI keep runs in the SQLite file `mlflow.db` beside the runs' folders.
    experiment: what the runs are grouped under; made where there is none.
    artifacts: keep files too: settings, log, metrics, report and its pictures.
    weights: keep the best weights too, of each run that comes to its end.
    registered_model: name in MLflow's model registry under which the best weights of each such run become a version.
    """

    # All events that it accepts must arrive, in any order and however late. A request without an answer is sent again:
    # a run has a tag by which it is found, points that exist already stay as they are (`TrackedRun.log`), and all other
    # values replace the earlier ones.

    def __init__(
        self,
        context: Context,
        *,
        enabled: bool = True,
        local: bool = True,
        experiment: Annotated[str, Field(min_length=1, max_length=500)] = "carpus",
        artifacts: bool = True,
        weights: bool = False,
        registered_model: ModelName | None = None,
    ) -> None:
        self.context, self.facts = context, context.facts
        self.local, self.experiment, self.artifacts = local, experiment, artifacts
        self.weights, self.registered_model = weights, registered_model
        self.connection: Connection | None = None

    def accepts(self, event: Event) -> bool:
        if self.facts.fold is None:  # all folds as one; each fold reports its own progress
            return isinstance(event, FoldsJoined)
        return not isinstance(event, Step)

    def must_arrive(self, event: Event) -> bool:
        return self.accepts(event)

    def deliver(self, queued: QueuedEvent) -> None:
        try:
            self._deliver(queued)
            return
        except RunGone:  # the server lost its data, so the run is made again
            self._forget()
        try:
            self._deliver(queued)
        except RunGone as error:
            raise NotDelivered(f"MLflow does not find what it has just made ({error})") from error

    def close(self) -> None:
        self.connection = None

    def _deliver(self, queued: QueuedEvent) -> None:
        event = queued.event
        if isinstance(event, RunStarted):
            self._begin(queued, event)
        elif isinstance(event, (EpochEnded, StartScored)):
            self._log_epoch(queued, event)
        elif isinstance(event, End):
            self._end(queued)
        elif isinstance(event, ReportWritten):
            self._keep_report(queued, event)
        elif isinstance(event, FoldsJoined):
            self._join(queued, event)

    def _begin(self, queued: QueuedEvent, event: RunStarted) -> None:
        run = self._found(queued)
        start = values.start_tags(event) if run.is_newest(queued) else {}
        run.describe(values.params_of(self.facts.config), {**values.tags_of(self.facts), **start})
        self._set_status(run, "RUNNING", queued)
        self._keep(run, self._own(START_FILES), may_wait=True)

    def _log_epoch(self, queued: QueuedEvent, event: EpochEnded | StartScored) -> None:
        """Log the numbers of an epoch in one request, unless a resumed run repeats an epoch that is logged already.

        MLflow's step is the epoch, or the optimizer step if those are counted; the start is step 0.
        """
        run, step = self._run(queued), 0
        if isinstance(event, EpochEnded):
            step = done_after(event.epoch, event.rounds)
        if step not in self.context.memory.get("epochs", []):
            run.log(values.metrics_of(event, self.context.facts.metric), step, queued.at_ms)
            self.context.memory.set(epochs=[*self.context.memory.get("epochs", []), step])

    def _end(self, queued: QueuedEvent) -> None:
        """Set the status of the run and its parent, then upload files, which may fail."""
        run, status = self._run(queued), values.status_of(queued.event)
        self._set_status(run, status, queued)
        if run.is_newest(queued):
            run.describe({}, values.end_tags(queued.event))
        self._keep(run, self._own(END_FILES))
        if isinstance(queued.event, RunFinished) and (self.weights or self.registered_model):
            self._keep_weights(run, queued.event)

    def _keep_weights(self, run: TrackedRun, event: RunFinished) -> None:
        """Upload the best weights and the settings that belong to them, and register them.

        A run that is resumed and trained longer gets another folder and another version.
        """
        folder = f"weights/{counted_in(event.rounds)}-{done_after(event.epochs_done - 1, event.rounds)}"
        self._upload(run, dict.fromkeys((self.facts.folder / WEIGHTS, self.facts.folder / "config.yaml"), folder))
        if self.registered_model:
            with self._limited_tries("the weights are not registered"):
                run.register(self.registered_model, folder, Path(WEIGHTS).name)

    def _set_status(self, run: TrackedRun, status: values.Status, queued: QueuedEvent) -> None:
        """Set the status of the run, and of the parent run if it is one of several folds."""
        run.set_status(status, queued)
        if self.facts.group is not None:
            with self._parent(queued) as parent:
                parent.set_member_status(self.facts.folder.name, status, queued)

    def _keep_report(self, queued: QueuedEvent, event: ReportWritten) -> None:
        files = {**self._own(END_FILES), event.report: None, **dict.fromkeys(event.pictures.values(), "pictures")}
        self._keep(self._run(queued), files)

    def _join(self, queued: QueuedEvent, event: FoldsJoined) -> None:
        with self._parent(queued) as parent:
            parent.log(values.joined_metrics(event, self.context.facts.metric), event.folds, queued.at_ms)
            parent.join(queued)
            parent.describe({}, values.as_tags({"folds": event.folds}))
            self._keep(parent, {event.report: None})

    def _run(self, queued: QueuedEvent) -> TrackedRun:
        """This run; it is described if it is not yet, because its start may be delivered later, or never."""
        run = self._found(queued)
        if not run.notes.get("described"):
            run.describe(values.params_of(self.facts.config), values.tags_of(self.facts))
        return run

    def _found(self, queued: QueuedEvent) -> TrackedRun:
        """This run; it is made if it does not exist."""
        connection, facts = self._open(), self.facts
        run = TrackedRun(connection.client, connection.store, self.context.memory)
        if run.id is None:
            tags = values.tags_of(facts)
            if facts.group is not None:
                with self._parent(queued) as parent:
                    tags[PARENT_TAG] = parent.required_id
            run.find_or_make(connection.experiment, facts.run_id, facts.title, tags, queued.at_ms)
        return run

    @contextmanager
    def _parent(self, queued: QueuedEvent) -> Iterator[TrackedRun]:
        """Yield the run of the whole cross-validation, locked for this process; the first fold makes it."""
        connection, folder = self._open(), self._shared_folder
        notes = SharedNotes(folder / SHARED_FILE)
        parent = TrackedRun(connection.client, connection.store, notes)
        with notes.locked():
            if notes.get("key") is None:
                notes.set(key=uuid.uuid4().hex)
            if parent.id is None:
                tags = values.parent_tags(self.facts, folder)
                parent.find_or_make(connection.experiment, notes.get("key"), folder.name, tags, queued.at_ms)
            if not notes.get("described"):
                config = {key: value for key, value in self.facts.config.items() if key != "fold"}
                parent.describe(values.params_of(config), {})
            yield parent

    def _open(self) -> Connection:
        """Connect to the client and the experiment, once. Raises `NotDelivered` and `Refused`."""
        if self.connection is None:
            store = self._store()
            client = connect(store, self.context.secrets)
            self.connection = Connection(client, store, experiment_of(client, store, self.experiment))
        return self.connection

    def _store(self) -> TrackingStore:
        try:
            uri = self.context.secrets.get(VARIABLE)
            why = missing(self.context.secrets, {"local": self.local})
        except UserError as error:
            raise Refused(str(error)) from error
        if why is not None:
            raise Refused(f"{why}.")
        return store_of(uri, self._shared_folder.parent)

    @property
    def _shared_folder(self) -> Path:
        """The folder of the cross-validation, or of a run that is alone."""
        return self.facts.group or self.facts.folder

    def _forget(self) -> None:
        self.connection = None
        self.context.memory.set(run_id=None)
        if self.facts.group is not None or self.facts.fold is None:
            notes = SharedNotes(self._shared_folder / SHARED_FILE)
            with notes.locked():
                notes.set(run_id=None)

    def _own(self, names: tuple[str, ...]) -> dict[Path, str | None]:
        return {self.facts.folder / name: None for name in names}

    def _keep(self, run: TrackedRun, files: Mapping[Path, str | None], *, may_wait: bool = False) -> None:
        if self.artifacts:
            self._upload(run, files, may_wait=may_wait)

    def _upload(self, run: TrackedRun, files: Mapping[Path, str | None], *, may_wait: bool = False) -> None:
        """Upload those of the files that exist; `files` gives the folder in MLflow of each.

        `may_wait`: if an upload fails, it is left to a later event, so that numbers need not wait for it.
        """
        within = self.facts.folder.resolve()
        with self._limited_tries("files of this run are not kept there", may_wait=may_wait):
            # Files outside the run's folder, as behind a link, are not uploaded.
            for path, inside in files.items():
                if path.is_file() and path.resolve().is_relative_to(within) and run.upload(path, inside):
                    self.context.memory.set(file_failures=0)

    @contextmanager
    def _limited_tries(self, lost: str, *, may_wait: bool = False) -> Iterator[None]:
        """Pass a failure of this block on, until `FILE_TRIES` of them came in a row; then log what is `lost`.

        `may_wait`: the failure is never passed on, and does not count.
        """
        try:
            yield
        except NotDelivered as error:
            failures = self.context.memory.get("file_failures", 0) + (not may_wait)
            self.context.memory.set(file_failures=failures)
            if not may_wait and failures < FILE_TRIES:
                raise
            log.log(logging.DEBUG if may_wait else logging.WARNING, "mlflow: %s; %s", error, lost)
