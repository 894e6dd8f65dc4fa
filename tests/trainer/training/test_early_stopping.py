from __future__ import annotations

import math

from trainer.training.early_stopping import EarlyStopping


def run(stopping: EarlyStopping, values: list[float]) -> int:
    """The number of evaluations until it stops, or all of them."""
    for epoch, value in enumerate(values):
        stopping.update(epoch, value)
        if stopping.should_stop:
            return epoch + 1
    return len(values)


def test_it_stops_after_patience_evaluations_without_improvement() -> None:
    stopping = EarlyStopping(patience=2)
    assert run(stopping, [0.5, 0.6, 0.6, 0.59, 0.7]) == 4
    assert (stopping.best, stopping.best_epoch) == (0.6, 1)


def test_an_improvement_must_exceed_min_delta() -> None:
    assert run(EarlyStopping(patience=2, min_delta=0.05), [0.5, 0.54, 0.549, 0.9]) == 3


def test_with_mode_min_lower_is_better() -> None:
    stopping = EarlyStopping(patience=2, mode="min")
    assert run(stopping, [1.0, 0.8, 0.9, 0.7]) == 4
    assert stopping.best == 0.7


def test_nan_is_never_the_best() -> None:
    stopping = EarlyStopping(patience=2)
    assert run(stopping, [math.nan, math.nan, 0.5]) == 2


def test_without_patience_it_never_stops_but_keeps_the_best() -> None:
    stopping = EarlyStopping()
    assert run(stopping, [0.9] + [0.1] * 50) == 51
    assert stopping.best_epoch == 0


def test_its_state_goes_on() -> None:
    first = EarlyStopping(patience=2)
    run(first, [0.5, 0.4])
    second = EarlyStopping(patience=2)
    second.load_state_dict(first.state_dict())
    assert run(second, [0.4]) == 1
    assert second.should_stop
