"""The golden test compares what a run computes, and nothing that differs between two runs of the same code."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.golden import differences, digests_of_folder


def written(folder: Path, *, seconds: float = 1.0, dice: float = 0.5, weight: float = 1.0) -> Path:
    """A folder with one small file of each kind."""
    folder.mkdir()
    (folder / "metrics.csv").write_text(f"epoch,dice,seconds\n1,{dice},{seconds}\n")
    (folder / "finished.json").write_text(json.dumps({"best": dice, "seconds": seconds}))
    (folder / "page.html").write_text(f"<p>Dice {dice:.4f} after {seconds} s</p>")
    (folder / "log.txt").write_text(f"took {seconds} s")
    about = {"dice": dice, "digest": str(seconds)}
    save_file({"w": torch.full((2,), weight)}, folder / "best.safetensors", {"carpus": json.dumps(about)})
    torch.save({"model": {"w": torch.full((2,), weight)}, "step": 3}, folder / "state-00000003.pt")
    return folder


def test_times_and_logs_are_not_compared(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other", seconds=2.5)
    assert differences(digests_of_folder(one), digests_of_folder(other)) == []


def test_every_other_score_is_named(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other", dice=0.6)
    names = [f"different:   {name}" for name in ("best.safetensors", "finished.json", "metrics.csv", "page.html")]
    assert differences(digests_of_folder(one), digests_of_folder(other)) == names


def test_one_other_weight_is_named(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other", weight=1.0000001)
    names = [f"different:   {name}" for name in ("best.safetensors", "best.safetensors (tensors)", "state-00000003.pt")]
    assert differences(digests_of_folder(one), digests_of_folder(other)) == names


def test_a_missing_file_and_a_new_one_are_named(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    (one / "finished.json").rename(one / "ended.json")
    lines = ["only before: ended.json", "only after:  finished.json"]
    assert differences(digests_of_folder(one), digests_of_folder(other)) == lines
