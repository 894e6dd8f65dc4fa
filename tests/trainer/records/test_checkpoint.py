from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.records.checkpoint import StateFiles, Weights, load_state, load_weights, save_weights
from trainer.records.folder import RunFolder, step_of
from utils.errors import UserError

WEIGHTS = Weights({"layer.weight": torch.arange(6.0).view(2, 3)}, ("a", "b"), {"seed": 1}, epoch=3, score=0.5)


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
    assert (loaded.classes, loaded.config, loaded.epoch, loaded.score) == (("a", "b"), {"seed": 1}, 3, 0.5)


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
    path, state = newest
    assert (path.name, state["step"]) == ("state-00000100.pt", 100)


def test_names_are_ordered_by_their_steps(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, keep=2)
    for step in (99_999_999, 100_000_000):
        files.save(step, {})
    assert [path.name for path in files.paths()] == ["state-100000000.pt", "state-99999999.pt"]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("state-00000010.pt", 10),
        ("step-00002000.safetensors", 2000),
        ("state-copy.pt", -1),
        ("step-a-5.safetensors", -1),
    ],
)
def test_a_name_says_its_step_or_none(name: str, step: int) -> None:
    assert step_of(Path(name)) == step


def test_weights_of_other_names_are_not_those_that_a_run_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    for name in ("step-100000000.safetensors", "step-99999999.safetensors", "step-copy.safetensors"):
        (run.checkpoints / name).touch()
    assert [step_of(path) for path in run.kept_weights] == [99999999, 100000000]


def test_one_changed_bit_anywhere_in_the_tensors_is_noticed(tmp_path: Path) -> None:
    path = StateFiles(tmp_path, keep=2).save(1, {"tensor": torch.arange(1000.0)})
    whole = path.read_bytes()
    place = whole.index(torch.arange(1000.0).numpy().tobytes())
    for offset in (0, 1999, 3999):
        path.write_bytes(flipped(whole, place + offset))
        with pytest.raises(UserError, match="is damaged"):
            load_state(path)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b"x" * 999])
def test_a_damaged_newest_state_gives_way_to_the_one_before(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = StateFiles(tmp_path, keep=2)
    files.save(1, {"step": 1})
    newest = files.save(2, {"step": 2})
    newest.write_bytes(damage(newest.read_bytes()))
    found = files.load_newest()
    assert found is not None
    assert found[1] == {"step": 1}
    assert "state-00000002.pt: is damaged or not a training state, so it is not used." in caplog.text
    files.forget_newer(found[0])
    assert [path.name for path in files.paths()] == ["state-00000001.pt"]


def test_with_all_states_damaged_there_is_a_way_out_and_nothing_is_lost(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, keep=2)
    files.save(1, {}).write_bytes(b"gone")
    with pytest.raises(UserError, match=r"no state here can be read \(state-00000001\.pt\)"):
        files.load_newest()
    assert len(files.paths()) == 1


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_weights(path, WEIGHTS)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, len(whole) - 3))
    with pytest.raises(UserError, match=r"best\.safetensors: its contents are damaged"):
        load_weights(path)


def flipped(content: bytes, place: int) -> bytes:
    """The content with one bit changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


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


def test_a_member_that_claims_to_be_a_folder_is_noticed(tmp_path: Path) -> None:
    """One bit of the archive's directory; torch would leave the tensor as its memory was, and say nothing."""
    path = tmp_path / "state-00000001.pt"
    torch.save({"a": torch.arange(6.0)}, path)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"archive/data/0") if b"archive/data/0" in content else content.rindex(b"/data/0")
    entry = content.rindex(b"PK\x01\x02", 0, place)
    content[entry + 38] |= 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged or not a training state"):
        load_state(path)
