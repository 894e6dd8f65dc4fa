from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.delivery.outbox import FILE
from trainer.records.folder import RunFolder
from trainer.runs.listeners import identify


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that the services know, with messages that have not arrived."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    identify(folder)
    (folder.path / FILE).write_text("{}\n")
    return folder


def test_a_copy_of_a_runs_folder_is_another_run(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    assert identify(copy) != identify(run)
    assert identify(copy) == identify(copy)
    assert (run.path / FILE).exists()
    assert not (copy.path / FILE).exists()


def test_a_run_whose_folder_was_moved_or_linked_is_the_same(run: RunFolder, tmp_path: Path) -> None:
    own = identify(run)
    (tmp_path / "link").symlink_to(run.path)
    assert identify(RunFolder(tmp_path / "link")) == own
    run.path.rename(tmp_path / "moved")
    assert identify(RunFolder(tmp_path / "moved")) == own
    assert (tmp_path / "moved" / FILE).exists()
