"""Work on many items that survives a kill: a file of finished records, each checked before it is trusted.

The first line names the origin of all records; then, for each item, a line with its stamp, length and checksum, and the
record's bytes. What follows the first record that does not hold is cut off.
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
from utils.lock import take

log = logging.getLogger(__name__)


class Journal:
    """The records of the first `done` items, in order; use it in a `with`, which holds it against other processes.

    `origin` names, in one line, everything that all records depend on, and `stamps` what each depends on besides:
    records of another origin, and those from the first changed stamp on, are not taken over. Raises `UserError` where
    another process writes here or the disk refuses; what was written before stays.
    """

    def __init__(self, path: Path, origin: str, stamps: Sequence[str]) -> None:
        self.path, self.origin, self.stamps = path, origin, tuple(stamps)
        self.done = 0
        self.ends = [0]
        """Where each record ends in the file; first, where the first line does."""

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._refused(error) from error
        self.file: IO[bytes] = os.fdopen(descriptor, "r+b")
        if not take(descriptor):
            self.file.close()
            raise UserError(f"{self.path}: another process is writing this file. Wait for it, or name another output.")
        self._take_over()
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
        """Forget the records from number `done` on."""
        self.done = done
        del self.ends[done + 1 :]
        self.file.seek(self.ends[done])
        self.file.truncate()

    def append(self, record: bytes) -> None:
        """Add the next item's record; when this returns, a kill can no longer take it."""
        stamp = self.stamps[self.done]
        try:
            self.file.write(f"{stamp} {len(record)} {zlib.crc32(record)}\n".encode() + record)
            self.file.flush()
        except OSError as error:
            raise self._refused(error) from error
        self.done += 1
        self.ends.append(self.file.tell())

    def records(self) -> Iterator[bytes]:
        """All records, in order."""
        for start in self.ends[:-1]:
            self.file.seek(start)
            _, length, _ = self.file.readline().decode().rsplit(" ", 2)
            yield self.file.read(int(length))

    def remove(self) -> None:
        """Delete the file: it has served."""
        self.path.unlink(missing_ok=True)

    def _take_over(self) -> None:
        """Find the records that hold, and cut off the rest."""
        head = f"{self.origin}\n".encode()
        found = self.file.read(len(head))
        if found != head:
            if found:
                log.warning("%s: is of a call with other networks or settings, so it is begun anew", self.path)
            self.file.seek(0)
            self.file.truncate()
            self.file.write(head)
        self.ends = [len(head)]
        self.file.seek(len(head))
        while self.done < len(self.stamps) and self._holds(self.stamps[self.done]):
            self.done += 1
            self.ends.append(self.file.tell())
        self.cut(self.done)

    def _holds(self, stamp: str) -> bool:
        """Whether the next record is whole and has this stamp; reads it."""
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
            f"{self.path}: could not be written ({error.strerror or error}). What is done is kept: free space or mend "
            "the folder, and give the same command again."
        )
