"""One run in MLflow: find or make it, describe it, add points and files, end it. Every step can be repeated safely."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from services.channel import EventRefused, QueuedEvent, Refused
from services.delivery.delivery_log import SharedNotes
from services.delivery.run_memory import ChannelMemory
from services.mlflow.store import RunGone, TooLong, TrackingStore, translated_errors
from services.mlflow.values import LONGEST_PARAM, Status, as_tags, cut, drift_in, joint_status, split_finite

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

KEY_TAG = "carpus.run_id"
"""The tag that identifies a run, so that it is found, and not made twice, if the answer to its making was lost."""
PARENT_TAG = "mlflow.parentRunId"


class TrackedRun:
    """A run in MLflow, and its saved values. All methods raise as `services.mlflow.store.translated_errors`."""

    def __init__(self, client: MlflowClient, store: TrackingStore, notes: ChannelMemory | SharedNotes) -> None:
        self.client, self.store, self.notes = client, store, notes

    @property
    def id(self) -> str | None:
        """MLflow's id of the run; None if it is not known in this store."""
        found = self.notes.get("run_id") if self.notes.get("place") == self.store.shown else None
        return found if isinstance(found, str) else None

    @property
    def required_id(self) -> str:
        if self.id is None:
            raise RunGone("this run was never made")
        return self.id

    def find_or_make(self, experiment: str, key: str, name: str, tags: Mapping[str, str], at_ms: int) -> None:
        """Find the run with the tag `key`, or make it if there is none, and save its id."""
        with translated_errors(self.store):
            found = self.client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
            marked = {**tags, KEY_TAG: key}
            run = found[0] if found else self.client.create_run(experiment, at_ms, marked, name)
        self.notes.set(place=self.store.shown, run_id=run.info.run_id, epochs=[], uploaded={}, described=False)

    def describe(self, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Set parameters and tags.

        Parameters that exist already cannot be changed; a tag lists those that would differ now. A tag without a value
        is set only if it has a value now. Parameters that are too long for the server are cut visibly.
        """
        longest = self.notes.get("longest_param", LONGEST_PARAM)
        try:
            self._describe({key: cut(value, longest) for key, value in params.items()}, tags)
        except TooLong as error:
            if not 20 < error.limit < longest:
                raise Refused(str(error)) from error
            shortened = [key for key, value in params.items() if len(value) > error.limit]
            log.info(
                "mlflow: this server accepts %d characters of a parameter; cut: %s", error.limit, ", ".join(shortened)
            )
            self.notes.set(longest_param=error.limit)
            self.describe(params, tags)

    def _describe(self, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        with translated_errors(self.store):
            known = self.client.get_run(self.required_id).data
            drift = as_tags({"param_drift": drift_in(known.params, params)} if params else {})
            new = [Param(key, value) for key, value in params.items() if key not in known.params]
            new_tags = [RunTag(key, value) for key, value in {**tags, **drift}.items() if value or known.tags.get(key)]
            self.client.log_batch(self.required_id, params=new, tags=new_tags)
        if params:
            self.notes.set(described=True)

    def log(self, metrics: Mapping[str, float], step: int, at_ms: int) -> None:
        """Add points in one request. It can be repeated safely: name, time, step and value together are the key of a
        point on the server."""
        from mlflow.entities import Metric, RunTag

        finite, others = split_finite(metrics)
        new_tags = as_tags({"not_finite": f"step {step}: {', '.join(others)}" if others else None})
        points = [Metric(name, value, at_ms, step) for name, value in finite.items()]
        with translated_errors(self.store):
            self.client.log_batch(self.required_id, metrics=points, tags=[RunTag(*tag) for tag in new_tags.items()])

    def is_newest(self, queued: QueuedEvent) -> bool:
        """Whether no status of a later event has been set: the start or end of a run may be delivered late."""
        return bool(queued.seq >= self.notes.get("status_seq", 0))

    def set_status(self, status: Status, queued: QueuedEvent) -> None:
        """Set RUNNING, or how the run ended and when. A status that is older than the last one changes nothing."""
        if self.is_newest(queued):
            self._write_status(status, queued)
            self.notes.set(status_seq=queued.seq)

    def set_member_status(self, member: str, status: Status, queued: QueuedEvent) -> None:
        """Set the status of one fold, by the name of its folder, in a parent run; the parent's follows from all folds.

        Events of different folds have no common order, so each fold's newest status is saved.
        """
        members, joined = self.notes.get("members", {}), self.notes.get("joined", False)
        if queued.seq >= members.get(member, [0])[0]:
            members = {**members, member: [queued.seq, status]}
            self._write_status(joint_status([each for _, each in members.values()], joined=joined), queued)
            self.notes.set(members=members)

    def join(self, queued: QueuedEvent) -> None:
        """Record that all folds are finished, also those whose last events have not arrived yet."""
        self._write_status("FINISHED", queued)
        members = self.notes.get("members", {})
        self.notes.set(joined=True, members={name: [seq, "FINISHED"] for name, (seq, _) in members.items()})

    def _write_status(self, status: Status, queued: QueuedEvent) -> None:
        with translated_errors(self.store):
            if status == "RUNNING":
                self.client.update_run(self.required_id, status)
            else:
                self.client.set_terminated(self.required_id, status, queued.at_ms)

    def upload(self, path: Path, inside: str | None = None) -> bool:
        """Upload a file unless it is unchanged since its last upload; returns whether it was uploaded or refused.

        If MLflow refuses the file, a warning is logged, and it is not tried again.
        """
        where = f"{inside}/{path.name}" if inside else path.name
        found = path.stat()
        stamp, uploaded = [found.st_size, found.st_mtime_ns], self.notes.get("uploaded", {})
        if uploaded.get(where) == stamp:
            return False
        try:
            with translated_errors(self.store):
                self._refuse_folder_elsewhere()
                self.client.log_artifact(self.required_id, str(path), inside)
        except (Refused, EventRefused) as error:
            log.warning("mlflow: %s is not kept there: %s", path.name, error)
        self.notes.set(uploaded={**uploaded, where: stamp})
        return True

    def register(self, name: str, folder: str, file: str) -> None:
        """Make a version of a model of a folder of this run that holds a file, unless it exists. It can be repeated
        safely. If MLflow refuses it, a warning is logged."""
        from mlflow.exceptions import MlflowException

        try:
            with translated_errors(self.store):
                there = {each.path for each in self.client.list_artifacts(self.required_id, folder)}
                if f"{folder}/{file}" not in there:
                    raise Refused(f"{file} is not there.")
                try:
                    self.client.create_registered_model(name)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                source = f"{self.client.get_run(self.required_id).info.artifact_uri}/{folder}"
                known = self.client.search_model_versions(f"name = '{name}' and run_id = '{self.required_id}'")
                if source not in {version.source for version in known}:
                    self.client.create_model_version(name, source, self.required_id)
        except (Refused, EventRefused) as error:
            log.warning("mlflow: the weights are not registered as %s: %s", name, error)

    def _refuse_folder_elsewhere(self) -> None:
        """Raise `Refused` if the server stores files in a folder of its own machine: MLflow's client would write to a
        folder with the same path on this machine."""
        if self.store.database is not None:
            return
        uri = urlsplit(self.client.get_run(self.required_id).info.artifact_uri)
        if uri.scheme not in ("", "file"):
            return
        folder = Path(unquote(uri.path))
        if not any(parent.exists() for parent in folder.parents[:3] if parent != parent.parent):
            raise Refused(
                f"the server at {self.store.shown} keeps files in {folder.parents[2]}, a folder that is not on this "
                "machine. Start it with --artifacts-destination, so that it takes files itself."
            )
