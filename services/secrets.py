"""Secrets: from the environment, or from a file `.env` that other users cannot read. Never from a configuration."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from utils.errors import UserError
from utils.redact import SECRET_NAMES, add_secrets

ENV_FILE = Path(".env")


class Secrets:
    """Secrets by the name of their environment variable. `str` and `repr` show none of them.

    The file is read again when it has changed, because tokens in it are renewed during a run.
    """

    def __init__(self, env_file: Path = ENV_FILE, environment: Mapping[str, str] = os.environ) -> None:
        self.env_file, self.environment = env_file.absolute(), environment
        self._stamp: tuple[int, int] | None = None
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        """The value, from the environment first; None if it is not set or empty.

        Raises `UserError` if other users can read the file, or this process cannot.
        """
        return self.environment.get(name) or self._in_file().get(name) or None

    def newest(self, name: str) -> str | None:
        """As `get`, but from the file first: for tokens that are renewed in the file and may be outdated in a shell."""
        return self._in_file().get(name) or self.environment.get(name) or None

    def _in_file(self) -> Mapping[str, str]:
        try:
            found = self.env_file.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self.env_file}: cannot be read ({error.strerror}). Mend or remove it.") from error
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            refuse_shared(self.env_file, found.st_mode)
            self._values, self._stamp = read_env(self.env_file), stamp
            add_secrets(self._values[name] for name in SECRET_NAMES if name in self._values)
        return self._values


def refuse_shared(path: Path, mode: int) -> None:
    """Raise `UserError` for a file of secrets that other users may read or write."""
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{path}: other users of this machine can read the secrets in it, so it is not used. Say: chmod 600 {path}"
        )


def read_env(path: Path) -> dict[str, str]:
    """The variables of a `.env` file without the empty ones. Raises `UserError` if the file is not text."""
    from dotenv import dotenv_values

    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}). Write one NAME=value a line, as in .env.example."
        ) from error
    return {name: value for name, value in found.items() if value}
