"""What predictions are judged by, as a plain value that events, files and messages can carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Key = TypeVar("Key")
CLEARLY_WORSE = 0.1
"""The share of the start's score by which a score is clearly worse."""


@dataclass(frozen=True)
class Metric:
    """A number by which predictions are judged, such as Dice."""

    name: str
    """In files: `dice` gives the columns `dice` and `dice_<class>` of metrics.csv, and `mean_dice` in JSON."""
    label: str
    """The word that people read: "Dice"."""
    higher_is_better: bool = True

    @property
    def mean_name(self) -> str:
        """The name of the mean over all images and classes in JSON files: `mean_dice`."""
        return f"mean_{self.name}"

    @property
    def mode(self) -> Literal["max", "min"]:
        """Which way is better: `max` or `min`."""
        return "max" if self.higher_is_better else "min"

    def badness(self, score: float) -> float:
        """A number that is larger the worse the score is: for sorting, the best first."""
        return -score if self.higher_is_better else score

    def fell_below(self, start: float, score: float) -> bool:
        """Whether a score shows that training destroys what pretrained weights know.

        It does if it is worse than the score of the start by more than a tenth of that. A late score is no exception:
        with a long warm-up, the learning rate becomes too high after many good scores.
        """
        worse_by = self.badness(score) - self.badness(start)
        return worse_by > CLEARLY_WORSE * abs(start)

    def worst_first(self, scores: Mapping[Key, float]) -> list[Key]:
        """The keys of scores, the worst score first; of equal ones, in the order of `scores`."""
        return sorted(scores, key=lambda key: -self.badness(scores[key]))
