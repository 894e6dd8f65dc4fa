"""Make MLflow's client: imported at the first use, without its log messages, with a short time limit.

The first runs of a team may start at the same time. MLflow makes the tables of a new SQLite file in dozens of steps,
which take seconds; two processes that do so at once, or one that is killed, leave a broken file. So the tables are made
under a lock, in a file of another name that is renamed when it is complete.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.channel import NotDelivered, Refused
from services.delivery.delivery_log import locked_soon
from services.http import describe_answer, is_page, may_pass, retry_after_s
from services.mlflow.store import TrackingStore, translated_errors
from services.secrets import Secrets
from utils.errors import UserError
from utils.redact import add_secrets, host_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",  # what is meant for one server goes to no other
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Variables that MLflow reads during and after its import."""
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
TIMEOUT_S = "10"
LONGEST_S = 60.0
"""Limit of one request as a whole; a report with its pictures has some MiB."""
LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def connect(store: TrackingStore, secrets: Secrets) -> MlflowClient:
    """Make a client of this store; a process's first call takes seconds. Raises `NotDelivered` and `Refused`."""
    secrets.export()
    set_environment(store, secrets)
    with translated_errors(store), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's libraries warn about each other
        from mlflow import MlflowClient

        silence_loggers()
        limit_requests()
        if store.database is None or store.artifacts is None:
            return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        with locked_database(store.database):
            if not store.database.exists():
                make_database(store.database, store.artifacts)
            uri = database_uri(store.database)
            return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_of(client: MlflowClient, store: TrackingStore, name: str) -> str:
    """The id of the experiment with this name, which is made if there is none. Raises as `connect`."""
    from mlflow.exceptions import MlflowException

    with translated_errors(store):
        found = client.get_experiment_by_name(name)
        if found is None:
            artifacts = None if store.artifacts is None else store.artifacts.as_uri()
            try:
                return str(client.create_experiment(name, artifact_location=artifacts))
            except MlflowException as error:  # another run may have just made it
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
    if found is None or not found.experiment_id:
        raise NotDelivered(f"MLflow at {store.shown}: its answer makes no sense")
    if found.lifecycle_stage != "active":
        raise Refused(
            f"MLflow's experiment '{name}' was deleted. Restore it (mlflow experiments restore --experiment-id "
            f"{found.experiment_id}), or choose another services.mlflow.experiment."
        )
    return str(found.experiment_id)


def set_environment(store: TrackingStore, secrets: Secrets) -> None:
    """Set the variables that MLflow reads in this process's environment; a timeout and login that are set stay."""
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault(TIMEOUT, TIMEOUT_S)
    login = {name: value for name in LOGIN if (value := secrets.get(name)) is not None}
    for name, value in login.items():
        os.environ.setdefault(name, value)
    add_secrets([value for name, value in login.items() if name != LOGIN[0]])
    add_secrets([store.password] if store.password else [])


def limit_requests() -> None:
    """Make MLflow send its requests through the adapter of all channels, which limits the time of each as a whole."""
    from mlflow.utils import request_utils
    from requests import Response

    from services.http_adapter import Adapter

    class MlflowAdapter(Adapter):
        """Raises `NotDelivered` for an answer that may pass, since MLflow drops the headers with its `Retry-After`."""

        def limits(self, timeout: Any) -> tuple[float, float]:
            return max(LONGEST_S, timeout), timeout

        def send(self, request: Any, *args: Any, **kwargs: Any) -> Response:
            answer = super().send(request, *args, **kwargs)
            status, headers = answer.status_code, answer.headers
            if may_pass(status) or (status == 403 and is_page(answer.text)):
                said = describe_answer(status, headers)
                raise NotDelivered(f"{host_of(request.url)} {said}", retry_after_s(headers))
            return answer

    request_utils.TCPKeepAliveHTTPAdapter = MlflowAdapter  # type: ignore[assignment,misc]


def database_uri(database: Path) -> str:
    """The address of a SQLite file for MLflow.

    MLflow and SQLAlchemy decode `%` and cut off at `?`, and neither can be written so that both find the file. A folder
    with such a name is addressed by its open descriptor.
    """
    descriptors = Path("/proc/self/fd")
    if not set(str(database.parent)) & set("?%") or not descriptors.is_dir():
        return f"sqlite:///{database}"
    return f"sqlite:///{descriptors / str(_opened(database.parent))}/{database.name}"


@cache
def _opened(folder: Path) -> int:
    """A descriptor of a folder, which stays open as long as the process lives."""
    return os.open(folder, os.O_RDONLY)


def silence_loggers() -> None:
    """Switch off MLflow's log, which repeats each exception with a traceback; the channel logs one line instead."""
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def locked_database(database: Path) -> Iterator[None]:
    """Hold the lock of this file, so that no other run makes it or updates its tables, as each new client does.

    Raises `NotDelivered` if another run holds the lock for long, and `Refused` if the folder cannot be written.
    """
    try:
        with locked_soon(database, f"{database}: another run is preparing it"):
            yield
    except UserError as error:
        raise Refused(str(error)) from error


def make_database(database: Path, artifacts: Path) -> None:
    """Make the SQLite file with MLflow's tables; it gets its name when it is complete."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    growing = database.with_name(f".{database.name}.part")
    for left in database.parent.glob(f"{growing.name}*"):
        left.unlink()
    tables: Any = SqlAlchemyStore
    tables(database_uri(growing), artifacts.as_uri()).engine.dispose()
    os.replace(growing, database)
