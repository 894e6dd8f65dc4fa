"""A file of finished records, so that work on many items can continue after its process was killed.

The first line is the origin of all records. Then each item has a line with its stamp, length and checksum, followed by
the record's bytes. On opening, every record is checked; the first invalid one and all after it are cut off.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from utils.errors import UserError
from utils.files import open_no_link
from utils.lock import try_lock

log = logging.getLogger(__name__)


class Journal:
    """The records of the first `done` items, in order. A `with` block locks the file against other processes.

    `origin` is one line that identifies everything all records depend on; `stamps` holds one line per item for what
    that item alone depends on. Records of another origin, and all from the first changed stamp on, are discarded.
    Raises `UserError` if another process writes this file or the disk refuses; records written before are kept.
    """

    def __init__(self, path: Path, origin: str, stamps: Sequence[str]) -> None:
        self.path, self.origin, self.stamps = path, origin, tuple(stamps)
        self.done = 0
        self.ends = [0]
        """Byte offsets: the end of the first line, then the end of each record."""

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_no_link(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._refused(error) from error
        self.file: IO[bytes] = os.fdopen(descriptor, "r+b")
        if not try_lock(descriptor):
            self.file.close()
            raise UserError(f"{self.path}: another process is writing this file. Wait for it, or name another output.")
        self._read_valid_records()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.file.close()
        except OSError as refused:
            if error is None:
                raise self._refused(refused) from refused

    def cut(self, done: int) -> None:
        """Keep the first `done` records and delete the others."""
        self.done = done
        del self.ends[done + 1 :]
        self.file.seek(self.ends[done])
        self.file.truncate()

    def cut_to_groups(self, size: int) -> None:
        """Keep the records of whole groups of `size` items, so that groups stay the same; all if no item is left."""
        self.cut(self.done if self.done == len(self.stamps) else self.done - self.done % size)

    def append(self, record: bytes) -> None:
        """Add the next item's record. Once this returns, the record survives a kill of the process."""
        stamp = self.stamps[self.done]
        try:
            self.file.write(f"{stamp} {len(record)} {zlib.crc32(record)}\n".encode() + record)
            self.file.flush()
        except OSError as error:
            raise self._refused(error) from error
        self.done += 1
        self.ends.append(self.file.tell())

    def records(self) -> Iterator[bytes]:
        """Yield all records, in order."""
        for start in self.ends[:-1]:
            self.file.seek(start)
            _, length, _ = self.file.readline().decode().rsplit(" ", 2)
            yield self.file.read(int(length))

    def remove(self) -> None:
        """Delete the file once it is no longer needed."""
        self.path.unlink(missing_ok=True)

    def _read_valid_records(self) -> None:
        """Count the valid records at the beginning of the file, and cut off the rest."""
        head = f"{self.origin}\n".encode()
        found = self.file.read(len(head))
        # Another origin: begin the file anew.
        if found != head:
            if found:
                log.warning("%s: is of a call with other networks or settings, so it is begun anew", self.path)
            self.file.seek(0)
            self.file.truncate()
            self.file.write(head)
        # The same origin: read records until one is invalid or the file ends.
        self.ends = [len(head)]
        self.file.seek(len(head))
        while self.done < len(self.stamps) and self._next_is_valid(self.stamps[self.done]):
            self.done += 1
            self.ends.append(self.file.tell())
        self.cut(self.done)

    def _next_is_valid(self, stamp: str) -> bool:
        """Read the next record; return whether it is complete and has this stamp."""
        found, _, rest = self.file.readline().decode(errors="replace").rstrip("\n").partition(f"{stamp} ")
        numbers = rest.split(" ")
        if found or len(numbers) != 2 or not all(number.isdecimal() and len(number) < 16 for number in numbers):
            return False
        length, checksum = map(int, numbers)
        if length > os.fstat(self.file.fileno()).st_size:
            return False
        record = self.file.read(length)
        return len(record) == length and zlib.crc32(record) == checksum

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"{self.path}: could not be written ({error.strerror or error}). What is done is kept: free space or fix "
            "the folder, and give the same command again."
        )
