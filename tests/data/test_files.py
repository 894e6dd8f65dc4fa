"""Whatever lies in a data folder is used, named with the reason, or refused."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.check.survey import check_dataset
from data.files import Found, LeftOut, files_below
from data.hand_bone.task import hand_bone
from data.polygons.layout import find_images, find_samples
from tests.root import ROOT
from utils.errors import UserError


@pytest.fixture
def forbidden(split_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A patient's folder that may not be listed, as mode 000 is to everybody but root."""
    folder = split_dir / "DCM" / "ID002"
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("data.files.os.scandir", refuse)
    return folder


AS_AN_ORDINARY_USER = """
import os, sys
from pathlib import Path
from data.polygons.layout import find_images
from utils.errors import UserError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    print(len(find_images(Path(sys.argv[1]))))
except UserError as error:
    print(error)
"""


def test_a_folder_of_mode_000_is_an_error_for_an_ordinary_user(split_dir: Path) -> None:
    folder = split_dir / "DCM" / "ID002"
    for above in (split_dir, *split_dir.parents):
        if above.owner() == folder.owner() and above.stat().st_mode & 0o077 == 0:
            above.chmod(0o755)  # pytest's own folders, at whatever depth
    folder.chmod(0)
    command = [sys.executable, "-B", "-c", AS_AN_ORDINARY_USER, str(split_dir / "DCM")]
    try:
        done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    finally:
        folder.chmod(0o755)
    assert f"{folder}: the folder cannot be read (Permission denied)" in done.stdout, done.stderr


def test_a_folder_that_cannot_be_read_is_an_error_of_every_reader(forbidden: Path) -> None:
    split = forbidden.parent.parent
    readers: list[Callable[[], object]] = [
        lambda: find_images(split / "DCM"),
        lambda: find_samples(split, labelled=True),
        lambda: find_samples(split, labelled=False),
    ]
    for read in readers:
        with pytest.raises(UserError, match=r"ID002: the folder cannot be read \(Permission denied\).*chmod"):
            read()
    findings = check_dataset(hand_bone, split.parent).findings
    assert ("unreadable", "train/DCM/ID002") in [(finding.kind, finding.file) for finding in findings]


def test_hidden_files_and_folders_never_count(split_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = split_dir / "DCM"
    for hidden in (images / ".ipynb_checkpoints" / "x-checkpoint.png", images / "ID001" / "._imageID001b.png"):
        hidden.parent.mkdir(exist_ok=True)
        shutil.copy(images / "ID001" / "image001b.png", hidden)
    assert len(find_images(images)) == 6
    assert len(find_samples(split_dir, labelled=True)) == 6
    assert not caplog.records


def test_what_is_not_used_is_named_with_the_reason(split_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = split_dir / "DCM" / "ID001"
    (folder / "scan.gif").write_bytes(b"")
    (folder / "notes").write_text("")
    (folder / "deeper").mkdir()
    shutil.copy(folder / "image001b.png", folder / "deeper" / "lost.png")
    (split_dir / "DCM" / "ID099").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "round").symlink_to(folder)
    with caplog.at_level(logging.WARNING):
        samples = find_images(split_dir / "DCM")
    assert len(samples) == 6
    (line,) = caplog.messages
    assert line == (
        f"{split_dir / 'DCM'}: 6 entries not used: ID001/deeper/lost.png (deeper than the patient's folder); "
        "ID001/notes (a file without a suffix); ID001/pipe.png (no regular file); ID001/round (a link to a folder "
        "above it); ID001/scan.gif (a .gif file); ID099 (an empty folder)"
    )


def test_what_is_excluded_is_not_named(split_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (split_dir / "DCM" / "ID001" / "scan.gif").write_bytes(b"")
    assert len(find_samples(split_dir, labelled=True, exclude=["ID001"])) == 4
    assert not caplog.records


def test_a_link_to_nothing_is_a_sample_that_cannot_be_read(split_dir: Path) -> None:
    image = split_dir / "DCM" / "ID001" / "image001b.png"
    image.unlink()
    image.symlink_to(split_dir / "gone.png")
    samples = find_images(split_dir / "DCM")
    assert len(samples) == 6
    with pytest.raises(UserError, match=rf"{image}: is a link to {split_dir / 'gone.png'}, which is not there"):
        hand_bone.check(next(sample for sample in samples if sample.image == image))
    (finding,) = [one for one in check_dataset(hand_bone, split_dir.parent).findings if one.kind == "bad_image"]
    assert finding.file == "train/DCM/ID001/image001b.png"


def test_folders_beyond_the_deepest_level_are_named(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "x.png").write_bytes(b"")
    (one,) = files_below(tmp_path)
    assert one == LeftOut(tmp_path.joinpath(*"abcdef"), "a folder 6 levels deep", "other_file")
    (deep.parents[3] / "y.png").write_bytes(b"")
    assert Found(tmp_path.joinpath(*"abcd", "y.png"), 5) in list(files_below(tmp_path))
