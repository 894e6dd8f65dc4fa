from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.checkpoint import StateFiles, Weights, load_state, load_weights, save_weights
from utils.errors import UserError

WEIGHTS = Weights({"layer.weight": torch.arange(6.0).view(2, 3)}, ("a", "b"), {"seed": 1}, epoch=3, dice=0.5)


class Evil:
    """A pickle of this makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_weights_carry_all_that_is_needed_to_use_them(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_weights(path, WEIGHTS)
    loaded = load_weights(path)
    assert torch.equal(loaded.tensors["layer.weight"], WEIGHTS.tensors["layer.weight"])
    assert (loaded.classes, loaded.config, loaded.epoch, loaded.dice) == (("a", "b"), {"seed": 1}, 3, 0.5)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_any_other_file_is_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"best\.safetensors: "):
        load_weights(path)


def test_the_newest_states_stay_and_the_newest_is_loaded(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, keep=2)
    for step in (5, 10, 100):
        files.save(step, {"step": step, "tensor": torch.ones(2)})
    assert [path.name for path in files.paths()] == ["state-00000100.pt", "state-00000010.pt"]
    newest = files.load_newest()
    assert newest is not None
    assert newest["step"] == 100


def test_without_a_state_there_is_none(tmp_path: Path) -> None:
    assert StateFiles(tmp_path, keep=2).load_newest() is None


def test_a_malicious_state_runs_no_code(tmp_path: Path) -> None:
    path, made = tmp_path / "state-00000001.pt", tmp_path / "made"
    torch.save({"x": Evil(made)}, path)
    with pytest.raises(UserError, match="not a training state"):
        load_state(path)
    path.write_bytes(pickle.dumps(Evil(made)))
    with pytest.raises(UserError, match="not a training state"):
        load_state(path)
    assert not made.exists()
