"""MLflow's client, made ready: imported late and in silence, with short patience, its SQLite file whole.

The first runs of a team may start at once. MLflow makes the tables of a new file in seconds, in dozens of steps, and
two that do so at once break it; one that is killed leaves it broken. So the tables are made under a lock, in a file of
another name that takes its place when it is whole.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.channel import NotDelivered, Refused
from services.mlflow.faults import answering
from services.mlflow.place import Place
from services.secrets import Secrets
from utils.errors import UserError
from utils.lock import Busy, locked_within
from utils.redact import add_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # who calls tries again, and knows what has arrived
    "GIT_PYTHON_REFRESH": "quiet",
}
"""What MLflow reads before and after it is imported."""
PATIENCE = "MLFLOW_HTTP_REQUEST_TIMEOUT"
PATIENCE_S = "10"
LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
LOCK_S = 12.0
"""How long another run's making of the tables is waited for; then later once more."""


def connect(place: Place, secrets: Secrets) -> MlflowClient:
    """A client of this place. Takes seconds in a process's first call. Raises `NotDelivered` and `Refused`."""
    prepare(place, secrets)
    with answering(place), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own libraries, of each other
        from mlflow import MlflowClient

        silence()
        if place.database is None or place.artifacts is None:
            return MlflowClient(tracking_uri=place.uri, registry_uri=place.uri)
        with alone_with(place.database):
            if not place.database.exists():
                make_database(place.database, place.artifacts)
            return MlflowClient(tracking_uri=place.uri, registry_uri=place.uri)


def experiment_of(client: MlflowClient, place: Place, name: str) -> str:
    """The id of the experiment of this name, which is made where there is none. Raises as `connect`."""
    for _ in range(2):
        with answering(place):
            found = client.get_experiment_by_name(name)
        if found is None:
            made = _make_experiment(client, place, name)
            if made is not None:
                return made
        elif found.lifecycle_stage != "active":
            raise Refused(
                f"MLflow's experiment '{name}' was deleted. Restore it (mlflow experiments restore --experiment-id "
                f"{found.experiment_id}), or choose another services.mlflow.experiment."
            )
        else:
            return str(found.experiment_id)
    raise NotDelivered(f"MLflow at {place.shown}: the experiment '{name}' can be neither made nor found")


def _make_experiment(client: MlflowClient, place: Place, name: str) -> str | None:
    """Its id, or None where another run has just made it."""
    from mlflow.exceptions import MlflowException

    artifacts = None if place.artifacts is None else place.artifacts.as_uri()
    with answering(place):
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return None


def prepare(place: Place, secrets: Secrets) -> None:
    """Set what MLflow reads in this process's environment. A timeout and a login that are set there stay."""
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault(PATIENCE, PATIENCE_S)
    login = {name: value for name in LOGIN if (value := secrets.get(name)) is not None}
    for name, value in login.items():
        os.environ.setdefault(name, value)
    add_secrets([value for name, value in login.items() if name != LOGIN[0]])
    add_secrets([place.password] if place.password else [])


def silence() -> None:
    """MLflow logs what it raises too, with a traceback; what it raises is told in one line."""
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def alone_with(database: Path) -> Iterator[None]:
    """Keep others from making this file, and from bringing an older one's tables up to date: a client does, as soon as
    there is one. Raises `NotDelivered` where another run takes long, and `Refused` for a folder that cannot be written.
    """
    busy = f"{database}: another run is preparing it"
    try:
        with locked_within(database.with_name(f".{database.name}.lock"), LOCK_S, busy):
            yield
    except Busy as error:
        raise NotDelivered(busy, retry_after_s=2.0) from error
    except UserError as error:
        raise Refused(str(error)) from error


def make_database(database: Path, artifacts: Path) -> None:
    """Make the SQLite file with MLflow's tables; it is there when it is whole."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    growing = database.with_name(f".{database.name}.part")
    for left in database.parent.glob(f"{growing.name}*"):
        left.unlink()
    store: Any = SqlAlchemyStore
    store(f"sqlite:///{growing}", artifacts.as_uri()).engine.dispose()
    os.replace(growing, database)
