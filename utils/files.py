"""Write files so that they are either complete or absent; read JSON; check outputs before the work begins."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import tempfile
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from utils.errors import UserError


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` for writing; on success flush it to disk and rename it to `path`.

    `mode` is its permissions, such as 0o600 for a file that others must not read; None: what the process's mask allows.
    After a failure the old `path` is unchanged and nothing of the new file remains. Raises `UserError` if the folder
    cannot be written or the disk is full.
    """
    temporary = None  # the name while the file is unfinished
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask() if mode is None else mode)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UserError(
            f"{path}: could not be written ({error.strerror or error}). Free space or choose another folder."
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


@contextmanager
def file_in_memory(content: bytes) -> Iterator[Path]:
    """Give bytes a path, for readers that take one: of a file in memory on Linux, elsewhere of a temporary one."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="carpus-") as folder:
            path = Path(folder) / "image"
            path.write_bytes(content)
            yield path
        return
    with os.fdopen(os.memfd_create("image"), "wb") as file:
        file.write(content)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


def expand(text: str) -> str:
    """Replace `~` at the beginning and `$NAME` in a path, as a shell does. Raises `UserError` for an unknown name."""
    expanded = os.path.expandvars(os.path.expanduser(text))
    unknown = re.search(r"\$\{?(\w+)", expanded)
    if unknown and not Path(expanded).exists():
        raise UserError(f"{text}: {unknown[0].replace('{', '')} is no environment variable. Set it, or write the path.")
    return expanded


def open_no_link(path: str | Path, flags: int) -> int:
    """Open a file as `os.open` does, but not through a link: in a folder from elsewhere that may lead to any file."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, f"{Path(path).name} is a link, which is not followed: delete it", path) from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as `replacing` does: completely, or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


PACKED = (b"\x1f\x8b", b"PK\x03\x04")
"""First bytes of files that gzip and zip have compressed."""


def read_json(path: Path, *, unreadable: str, malformed: str) -> Any:
    """Read a JSON file that people may have written or edited.

    Raises `UserError` if the file cannot be read or is no JSON; `unreadable` and `malformed` are the last sentences of
    these messages and name the way out.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path.absolute()}: cannot be read ({error.strerror}). {unreadable}") from error
    if content.startswith(PACKED):
        raise UserError(f"{path}: is compressed. Unpack it, and name what was in it.")
    try:
        return json.loads(content)  # in UTF-8, UTF-16 or UTF-32, with or without a mark at its beginning
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}). {malformed}") from error


def refuse_unwritable(outputs: Sequence[Path], sources: Sequence[Path] = ()) -> None:
    """Check before the work begins that its outputs can be written, and make missing folders.

    Raises `UserError` if an output is a folder, is also a source, or lies in a folder that cannot be written to.
    """
    read = {source.resolve() for source in sources}
    for path in outputs:
        if path.is_dir():
            raise UserError(f"{path}: is a folder. Name a file in it.")
        if path.resolve() in read:
            raise UserError(f"{path}: is read as well, and would be overwritten. Name another file.")
    for path in {path.parent: path for path in outputs}.values():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"{path.parent}: is a file, not a folder. Name another place.") from error
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written to ({error.strerror}). Name another place.") from error


def refuse_missing_images(path: Path | None) -> None:
    """Raise `UserError` if what `--images` names does not exist: a program says so before it loads large libraries."""
    if path is not None and not path.exists():
        raise UserError(
            f"--images {path.absolute()}: no such file or folder. Name a folder that holds images, or one image."
        )


def paths_in(folder: Path, pattern: str) -> list[Path]:
    """List what lies directly in a folder under names like `pattern`, sorted; nothing if there is no such folder.

    Hidden files do not count, as in a shell: `*.png` is not `._a.png`, which a Mac leaves behind. Raises `UserError`
    for a folder that cannot be read. (`Path.glob` then finds nothing, as if the files were gone.)
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be read ({error.strerror}). Give yourself access.") from error
    return [folder / name for name in sorted(fnmatch.filter(names, pattern)) if not name.startswith(".")]


def clear_unfinished(folder: Path) -> None:
    """Delete temporary files that killed processes left behind. Only for a folder that no process writes to."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def clear_unfinished_of(folder: Path, names: Container[str]) -> None:
    """Delete what killed writers of these files left behind. Only for files that no other process writes meanwhile."""
    for path in folder.glob(".*.part"):
        if path.name[1:].rsplit(".", 2)[0] in names:
            path.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
