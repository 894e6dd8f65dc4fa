"""Secrets: from the environment, or from a file `.env` that other users cannot read. Never from a configuration.

A line of the file that Carpus itself does not read is passed on to the libraries, if its name is one of theirs
(`MLFLOW_…`, `AWS_…`, `HTTPS_PROXY`; see `PASSED_ON`); any other line is named as unused.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import stat
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from utils.errors import UserError
from utils.redact import SECRET_NAMES, add_secrets, is_secret_name

log = logging.getLogger(__name__)

ENV_FILE = Path(".env")
EXPIRES_AT, VERSION = "KAKAO_ACCESS_TOKEN_EXPIRES_AT", "KAKAO_ACCESS_TOKEN_VERSION"
OTHER_NAMES = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "KAKAO_SHEET_ID"),
    *(EXPIRES_AT, VERSION),
)
"""Variables that Carpus reads and that are not secret."""
PASSED_ON = re.compile(
    r"(?:MLFLOW|AWS|AZURE|GOOGLE|GCLOUD)_\w+|(?:HTTPS?|ALL|NO)_PROXY|(?:https?|all|no)_proxy"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_(?:FILE|DIR)"
)
"""Variables of libraries, which read them from the environment."""
FREE_TEXT = ("MLFLOW_TRACKING_PASSWORD",)
"""Secrets that people choose, and which may hold any character."""
LISTS = ("APPRISE_URLS",)
"""Secrets with spaces between them."""
SHORTEST_PART = 12
"""Characters of a part of an address that is a secret by itself."""
_STRANGE = re.compile(r"[^\x21-\x7e]|[\"'<>]|\.\.\.")


class MalformedSecret(UserError):
    """A variable cannot be the secret that it should be."""


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

        Raises `MalformedSecret`, and `UserError` if other users can read the file, or this process cannot.
        """
        return _checked(name, self.environment.get(name) or self._in_file().get(name) or None)

    def newest(self, name: str) -> str | None:
        """As `get`, but from the file first: for tokens that are renewed in the file and may be outdated in a shell."""
        return _checked(name, self._in_file().get(name) or self.environment.get(name) or None)

    def export(self) -> None:
        """Set the variables of libraries that are in the file, unless the environment has them; log unused lines."""
        for name, value in self._in_file().items():
            if name not in (*SECRET_NAMES, *OTHER_NAMES) and PASSED_ON.fullmatch(name):
                os.environ.setdefault(name, value)
        for words in self.unused():
            log.info("%s: %s", self.env_file, words)

    def unused(self) -> list[str]:
        """A sentence for each line of the file that nobody reads."""
        known = (*SECRET_NAMES, *OTHER_NAMES)
        names = [name for name in self._in_file() if name not in known and not PASSED_ON.fullmatch(name)]
        near = {name: get_close_matches(name, known, 1) for name in names}
        return [f"{name} is not used." + "".join(f" Did you mean {other}?" for other in near[name]) for name in names]

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
            add_secrets(value for name, value in self._values.items() if is_secret_name(name))
        return self._values


def fingerprint(secret: str) -> str:
    """Eight hexadecimal digits of a secret's hash, by which people and files can tell two of them apart."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def refuse_shared(path: Path, mode: int) -> None:
    """Raise `UserError` for a file of secrets that other users may read or write."""
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{path}: other users of this machine can read the secrets in it, so it is not used. Say: chmod 600 {path}"
        )


def read_env(path: Path) -> dict[str, str]:
    """The variables of a `.env` file without the empty ones. Raises `UserError` if the file is not text."""
    from dotenv.parser import parse_stream

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "it is not UTF-8") from None
    if "\0" in text:
        raise _unreadable(path, "it holds a zero byte")
    found: dict[str, str | None] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            log.warning("%s: line %d is not NAME=value, so it is not used", path, binding.original.line)
        elif binding.key is not None:
            found[binding.key] = binding.value
    return {name: value for name, value in found.items() if value}


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"{path}: cannot be read ({why}). Write one NAME=value a line, as in .env.example.")


def _checked(name: str, value: str | None) -> str | None:
    """Return a value. Raises `MalformedSecret` if it has a character that a token cannot have, as after a bad copy."""
    if value is None or name not in SECRET_NAMES or name in FREE_TEXT:
        return value
    if name in LISTS:
        # Programs show such an address also in other forms, with its parts; those with a dot are names of hosts.
        parts = re.split(r"[\s/:@?&=,]+", value)
        add_secrets([*value.split(), *(part for part in parts if len(part) >= SHORTEST_PART and "." not in part)])
    if strange := _STRANGE.search(re.sub(r"\s", "_", value) if name in LISTS else value):
        shown = "…" if strange[0] == "..." else f"U+{ord(strange[0]):04X}"
        raise MalformedSecret(
            f"{name}: its character {strange.start() + 1} ({shown}) cannot be part of it, so it was not copied "
            "completely or with something around it. Copy it again."
        )
    return value
