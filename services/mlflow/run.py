"""One run as MLflow keeps it: found or made, described, added to, ended. Every step may be repeated without harm."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from services.channel import Refused
from services.mlflow.faults import Gone, answering
from services.mlflow.notes import Notes
from services.mlflow.place import Place
from services.mlflow.values import Status, as_tags, drift_in, split_finite

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

KEY_TAG = "carpus.run_id"
"""Marks a run of ours, so that one whose making was not answered is found instead of made twice."""
PARENT_TAG = "mlflow.parentRunId"


class TrackedRun:
    """A run in MLflow, and what is noted of it. All methods raise as `services.mlflow.faults.answering`."""

    def __init__(self, client: MlflowClient, place: Place, notes: Notes) -> None:
        self.client, self.place, self.notes = client, place, notes

    @property
    def id(self) -> str | None:
        """MLflow's name for it; None where it is not known in this place."""
        found = self.notes.get("run_id") if self.notes.get("place") == self.place.shown else None
        return found if isinstance(found, str) else None

    @property
    def known_id(self) -> str:
        if self.id is None:
            raise Gone("this run was never made")
        return self.id

    def find_or_make(self, experiment: str, key: str, name: str, tags: Mapping[str, str], at_ms: int) -> None:
        """Note its id: of the run that is marked with `key`, which is made where there is none."""
        with answering(self.place):
            found = self.client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
            marked = {**tags, KEY_TAG: key}
            run = found[0] if found else self.client.create_run(experiment, at_ms, marked, name)
        self.notes.set(place=self.place.shown, run_id=run.info.run_id, epochs=[], uploaded={}, described=False)

    def describe(self, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Parameters that MLflow keeps already stay as they are, since none can be changed; a tag says which would be
        other ones now. A tag without a value is only set where it has one so far."""
        from mlflow.entities import Param, RunTag

        with answering(self.place):
            known = self.client.get_run(self.known_id).data
            drift = as_tags({"param_drift": drift_in(known.params, params)} if params else {})
            new = [Param(key, value) for key, value in params.items() if key not in known.params]
            told = [RunTag(key, value) for key, value in {**tags, **drift}.items() if value or known.tags.get(key)]
            self.client.log_batch(self.known_id, params=new, tags=told)
        if params:
            self.notes.set(described=True)

    def log(self, metrics: Mapping[str, float], step: int, at_ms: int) -> None:
        """Add points in one request. Told twice, with the same time, they are there once: a point's name, time, step
        and value together are its key on the server."""
        from mlflow.entities import Metric, RunTag

        finite, others = split_finite(metrics)
        told = as_tags({"not_finite": f"step {step}: {', '.join(others)}" if others else None})
        points = [Metric(name, value, at_ms, step) for name, value in finite.items()]
        with answering(self.place):
            self.client.log_batch(self.known_id, metrics=points, tags=[RunTag(*tag) for tag in told.items()])

    def is_news(self, at_s: float) -> bool:
        """Whether nothing later is known of how it stands: the start or end of a run may be told late."""
        return bool(at_s >= self.notes.get("status_at_s", 0.0))

    def set_status(self, status: Status, at_s: float) -> None:
        """RUNNING, or how it ended and when. An older word than the last one changes nothing."""
        if not self.is_news(at_s):
            return
        with answering(self.place):
            if status == "RUNNING":
                self.client.update_run(self.known_id, status)
            else:
                self.client.set_terminated(self.known_id, status, round(at_s * 1000))
        self.notes.set(status_at_s=at_s)

    def upload(self, path: Path, inside: str | None = None) -> bool:
        """Keep a file with the run; whether that was needed, as it is not where the file has not changed since. One
        that MLflow does not take is told of."""
        where = f"{inside}/{path.name}" if inside else path.name
        found = path.stat()
        stamp, uploaded = [found.st_size, found.st_mtime_ns], self.notes.get("uploaded", {})
        if uploaded.get(where) == stamp:
            return False
        try:
            with answering(self.place):
                self._refuse_folder_elsewhere()
                self.client.log_artifact(self.known_id, str(path), inside)
        except Refused as error:
            log.warning("mlflow: %s is not kept there: %s", path.name, error)
        self.notes.set(uploaded={**uploaded, where: stamp})
        return True

    def _refuse_folder_elsewhere(self) -> None:
        """A server may name a folder of its own machine for files; MLflow would fill one of that name on this one."""
        if self.place.database is not None:
            return
        uri = urlsplit(self.client.get_run(self.known_id).info.artifact_uri)
        if uri.scheme not in ("", "file"):
            return
        folder = Path(unquote(uri.path))
        if not any(parent.exists() for parent in folder.parents[:3] if parent != parent.parent):
            raise Refused(
                f"the server at {self.place.shown} keeps files in {folder.parents[2]}, a folder that is not on this "
                "machine. Start it with --artifacts-destination, so that it takes files itself."
            )
