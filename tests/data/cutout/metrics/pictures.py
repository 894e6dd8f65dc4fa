"""Alphas and truths for the tests of metrics. `reference.json` holds what pysodmetrics 1.6.2 says of them.

To write the file anew, from the project's root, in an environment of its own:

    pip install --no-deps pysodmetrics==1.6.2 && pip install numpy scipy scikit-image opencv-python-headless
    python -m tests.data.cutout.metrics.pictures
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

REFERENCE = Path(__file__).with_name("reference.json")
SIZES_HW = ((60, 48), (33, 50), (64, 64), (40, 31), (21, 64), (50, 50))


def pictures() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield alphas (8 bits, as float64 in 0..1) and truths (bool): ellipses, some with a line, blurred and noisy."""
    draws = np.random.default_rng(5)
    for number, (height, width) in enumerate(SIZES_HW):
        truth = np.zeros((height, width), np.uint8)
        centre, axes = (int(width * 0.5), int(height * 0.45)), (int(width * 0.3), int(height * 0.25))
        cv2.ellipse(truth, centre, axes, 20 * number, 0, 360, 255, -1)
        if number % 2:
            cv2.line(truth, (2, 2), (width - 3, height - 3), 255, 1)
        blurred = cv2.GaussianBlur(truth, (0, 0), 1.5 + 0.5 * number).astype(np.float64) / 255
        noisy = np.clip(blurred + draws.normal(0, 0.1, blurred.shape), 0, 1)
        yield np.round(noisy * 255) / 255, truth > 127


def main() -> None:
    import py_sod_metrics as reference  # type: ignore[import-not-found]

    rows = []
    for alpha, truth in pictures():
        measures = {
            "s": reference.Smeasure(),
            "e": reference.Emeasure(),
            "weighted_f": reference.WeightedFmeasure(),
            "f": reference.Fmeasure(),
            "mae": reference.MAE(),
        }
        for measure in measures.values():
            measure.step(alpha, truth, normalize=False)
        f_curve = measures["f"].get_results()["fm"]["curve"]
        e_curve = measures["e"].get_results()["em"]["curve"]
        row = {
            "s_measure": measures["s"].get_results()["sm"],
            "weighted_f": measures["weighted_f"].get_results()["wfm"],
            "mean_absolute_error": measures["mae"].get_results()["mae"],
            "f_curve": [*f_curve[::-1][::15]],
            "e_curve": [*e_curve[::-1][::15]],
        }
        rows.append(
            {name: [*map(float, value)] if isinstance(value, list) else float(value) for name, value in row.items()}
        )
    REFERENCE.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
