"""Where MLflow keeps a run: on the server that `MLFLOW_TRACKING_URI` names, or in one SQLite file beside the runs; and
what the errors of MLflow mean there, in sentences that say what to do and hold no password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from services.channel import EventRefused, NotDelivered, Refused
from services.http import describe_answer
from utils.redact import redact

VARIABLE = "MLFLOW_TRACKING_URI"
LOCAL_FILE = "mlflow.db"
SCHEMES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"})
"""Schemes of addresses that MLflow accepts; a database may have a driver, as in `mysql+pymysql`."""
LONGEST_ANSWER = 300

REFUSALS = {
    "Invalid Host header": (
        '{variable}: the server does not answer to the name "{host}". Start it with --allowed-hosts '
        '"{host},{host}:*,127.0.0.1:*,10.*", or write its IP address.'
    ),
    "out-of-date database schema": (
        "{shown} was made by an older MLflow. Copy it, then say: mlflow db upgrade {shown}."
    ),
    "Can't locate revision": "{shown} was made by a newer MLflow. Install that one (make setup).",
    "_alembic_tmp_": "{shown} was left half made by an MLflow that was stopped. Move it away, or bring back a copy.",
    "file is not a database": "{shown} is no SQLite file. Move it away.",
    "must be in the 'active' state": (
        "Somebody deleted this run or its experiment in MLflow. Restore it there (mlflow runs restore, mlflow "
        "experiments restore), or choose another services.mlflow.experiment."
    ),
}
"""Sentences by a part of the answer's text."""

REFUSED_CODES = {
    "UNAUTHENTICATED": "{shown} wants a login. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
    "CUSTOMER_UNAUTHORIZED": "{shown} wants a login. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
    "PERMISSION_DENIED": "{shown} does not allow it ({answer}). Ask whoever runs it for the right to write.",
    "ENDPOINT_NOT_FOUND": "{variable}: what answers at {shown} is no MLflow server. Correct the address.",
}
"""Sentences by MLflow's error code."""

TROUBLES = {
    "Name or service not known": "its name is not known here",
    "Connection refused": "nobody listens there",
    "database is locked": "the file is locked by another process",
    "No space left": "no space is left on the disk",
    "timeout": "no answer in time",
    "not in a valid JSON format": "its answer makes no sense",
}
"""Reasons of a failed call by a part of the library's text, which contains the whole address."""

LENGTH_LIMIT = re.compile(r"(?:limit of|maximum length of|character varying\()\s*(\d+)")
"""The limit in the answer of a server, or of its database, to a value that is too long."""


@dataclass(frozen=True)
class TrackingStore:
    """A server or database in which MLflow stores runs."""

    uri: str = field(repr=False)
    """The address for MLflow. It may contain a password, so it is never shown."""
    shown: str
    """The address for people and for saved values: without user, password and query."""
    host: str | None = None
    """The name or address of the server; None for a file."""
    database: Path | None = None
    """The absolute path of the SQLite file; None for a server."""
    password: str | None = field(default=None, repr=False)

    @property
    def artifacts(self) -> Path | None:
        """The folder for files of runs in a SQLite file; None if the server decides."""
        return self.database and self.database.with_name(f"{self.database.stem}-artifacts")


def store_of(uri: str | None, runs: Path) -> TrackingStore:
    """The store of a tracking URI in which `fault_in` finds no fault; without a URI the file `mlflow.db` in `runs`,
    the folder that contains the folders of runs."""
    if uri is None:
        return _in_file((runs / LOCAL_FILE).absolute())
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        path = uri.partition(":///")[2].partition("?")[0]
        return _in_file(Path(unquote(path)).absolute())
    password = parts.password and unquote(parts.password)
    return TrackingStore(uri, _shown(parts), host=parts.hostname, password=password)


def fault_in(uri: str) -> str | None:
    """What is wrong with a tracking URI, and what to do about it; None if it can be tried."""
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme in ("", "file"):
        return (
            f"{VARIABLE} names a folder, and MLflow keeps runs in folders no longer. Move them with: mlflow "
            f"migrate-filestore --source {urlsplit(uri).path or uri} --target sqlite:///mlflow.db, then set {VARIABLE} "
            "to that target, or to nothing"
        )
    if scheme not in SCHEMES:
        return f"{VARIABLE} is none that MLflow knows: write http://HOST:PORT or sqlite:////FOLDER/mlflow.db"
    return None


def _in_file(path: Path) -> TrackingStore:
    uri = f"sqlite:///{path}"
    return TrackingStore(uri, uri, database=path)


def _shown(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


class TooLong(Refused):
    """A value is too long for the server. The message is a sentence for a person."""

    def __init__(self, sentence: str, limit: int) -> None:
        super().__init__(sentence)
        self.limit = limit


class RunGone(Exception):
    """The run or its experiment does not exist in MLflow."""


@contextmanager
def translated_errors(store: TrackingStore) -> Iterator[None]:
    """Translate every exception of MLflow in this block into `NotDelivered`, `Refused`, `TooLong` or `RunGone`."""
    try:
        yield
    except (NotDelivered, Refused, RunGone):
        raise
    except ImportError as error:
        raise Refused(f"{error.name or 'mlflow'} is not installed. Say: make setup.") from error
    except Exception as error:  # each store has its own exceptions, with the address and its password in their text
        raise translated_error(error, store) from None


def translated_error(error: Exception, store: TrackingStore) -> Exception:
    """The exception for an error of MLflow, of HTTP or of a database."""
    failure = of_adapter(error)
    if isinstance(failure, NotDelivered):
        return NotDelivered(f"MLflow at {failure}", failure.retry_after_s)
    if failure is not None:
        return failure
    said, code = str(error), str(getattr(error, "error_code", ""))
    if limit := LENGTH_LIMIT.search(said):
        return TooLong(f"{store.shown} does not accept a value of this length ({_answer(error)}).", int(limit[1]))
    words = next((words for part, words in REFUSALS.items() if part in said), REFUSED_CODES.get(code))
    if words is not None:
        answer = _answer(error)
        return Refused(words.format(variable=VARIABLE, host=store.host, shown=store.shown, answer=answer))
    if code == "RESOURCE_DOES_NOT_EXIST":
        return RunGone(_answer(error))
    status = status_of(error, said)
    if code == "INVALID_PARAMETER_VALUE" or (hasattr(error, "response") and 400 <= status < 500):
        return EventRefused(f"MLflow at {store.shown} refuses it: {_answer(error) if code else status}")
    if status:
        return NotDelivered(f"MLflow at {store.shown} {describe_answer(status)}")
    unknown = f"an error that is not known here ({type(error).__name__})"
    words = next((words for part, words in TROUBLES.items() if part in said), unknown)
    return NotDelivered(f"MLflow at {store.shown}: {words}")


def of_adapter(error: BaseException | None) -> NotDelivered | Refused | None:
    """The failure of the adapter that is the cause of an error of MLflow; None if the adapter has not failed."""
    while error is not None and not isinstance(error, (NotDelivered, Refused)):
        error = error.__cause__ or error.__context__
    return error


def status_of(error: Exception, said: str) -> int:
    """The HTTP status of a refused request; 0 if there was no answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    found = re.search(r"error code (\d{3}) !=", said)
    return int(status or (found and found[1]) or 0)


def _answer(error: Exception) -> str:
    said = " ".join(redact(getattr(error, "message", "") or type(error).__name__).split())
    said = said.removeprefix(f"{getattr(error, 'error_code', '')}: ")
    return said.rstrip(".") if len(said) <= LONGEST_ANSWER else said[:LONGEST_ANSWER] + "…"
