"""Change variables of a `.env` file and nothing else in it: comments, order and every other byte stay.

Several programs renew tokens in the file, so each holds the file's lock while it reads and writes.
"""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError
from utils.files import replacing
from utils.lock import locked_within

WAIT_S = 30.0
"""Longer than any program holds the lock: a request to Kakao takes 13 s at most."""
PRIVATE = 0o600

_PLAIN = re.compile(r"[A-Za-z0-9_.~+/=:@-]*")
_VALUE = re.compile(
    r"""[^\S\r\n]*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\r\n]*?(?=[^\S\r\n]+#|[^\S\r\n]*(?:[\r\n]|\Z)))""", re.DOTALL
)
_ONLY_A_COMMENT = re.compile(r"[^\S\r\n]+#")


def change_env(path: Path, values: Mapping[str, str]) -> bool:
    """Set variables of a file, which is created if it is missing; returns whether the file changed.

    Raises `UserError` if the file cannot be read or written, and `utils.lock.Busy` if another process holds its lock.
    """
    with env_lock(path):
        return write_env(path, values)


@contextmanager
def env_lock(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock that a writer of the file needs. Readers need none: a write replaces the whole file at once."""
    path = path.resolve()
    lock = path.with_name(f"{path.name}.lock")
    with locked_within(lock, wait_s, f"{path}: another program is changing it"):
        yield


def write_env(path: Path, values: Mapping[str, str]) -> bool:
    """As `change_env`, for a caller that holds the lock."""
    path = path.resolve()  # a link stays a link, and its target is changed
    clear_killed_writes(path)
    before = _read(path)
    after = changed_text(before, values)
    if after == before:
        return False
    with replacing(path, PRIVATE) as file:
        _keep_owner(path, file.fileno())
        file.write(after.encode("utf-8", "surrogateescape"))
    return True


def changed_text(text: str, values: Mapping[str, str]) -> str:
    """The text of a `.env` file with these variables set: in their old lines, or in new ones at its end."""
    from dotenv.parser import parse_stream

    mark = "\ufeff" if text.startswith("\ufeff") else ""
    left, pieces = dict(values), []
    for binding in parse_stream(io.StringIO(text, newline="")):
        piece = binding.original.string
        if binding.key is not None and binding.key in values and binding.value is not None:
            piece = _with_value(piece, values[binding.key])
            left.pop(binding.key, None)
        pieces.append(piece)
    return mark + _with_lines("".join(pieces), left)


def clear_killed_writes(path: Path) -> None:
    """Delete partial files, which hold secrets, of writers that were killed. Only for a caller that holds the lock."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)


def _with_value(line: str, value: str) -> str:
    """`export NAME = old  # why` → `export NAME =new  # why`."""
    name, sign, rest = line.partition("=")
    if _ONLY_A_COMMENT.match(rest):
        return f"{name}{sign}{_quoted(value)}{rest}"
    old = _VALUE.match(rest)
    return f"{name}{sign}{_quoted(value)}{rest[old.end() if old else 0 :]}"


def _with_lines(text: str, values: Mapping[str, str]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    if values and text and not text.endswith(("\n", "\r")):
        text += end
    return text + "".join(f"{name}={_quoted(value)}{end}" for name, value in values.items())


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Mend or remove it.") from error


def _keep_owner(path: Path, descriptor: int) -> None:
    """Give a file that root writes to the owner of the file that it replaces."""
    if os.geteuid() == 0 and path.exists():
        owner = path.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
