"""A config measured by real steps, here on tiny images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from configs.loading.load import dump
from configs.schema import Config
from data.encoding import ALPHA
from data.hand_bone.task import hand_bone
from data.sample import Sample
from data.task import Typical
from data.tasks import TASKS
from models.precision import Precision
from trainer.measure.__main__ import main
from trainer.measure.measure import measure, plan_of_run
from trainer.measure.probe import NoiseReader, Probe, find_material, find_pretrained, is_emulated, time_loading
from trainer.measure.record import Record

MakeConfig = Callable[..., Config]


def topics(record: Record) -> list[str]:
    return [f"{finding.topic}: {finding.level}" for finding in record.findings]


def test_a_config_is_measured_from_its_data_to_its_scores(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(trainer={"accumulate": 2, "ema_decay": 0.9, "clip_norm": 1.0})
    record = Record(tmp_path / "measured.json")
    measure(config, record)
    assert record.close() == 0
    assert [finding.topic for finding in record.findings] == [
        *("data set", "loading", "disk", "step", "workers", "memory", "time")
    ]
    written = json.loads((tmp_path / "measured.json").read_text())
    facts = written["facts"]
    assert (written["stage"], len(written["findings"])) == ("done", 7)
    assert (facts["images"]["train"], facts["images"]["valid"]) == (8, 4)
    assert facts["steps"]["size_hw"] == [64, 64]
    assert all(
        facts[part][key] > 0 for part, key in (("steps", "batch_s"), ("loading", "sample_s"), ("scoring", "image_s"))
    )
    assert "2 batches to an optimizer step" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "runs").exists()


def test_without_data_images_of_the_tasks_typical_number_are_assumed(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(hand_bone, typical=replace(hand_bone.typical, size_hw=(64, 64)))
    monkeypatch.setitem(TASKS, "hand_bone", small)
    record = Record(None)
    measure(make_config(data={"root": str(tmp_path / "none")}), record)
    assert record.close() == 2
    assert topics(record)[0] == "data set: problem"
    assert {"step: ok", "time: ok"} < set(topics(record))
    assert record.facts["images"]["train"] == 640
    assert not record.facts["loading"]["real"]


def test_the_time_of_the_first_step_is_reported_before_the_others(make_config: MakeConfig) -> None:
    config = make_config(trainer={"accumulate": 2})
    accelerator = Accelerator(cpu=True)
    seconds: list[float] = []
    Probe(config, time_loading(config, find_material(config), accelerator)[1], accelerator).time_steps(seconds.append)
    assert len(seconds) == 1
    assert seconds[0] > 0


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 TB")],
)
def test_too_little_memory_is_a_line_with_the_keys_to_change(
    error: Exception, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Probe, "time_steps", fail)
    record = Record(None)
    measure(make_config(), record)
    found = record.findings[-1]
    assert (found.topic, found.level) == ("memory", "problem")
    assert found.text.startswith("at the first training step, 2 images of 64 px through unet on ")
    assert "trainer.batch_size=2" in found.text


def test_other_errors_are_raised(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Probe, "time_steps", fail)
    with pytest.raises(KeyError, match="a bug"):
        measure(make_config(), Record(None))


def test_findings_are_written_before_each_part(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def look(*_: object) -> None:
        seen.append(json.loads((tmp_path / "measured.json").read_text()))
        raise KeyError

    monkeypatch.setattr(Probe, "time_steps", look)
    with pytest.raises(KeyError):
        measure(make_config(), Record(tmp_path / "measured.json"))
    assert seen[0]["stage"].startswith("the first training step")
    assert [found["topic"] for found in seen[0]["findings"]] == ["data set", "loading", "disk"]


def test_the_program_names_a_fault_of_the_config(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(dump(make_config()))
    monkeypatch.setattr("sys.argv", ["measure", "--config", str(tmp_path / "c.yaml"), "trainer.epoch=3"])
    monkeypatch.setattr("trainer.measure.__main__.start_computing", lambda: None)
    assert main() == 2
    assert "unknown key. Did you mean 'epochs'?" in " ".join(capsys.readouterr().out.split())


def test_pretrained_weights_are_looked_for_and_left_out(make_config: MakeConfig) -> None:
    assert find_pretrained(make_config()) is None
    here = make_config(model={"encoder": "timm-tf_efficientnet_lite0", "encoder_weights": "lite0"})
    found = find_pretrained(here)
    assert found is not None
    assert (found.name, found.here) == ("lite0", True)


def test_an_image_of_noise_has_every_class() -> None:
    image, packed = NoiseReader(replace(hand_bone, typical=Typical((58, 58), 1, 1)))(
        Sample("a.png", "ID001", Path("a.png"))
    )
    assert (image.shape, packed.shape) == ((58, 58), (58, 58, 4))
    assert [int(byte) for byte in packed[::2, 0].sum(0)] == [255, 255, 255, 31]


def test_images_of_noise_have_the_tasks_channels_and_encoding() -> None:
    usual = Typical((8, 6), 1, 1)
    task = replace(hand_bone, classes=("tool", "shadow"), channels=3, encoding=ALPHA, typical=usual)
    image, alpha = NoiseReader(task)(Sample("a.png", "ID001", Path("a.png")))
    assert (image.shape, alpha.shape) == ((8, 6, 3), (8, 6, 2))
    assert alpha[:, 0].tolist() == [[255, 0]] * 4 + [[0, 255]] * 4


def test_a_batch_is_filled_from_few_samples(make_config: MakeConfig) -> None:
    config = make_config(trainer={"batch_size": 16})
    loading, batch = time_loading(config, find_material(config), Accelerator(cpu=True))
    assert batch.images.shape == (16, 64, 64)
    assert batch.masks.shape == (16, 64, 64, 4)
    assert loading.batch_mib == 16 * 64 * 64 * 5 / 2**20


def test_half_precision_is_emulated_on_a_cpu_alone() -> None:
    cpu = torch.device("cpu")
    assert [is_emulated(Precision(name, "cpu"), cpu) for name in ("fp32", "fp16", "bf16")] == [False, True, True]


def test_the_plan_counts_the_scorings(make_config: MakeConfig) -> None:
    plan = plan_of_run(make_config(trainer={"epochs": 10, "evaluate_every": 4}), 7)
    assert (plan.epochs, plan.evaluations, plan.batches_per_epoch, plan.stops_early) == (10, 3, 7, False)
    assert plan_of_run(make_config(trainer={"fast_dev_run": True}), 2).epochs == 1
