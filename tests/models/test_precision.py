from __future__ import annotations

import pytest
import torch

from configs.changes import may_change
from models.precision import DTYPES, Name, choose_precision

CPU = torch.device("cpu")


def test_auto_on_a_cpu_is_fp32() -> None:
    assert choose_precision("auto", CPU).name == "fp32"


V100, T4, A100, H100 = (7, 0), (7, 5), (8, 0), (9, 0)


@pytest.mark.parametrize(("capability", "expected"), [(V100, "fp16"), (T4, "fp16"), (A100, "bf16"), (H100, "bf16")])
def test_auto_on_a_gpu_follows_its_capability(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda", 0)).name == expected


def test_a_gpu_without_bf16_is_named_with_the_way_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for capability, warnings in ((A100, 0), (V100, 1)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, has=capability: has)
        assert choose_precision("bf16", torch.device("cuda", 0)).name == "bf16"
        assert len(caplog.messages) == warnings
    assert "Write trainer.precision=fp16; a run that has begun may be resumed with it" in caplog.text
    assert may_change("trainer.precision")


@pytest.mark.parametrize(("name", "dtype"), DTYPES.items())
def test_autocast_runs_heavy_operations_in_the_format(name: Name, dtype: torch.dtype) -> None:
    with choose_precision(name, CPU).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(("name", "scales"), [("fp32", False), ("bf16", False), ("fp16", True)])
def test_only_fp16_scales_the_loss(name: Name, scales: bool) -> None:
    assert choose_precision(name, CPU).scaler().is_enabled() == scales
