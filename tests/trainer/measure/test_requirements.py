"""Findings about what a run needs, for machines of several kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainer.measure.requirements import (
    DeviceMemory,
    Files,
    Images,
    Loading,
    Plan,
    Pretrained,
    Scoring,
    Steps,
    batch_s,
    check_files,
    check_images,
    check_loading,
    check_memory,
    check_pretrained,
    check_steps,
    check_time,
    check_workers,
    fitting_keys,
)

CONTEST = Images("datasets", 640, 160)
LOADING = Loading(
    sample_s=0.06, batch_size=4, batch_mib=45, workers=4, wanted_workers=4, prefetch=4, cores=16, shm_free_mib=65536,
    real=True,
)  # fmt: skip
V100 = Steps("Tesla V100", True, 8, "fp16", False, 4, 2, (1536, 1536), batch_s=1.6)
CPU = replace(V100, device="cpu", on_gpu=False, threads=2, precision="fp32")
PLAN = Plan(epochs=60, batches_per_epoch=160, evaluations=60, stops_early=True)
GIB = 1024


def test_a_data_set_that_cannot_be_used_is_a_problem_with_its_reason() -> None:
    assert check_images(CONTEST).level == "ok"
    found = check_images(replace(CONTEST, fault="datasets/train: 3 images but 2 label files"))
    assert (found.level, found.text) == ("problem", "datasets/train: 3 images but 2 label files")


def test_batches_in_flight_must_fit_into_shared_memory() -> None:
    assert [found.level for found in check_loading(LOADING)] == ["ok", "ok"]
    _, found = check_loading(replace(LOADING, shm_free_mib=64))
    assert (found.level, "720 MiB of batches in flight; /dev/shm has 64 MiB free" in found.text) == ("problem", True)
    assert found.remedy == "data.workers=1 data.prefetch=1, or docker run --shm-size=8g"
    assert fitting_keys(LOADING, 500) == "data.prefetch=2"
    assert fitting_keys(LOADING, 8) == "data.workers=0"
    assert len(list(check_loading(replace(LOADING, workers=0, shm_free_mib=64)))) == 1


def test_loader_processes_are_compared_with_the_step() -> None:
    assert check_workers(LOADING, V100).text.startswith("1 loader process keep")
    assert check_workers(LOADING, replace(V100, batch_s=0.05)).remedy == "data.workers=5"
    few_cores = check_workers(replace(LOADING, cores=4), replace(V100, batch_s=0.05))
    assert (few_cores.level, "ask for more cores" in few_cores.remedy) == ("warning", True)
    none = check_workers(replace(LOADING, workers=0, wanted_workers=0), V100)
    assert (none.level, none.remedy) == ("warning", "data.workers=1")


def test_on_a_cpu_loading_uses_a_share_of_the_cores() -> None:
    assert "23% of the work" in check_workers(LOADING, replace(CPU, batch_s=0.8)).text


@pytest.mark.parametrize(
    ("loading", "steps", "seconds"),
    [
        (LOADING, V100, 1.6),
        (replace(LOADING, workers=0), V100, 1.6 + 0.24),
        (replace(LOADING, workers=1), replace(V100, batch_s=0.1), 0.24),
        (replace(LOADING, workers=1, cores=2), CPU, (1.6 * 2 + 0.24) / 2),
    ],
)
def test_a_batch_takes_as_long_as_the_slower_of_loading_and_training(
    loading: Loading, steps: Steps, seconds: float
) -> None:
    assert batch_s(loading, steps) == pytest.approx(seconds)


def test_the_time_of_the_run_includes_its_scorings() -> None:
    text = check_time(CONTEST, LOADING, V100, Scoring(0.5, (2048, 2048)), PLAN).text
    assert text == "at most 5 h 36 min for 60 epochs of 160 batches, 4 min each, and 60 scorings, 80 s each"
    made_up = check_time(replace(CONTEST, fault="no data"), LOADING, V100, Scoring(0.5, (2048, 2048)), PLAN)
    assert "with 800 images" in made_up.text


def test_formats_that_the_device_emulates_are_a_warning() -> None:
    assert [found.level for found in check_steps(V100)] == ["ok"]
    _, found = check_steps(replace(V100, precision="bf16", emulated=True))
    assert (found.level, "trainer.precision=auto" in found.remedy) == ("warning", True)


def test_a_card_that_is_nearly_full_is_a_warning_with_the_keys_to_change() -> None:
    assert check_memory(DeviceMemory(20 * GIB, 31 * GIB, 32 * GIB), True, "keys").level == "ok"
    found = check_memory(DeviceMemory(20 * GIB, 21 * GIB, 32 * GIB), True, "trainer.batch_size smaller")
    assert (found.level, found.remedy) == ("warning", "trainer.batch_size smaller")
    assert "21.0 GiB of the card's 32.0 GiB were free" in found.text


def test_states_that_do_not_fit_the_disk_are_a_problem() -> None:
    files = Files("runs/base", state_mib=1100, weights_mib=300, keep=2, free_mib=50_000)
    assert files.most_mib == 3 * 1100 + 2 * 300
    levels = [check_files(replace(files, free_mib=free)).level for free in (50_000, 5_000, 3_000)]
    assert levels == ["ok", "warning", "problem"]
    assert check_files(replace(files, error="Read-only file system")).level == "problem"


def test_weights_that_must_be_fetched_are_a_warning() -> None:
    assert check_pretrained(Pretrained("tu-hrnet_w48", "imagenet", here=True)).level == "ok"
    found = check_pretrained(Pretrained("tu-hrnet_w48", "imagenet", here=False))
    assert (found.level, "HF_HOME" in found.remedy) == ("warning", True)
