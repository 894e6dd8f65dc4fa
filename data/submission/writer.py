"""Write the contest's CSV image by image. The file appears when it is complete; an interrupted one can be continued.

Rows are in the order of images sorted by (group, name), then of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType

from data.masks.rle import Runs, encode, end_of, to_text
from data.sample import Sample
from data.submission.rows import HEADER
from utils.arrays import Packed, Size
from utils.files import replacing
from utils.journal import Journal


class SubmissionWriter:
    """Writes a submission image by image; use it in a `with`. The file appears under its name once all is written.

    Until then the rows are in `<name>.part`. After an interruption, `done` images are read from there: those that were
    written with the same `origin` (one line that identifies the network and everything else the rows depend on) and
    have not changed since. Without an `origin` no rows are reused or left behind.

    Raises `ValueError` for mistakes of the program: an image out of order, a wrong number of classes, masks of another
    size than the image, an end before the last image. Raises `UserError` if the disk refuses, or another process writes
    this file.
    """

    def __init__(
        self,
        path: Path,
        samples: Sequence[Sample],
        classes: Sequence[str],
        image_size: Callable[[Path], Size],
        *,
        origin: str | None = None,
        group: int = 1,
    ) -> None:
        """`samples` are in contest order; `image_size` gives the size of each one's file.

        Images are predicted `group` at a time; `done` is a multiple of it, so that the groups stay the same.
        """
        keys = [(sample.group, sample.name) for sample in samples]
        if keys != sorted(keys) or len({sample.name for sample in samples}) < len(keys):
            raise ValueError(f"{path}: samples must be sorted by (group, name), with unique names")
        self.path = path
        self.classes = tuple(classes)
        self._samples = tuple(samples)
        self._by_name = {sample.name: sample for sample in samples}
        self._origin = origin
        self._group = group
        self._image_size = image_size
        stamps = [sample.stamp if origin else sample.name for sample in samples]
        self._journal = Journal(path.with_name(f"{path.name}.part"), origin or "", stamps)

    @property
    def done(self) -> int:
        """Number of images whose rows are written."""
        return self._journal.done

    def __enter__(self) -> SubmissionWriter:
        self._journal.__enter__()
        if self._origin is None:
            self._journal.cut(0)
        self._journal.cut_to_groups(self._group)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written = False
        try:
            if error is None:
                self._finish()
                written = True
        finally:
            if written or self._origin is None:
                self._journal.remove()
            self._journal.__exit__(kind, error, trace)

    def _finish(self) -> None:
        """Write the header and all rows to a file of the final name."""
        if self.done < len(self._samples):
            raise ValueError(f"{self.path}: ended after {self.done} of {len(self._samples)} images")
        with replacing(self.path) as file:
            file.write(f"{HEADER}\n".encode())
            for record in self._journal.records():
                file.write(record)

    def write(self, name: str, runs_of_classes: Sequence[Runs], *, size_hw: Size) -> None:
        """Append the rows of the next sample: the runs of each class in an image of `size_hw`."""
        self._check_name(name)
        self._journal.append(self._rows(name, runs_of_classes, size_hw))

    def write_mask(self, name: str, packed: Packed) -> None:
        """Append the rows of the next sample from its packed mask at native size."""
        self._check_name(name)
        self._journal.append(self.content_of(name, packed))

    def elsewhere(self) -> AbstractContextManager[object]:
        """Return a context that does nothing."""
        return nullcontext()

    def content_of(self, name: str, packed: Packed) -> bytes:
        """Make the rows of a sample."""
        return self._rows(name, encode(packed, len(self.classes)), (packed.shape[0], packed.shape[1]))

    def write_content(self, rows: bytes) -> None:
        """Append the rows of the next sample."""
        self._check_name(rows[: rows.index(b",")].decode())
        self._journal.append(rows)

    def _rows(self, name: str, runs_of_classes: Sequence[Runs], size_hw: Size) -> bytes:
        self._check(name, runs_of_classes, size_hw)
        return rows_of(name, self.classes, list(map(to_text, runs_of_classes)))

    def _check_name(self, name: str) -> None:
        if self.done == len(self._samples):
            raise ValueError(f"{self.path}: {name} after all {self.done} images were written")
        if name != self._samples[self.done].name:
            raise ValueError(f"{self.path}: {name} where {self._samples[self.done].name} is next")

    def _check(self, name: str, runs_of_classes: Sequence[Runs], size_hw: Size) -> None:
        sample = self._by_name[name]
        if len(runs_of_classes) != len(self.classes):
            raise ValueError(f"{self.path}: {name}: {len(runs_of_classes)} masks for {len(self.classes)} classes")
        native_hw = self._image_size(sample.image)
        if tuple(size_hw) != native_hw:
            raise ValueError(f"{self.path}: {name}: masks of {tuple(size_hw)} for an image of {native_hw}")
        farthest = max(map(end_of, runs_of_classes))
        if farthest > native_hw[0] * native_hw[1]:
            raise ValueError(f"{self.path}: {name}: a run ends at pixel {farthest}, outside {native_hw}")


def rows_of(name: str, classes: Sequence[str], rles: Sequence[str]) -> bytes:
    """Return an image's rows, one for each class, as bytes of the file."""
    return "".join([f"{name},{label},{rle}\n" for label, rle in zip(classes, rles, strict=True)]).encode()
