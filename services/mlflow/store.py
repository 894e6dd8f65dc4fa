"""Where MLflow keeps a run: on the server that `MLFLOW_TRACKING_URI` names, or in one SQLite file beside the runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

VARIABLE = "MLFLOW_TRACKING_URI"
LOCAL_FILE = "mlflow.db"
SCHEMES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"})
"""Schemes of addresses that MLflow accepts; a database may have a driver, as in `mysql+pymysql`."""


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
