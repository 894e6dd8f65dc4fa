"""Where MLflow keeps a run: on the server that `MLFLOW_TRACKING_URI` names, or in one SQLite file beside the runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

VARIABLE = "MLFLOW_TRACKING_URI"
LOCAL_FILE = "mlflow.db"
SCHEMES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"})
"""What MLflow may be told to keep runs in; databases with or without a driver, as in `mysql+pymysql`."""


@dataclass(frozen=True)
class Place:
    """Where runs are kept."""

    uri: str = field(repr=False)
    """As MLflow wants it. It may hold a password: it is shown nowhere."""
    shown: str
    """The same for people, and for the notes of a run: no user, no password, no query."""
    host: str | None = None
    """The name or address of the server, where it is one."""
    database: Path | None = None
    """The SQLite file, where it is one: absolute."""
    password: str | None = field(default=None, repr=False)

    @property
    def artifacts(self) -> Path | None:
        """Where files of runs in a SQLite file go; None where the server decides."""
        return self.database and self.database.with_name(f"{self.database.stem}-artifacts")


def place_of(uri: str | None, runs: Path) -> Place:
    """The place that a tracking URI names in which `fault_in` finds nothing wrong; without one the file in `runs`, the
    folder that holds the folders of runs."""
    if uri is None:
        return _in_file((runs / LOCAL_FILE).absolute())
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return _in_file(Path(parts.path.removeprefix("/")).absolute())
    password = parts.password and unquote(parts.password)
    return Place(uri, _shown(parts), host=parts.hostname, password=password)


def fault_in(uri: str) -> str | None:
    """What is wrong with a tracking URI, with the way out; None where it can be tried."""
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


def _in_file(path: Path) -> Place:
    uri = f"sqlite:///{path}"
    return Place(uri, uri, database=path)


def _shown(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
