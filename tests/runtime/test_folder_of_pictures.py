"""A folder of photographs is cut out whole if a command is given again: after a kill, a full disk, beside another."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import cv2
import pytest

from data.cutout.pictures import writer
from runtime.infer import infer_onnx
from tests.root import ROOT
from tests.runtime.networks import small_for, write_described
from tests.runtime.test_predictor import photo
from utils.errors import UserError
from utils.files import replacing

COUNT, BEFORE = 5, 3
"""Photographs, and how many are written before something happens."""
KILLED = """
import os, signal, sys
from contextlib import contextmanager
from data.cutout.pictures import writer
import inference

whole, begun = writer.replacing, []

@contextmanager
def killed_within_a_file(path, mode=None):
    with whole(path, mode) as file:
        begun.append(path)
        if len(begun) > {before}:
            file.write(b"half of a picture")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        yield file

writer.replacing = killed_within_a_file
sys.argv = ["inference.py", *{arguments!r}]
inference.main()
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, bytes]]:
    """A network, a folder of photographs, and what an uninterrupted call writes."""
    folder = tmp_path_factory.mktemp("given")
    model = write_described(folder / "a.onnx", small_for("foreground"), "foreground")
    images = folder / "photos"
    images.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(images / f"{number}.png"), photo(number)[..., ::-1])
    return model, images, contents(infer_onnx(model, images, folder / "out"))


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*"))


def test_after_a_kill_the_same_command_writes_the_rest(
    given: tuple[Path, Path, dict[str, bytes]], tmp_path: Path
) -> None:
    model, images, expected = given
    out = tmp_path / "out"
    arguments = ["--run", str(model), "--images", str(images), "--output", str(out)]
    code = KILLED.format(before=BEFORE, arguments=arguments)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    there = {path: path.stat().st_mtime_ns for path in pictures(out)}
    assert [path.read_bytes() for path in there] == list(expected.values())[:BEFORE], "none is half written"
    infer_onnx(model, images, out)
    assert contents(out) == expected, "nothing else is left"
    assert {path: path.stat().st_mtime_ns for path in there} == there, "they are not written again"


def test_on_a_full_disk_what_is_written_stays_and_the_same_command_writes_the_rest(
    given: tuple[Path, Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images, expected = given
    begun: list[Path] = []

    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self.file = file

        def write(self, content: bytes) -> None:
            self.file.write(content[:9])
            raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def full(path: Path, mode: int | None = None) -> Iterator[IO[bytes] | Full]:
        with replacing(path, mode) as file:
            begun.append(path)
            yield file if len(begun) <= BEFORE else Full(file)

    monkeypatch.setattr(writer, "replacing", full)
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"3\.png: could not be written \(No space left on device\)\. Free space or"):
        infer_onnx(model, images, out)
    assert [path.read_bytes() for path in pictures(out)] == list(expected.values())[:BEFORE]
    monkeypatch.undo()
    infer_onnx(model, images, out)
    assert contents(out) == expected


def test_a_second_program_is_refused_and_disturbs_nothing(
    given: tuple[Path, Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images, expected = given
    out = tmp_path / "out"
    second: list[subprocess.CompletedProcess[str]] = []

    @contextmanager
    def meanwhile(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
        with replacing(path, mode) as file:
            if path.stem == "2":
                command = [
                    sys.executable,
                    "inference.py",
                    "--run",
                    str(model),
                    "--images",
                    str(images),
                    "--output",
                    str(out),
                ]
                second.append(subprocess.run(command, cwd=ROOT, capture_output=True, text=True))
            yield file

    monkeypatch.setattr(writer, "replacing", meanwhile)
    infer_onnx(model, images, out)
    assert second[0].returncode == 2
    assert (
        second[0]
        .stderr.strip()
        .splitlines()[-1]
        .endswith(".cutouts.part: another process is writing this file. Wait for it, or name another output.")
    )
    assert contents(out) == expected
