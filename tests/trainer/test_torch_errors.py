"""What torch and the system say is told in words; the real thing is provoked where a CPU allows."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from configs.schema import Config
from data.hand_bone.task import hand_bone
from trainer.records.checkpoint import StateFiles, load_state
from trainer.records.folder import RunFolder
from trainer.runs import disk_space
from trainer.runs.run import train
from trainer.torch_errors import GIB, DeviceMemory, explain_torch_error, out_of_memory, worker_died
from trainer.training.stepper import Stepper
from utils.errors import UserError

Make = Callable[..., Config]
CPU = torch.device("cpu")


def test_running_out_of_memory_names_peak_batch_size_and_keys(make_config: Make) -> None:
    memory = DeviceMemory("Tesla V100-SXM2-32GB (cuda:0)", 32 * GIB, 20 * GIB, 11 * GIB)
    told = out_of_memory(make_config(), memory)
    assert told.startswith(
        "Out of memory: Tesla V100-SXM2-32GB (cuda:0) has 32.0 GiB, this run held up to 20.0 GiB, "
        "other programs held 11.0 GiB, with trainer.batch_size=2, trainer.evaluate_batch_size=1, transform.size_px=64"
    )
    for key in ("model.checkpoint_gradients=true", "trainer.accumulate", "transform.size_px"):
        assert key in told


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:115] data. DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_every_kind_of_full_memory_has_the_same_sentence(error: Exception, make_config: Make) -> None:
    assert "Out of memory" in str(explain_torch_error(error, make_config(), CPU))


def test_what_is_not_deterministic_is_named(make_config: Make) -> None:
    error = RuntimeError(
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'."
    )
    expected = "trainer.deterministic: torch has no deterministic kernel of adaptive_avg_pool2d_backward_cuda for"
    assert str(explain_torch_error(error, make_config(), CPU)).startswith(expected)


def test_what_spares_memory_excludes_compiling(make_config: Make) -> None:
    told = out_of_memory(make_config(trainer={"compile": True}), None)
    assert "set model.checkpoint_gradients=true, trainer.compile=false (saves most" in told


def test_other_errors_stay_what_they_are(make_config: Make) -> None:
    assert explain_torch_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), make_config(), CPU) is None


def test_running_out_of_memory_ends_a_run_in_its_sentence(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Stepper, "step", fail)
    with pytest.raises(UserError, match=r"trainer\.batch_size=2"):
        train(make_config(), resume=False, command="")


@pytest.mark.parametrize(
    ("how", "way_out"),
    [
        ("is killed by signal: Killed", "too much memory"),
        ("is killed by signal: Bus error", "/dev/shm"),
        ("is killed by signal: Segmentation fault", "data.exclude"),
    ],
)
def test_the_way_out_follows_from_how_a_worker_died(how: str, way_out: str) -> None:
    told = worker_died(how, "ID001/image1.png")
    assert "at ID001/image1.png" in told
    assert way_out in told


def test_a_dead_worker_names_the_sample_it_was_at(
    make_config: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(data={"workers": 1})
    victim = hand_bone.layout.find_samples(root / "train", labelled=True)[3]
    trained_in = os.getpid()

    def die_at_victim(path: Path) -> Any:
        if path == victim.image and os.getpid() != trained_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_image(path)

    read_image = hand_bone.read_image
    monkeypatch.setitem(hand_bone.__dict__, "read_image", die_at_victim)
    with pytest.raises(UserError, match=f"a loader process ended at {victim.key} .*(Killed|exited)"):
        train(config, resume=False, command="")


def test_a_full_disk_ends_a_run_in_one_sentence_and_keeps_the_last_good_state(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save = StateFiles.save

    def save_on_a_disk_that_fills_up(files: StateFiles, step: int, state: Any) -> Path:
        if step < 4:
            return save(files, step, state)
        with file_size_limit(100_000):
            return save(files, step, state)

    monkeypatch.setattr(StateFiles, "save", save_on_a_disk_that_fills_up)
    with pytest.raises(UserError, match=r"state-00000004\.pt: could not be written \(File too large\)\. Free space"):
        train(make_config(checkpoint={"every_steps": 1}), resume=False, command="go on")
    run = RunFolder(tmp_path / "runs" / "tiny")
    kept = StateFiles(run.checkpoints, keep=2).paths()
    assert [path.name for path in kept] == ["state-00000003.pt", "state-00000002.pt"]
    assert all(load_state(path) for path in kept)
    assert not list(run.path.rglob(".*.part"))
    assert "continue with: go on" in caplog.text


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Within it, no file grows beyond `size` bytes: writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_that_is_too_full_is_reported_before_the_first_step(
    make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 10**7, 10**7))
    with pytest.raises(UserError, match=r"tiny: 0\.01 GiB are free on this disk, but the run needs .* run\.folder"):
        train(make_config(), resume=False, command="")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 10**9))
    train(make_config(trainer={"fast_dev_run": True}), resume=False, command="")


def test_the_estimate_of_a_state_is_near_its_size(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    estimates = []
    needed_bytes = disk_space.needed_bytes

    def note(folder: RunFolder, states: StateFiles, train_state: Any, kept_weights: int) -> int:
        estimates.append(disk_space.state_bytes(train_state))
        return needed_bytes(folder, states, train_state, kept_weights)

    monkeypatch.setattr(disk_space, "needed_bytes", note)
    wide = make_config(model={"decoder": None}, trainer={"ema_decay": 0.9, "fast_dev_run": True})
    run = train(wide, resume=False, command="")
    size = StateFiles(run.checkpoints, keep=2).paths()[0].stat().st_size
    assert estimates[0] == pytest.approx(size, rel=0.05)
