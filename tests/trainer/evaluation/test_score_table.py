from __future__ import annotations

import numpy as np

from trainer.evaluation.score_table import ScoreTable
from utils.metric import Metric


def test_the_metric_is_the_mean_over_images_and_classes() -> None:
    table = ScoreTable(["a", "b"], Metric("dice", "Dice"))
    table.add("x", np.array([1.0, 0.5]))
    table.add("y", np.array([0.0, 0.5]))
    assert table.mean == 0.5
    assert table.per_class == {"a": 0.5, "b": 0.5}
    assert table.per_image == {"x": 0.75, "y": 0.25}
    assert table.mean_of(["x"]) == 0.75
    assert table.mean_of([]) is None


def test_an_image_that_is_added_twice_counts_once() -> None:
    table = ScoreTable(["a"], Metric("dice", "Dice"))
    for _ in range(2):
        table.add("x", np.array([1.0]))
    table.add("y", np.array([0.0]))
    assert table.mean == 0.5
