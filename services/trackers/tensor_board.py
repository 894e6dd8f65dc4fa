"""TensorBoard: the curves of a run in `tensorboard/` of its folder. `tensorboard --logdir runs` shows all runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from services.channel import RunFacts
from services.trackers.shared import Tracker, refuse_missing, without_secrets

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Point(NamedTuple):
    """A number of an earlier session."""

    name: str
    value: float
    step: int
    at_s: float


def tensorboard(facts: RunFacts) -> TensorBoard:
    """Curves of losses, scores and rates in TensorBoard's files, in the folder `tensorboard` of the run.

    Needs requirements-tensorboard.txt. `tensorboard --logdir runs` shows them.
    """
    refuse_missing("tensorboard")
    return TensorBoard(facts)


class TensorBoard(Tracker):
    """Writes the numbers of each epoch, and at the start the config without secrets.

    A resumed run keeps the points before its first epoch and writes all others anew, so none is there twice.
    """

    writer: SummaryWriter

    def start(self, done: int) -> None:
        """Begin a new file with the config and the earlier points up to step `done`; delete the earlier files."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self.facts.folder / "tensorboard"
        earlier = sorted(folder.glob("events.out.tfevents.*"))
        points = read_points(folder) if earlier else []
        self.writer = SummaryWriter(str(folder))
        config = yaml.safe_dump(without_secrets(self.facts.config), allow_unicode=True, sort_keys=False)
        self.writer.add_text("config", f"```yaml\n{config}```", done)
        for point in points:
            if point.step <= done:
                self.writer.add_scalar(point.name, point.value, point.step, walltime=point.at_s)
        self.writer.flush()
        for path in earlier:
            path.unlink()

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def end(self, *, is_finished: bool) -> None:
        self.writer.close()


def read_points(folder: Path) -> list[Point]:
    """Read the numbers in TensorBoard's files, each name and step once; the last one counts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 1})
    events.Reload()
    found = {
        (name, scalar.step): Point(name, scalar.value, scalar.step, scalar.wall_time)
        for name in events.Tags()["scalars"]
        for scalar in events.Scalars(name)
    }
    return list(found.values())
