"""Every part on a CPU with small networks: all roads are taken, and a wrong result does not hold."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.limit import Limit, limit_after
from benchmarks.gpu.part import Measurement, Part, Row
from benchmarks.gpu.parts import PARTS, equality, learning, loss, prediction, step, waits
from benchmarks.gpu.parts.usual_loop import usual_batch
from benchmarks.gpu.results import Results
from benchmarks.gpu.run import measure_parts, rows_of
from loss import LOSSES
from trainer.training.averages import Ema

LIMIT = limit_after(600)


def measured(part: Part, bench: Bench, only: str = "") -> dict[str, Row]:
    rows = [row for each in part.measurements(bench) if only in each.name for row in rows_of(each, LIMIT)]
    return {row.name: row for row in rows}


@pytest.mark.parametrize("name", PARTS)
def test_every_measurement_has_values_of_its_columns_and_what_must_be_is(name: str, bench: Bench) -> None:
    part, keys = PARTS[name], {column.key for column in PARTS[name].columns}
    rows = measured(part, bench)
    assert rows
    for row in rows.values():
        assert row.fault is None, row
        assert row.holds is not False, row
        assert row.values.keys() <= keys, row
        assert row.values or row.holds, row


def test_a_loss_that_is_wrong_by_a_thousandth_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right = LOSSES["dice"]()

    class Wrong:
        def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
            value = right(logits, target)
            return value if logits.dtype == torch.float64 else 1.001 * value

    monkeypatch.setattr(equality, "build_loss", lambda name: Wrong())
    assert measured(PARTS["losses"], bench, "tversky")["tversky"].holds is False


def test_another_moving_average_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ema, "update", lambda self, model: None)
    rows = {row.name: row.holds for row in learning.beside_cpu(bench)}
    assert rows == {
        "loss after 3 steps, beside the CPU": True,
        "weights after 3 steps, beside the CPU": True,
        "moving average, beside the CPU": False,
    }


def test_a_state_that_forgets_the_optimizer_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.optim.AdamW.load_state_dict", lambda self, state: None)
    assert [row.holds for row in learning.resumed(bench)] == [False]


def test_other_masks_at_native_size_are_seen() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (32, 32, 4), np.uint8)
    other = mask.copy()
    other[3, 4, 0] ^= 1
    assert equality.share_differing(mask, mask, soft=False) == 0
    assert equality.share_differing(mask, other, soft=False) == pytest.approx(1 / (32 * 32 * 29))
    alpha = np.full((8, 8, 1), 100, np.uint8)
    assert equality.share_differing(alpha, alpha + np.uint8(1), soft=True) == 0
    assert equality.share_differing(alpha, alpha + np.uint8(2), soft=True) == 1


def test_another_loop_is_not_compared(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def mirrored(images: Tensor, packed: Tensor) -> tuple[Tensor, Tensor]:
        return usual_batch(images.flip(-1), packed)

    monkeypatch.setattr(step, "usual_batch", mirrored)
    row = measured(PARTS["step"], bench, "the same loss")["the same loss and step as the usual loop"]
    assert row.holds is False
    assert row.fault is not None
    assert "the usual way and ours differ: " in row.fault


def test_other_scores_and_other_masks_are_seen(bench: Bench) -> None:
    shared = prediction.Films(bench)
    list(prediction.usual_scoring(shared))
    list(prediction.usual_prediction(shared))
    shared.answers_NChw.copy_(shared.answers_NChw.roll(3, -1))
    for measure, what in ((prediction.our_scoring, "Dice by"), (prediction.our_prediction, "masks in")):
        row = rows_of(Measurement("ours", partial(measure, shared)), LIMIT)[0]
        assert row.holds is False
        assert row.fault is not None
        assert what in row.fault


def test_another_gradient_of_the_loss_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "dice_bce", LOSSES["bce"])
    row = rows_of(Measurement("same", lambda: [loss.same(bench)]), LIMIT)[0]
    assert row.fault is not None
    assert "losses" in row.fault


def test_a_wait_is_named_by_the_line_of_ours_that_causes_it(bench: Bench) -> None:
    def work() -> None:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    ((place, times),) = waits.waits_of(bench, work).items()
    assert place.startswith("tests/benchmarks/gpu/test_parts.py:")
    assert times == 3
    with warnings.catch_warnings(action="ignore"):  # of the calls that are not counted
        rows = waits.found(bench, "work", work, none_expected=True)
    assert [(row.values["times"], row.holds) for row in rows] == [(3, False)]


def a_part(*measurements: Measurement) -> Part:
    return replace(PARTS["equality"], measurements=lambda bench: measurements)


def raising(error: BaseException) -> Any:
    def measure() -> Sequence[Row]:
        raise error

    return measure


def test_what_goes_wrong_in_one_measurement_leaves_the_others(bench: Bench) -> None:
    results = Results({"tiny": True, "card": None})
    part = a_part(
        Measurement("memory", raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))),
        Measurement("error", raising(ValueError("no such thing\nin two lines"))),
        Measurement("works", lambda: [Row("works", {"difference": 1.0, "allowed": 2.0}, holds=True)]),
    )
    measure_parts([part], bench, results, LIMIT)
    memory, error, works = results.rows["equality"]
    assert memory.fault == "out of memory: CUDA out of memory. Tried to allocate 2 GiB"
    assert memory.trace is None
    assert error.fault == "ValueError: no such thing"
    assert error.trace is not None
    assert works.holds
    assert not results.all_hold
    del results.rows["equality"][1]
    assert results.all_hold, "memory that ran out is no error"


def test_when_the_time_is_over_a_measurement_is_cut_off() -> None:
    def endless() -> Sequence[Row]:
        while True:
            sum(range(1000))

    limit = Limit(time.monotonic() + 0.2)
    assert rows_of(Measurement("endless", endless), limit) == [Row("endless", fault="cut off: the time was over")]
    assert limit.is_over


def test_what_no_time_was_left_for_is_named(bench: Bench) -> None:
    results = Results({"tiny": True, "card": None})
    parts = [PARTS["waits"], PARTS["shares"]]
    measure_parts(parts, bench, results, Limit(time.monotonic()))
    assert {name: {row.fault for row in rows} for name, rows in results.rows.items()} == {
        "waits": {"left out: no time was left"},
        "shares": {"left out: no time was left"},
    }
    assert [row.name for row in results.rows["shares"]] == ["kernels", "parts"]
    assert results.all_hold
