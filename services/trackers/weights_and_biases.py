"""Weights & Biases: the curves and settings of a run, sent to its server or kept in `wandb/` of the run's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from services.channel import RunFacts
from services.secrets import Secrets
from services.trackers.shared import Tracker, refuse_missing, without_secrets
from utils.errors import UserError
from utils.files import write_text

if TYPE_CHECKING:
    from wandb import Run

KEY = "WANDB_API_KEY"
START_S, END_S = 30.0, 60.0
"""How long a run waits at its start and end for the server. What was not sent by then stays in the run's folder."""


def wandb(
    facts: RunFacts,
    *,
    project: str = "carpus",
    entity: str | None = None,
    mode: Literal["online", "offline"] = "online",
) -> WeightsAndBiases:
    """Curves and settings in Weights & Biases. Secret, unless offline: WANDB_API_KEY. Needs requirements-wandb.txt.

    project, entity: where the run is shown; null: your own. mode: "offline" sends nothing and keeps all in `wandb/` of
    the run's folder, for `wandb sync`.
    """
    refuse_missing("wandb")
    key = Secrets().get(KEY)
    if mode == "online" and not key:
        raise UserError(f"{KEY} is not set. Put it into .env (see .env.example), or write mode: offline.")
    return WeightsAndBiases(facts, key, project=project, entity=entity, mode=mode)


class WeightsAndBiases(Tracker):
    """Sends the numbers of each epoch under the run's own id, which a resumed run goes on with.

    Neither console, code, command nor figures of the system are recorded. All points are kept in `wandb/points.jsonl`
    too: W&B writes some later, so those of a run that was killed would be lost. A resumed run logs them again, online
    those that the server does not have, and offline all, in one new folder in place of the earlier ones.
    """

    run: Run

    def __init__(self, facts: RunFacts, key: str | None, *, project: str, entity: str | None, mode: str) -> None:
        super().__init__(facts)
        self.place: dict[str, Any] = {"project": project, "entity": entity, "mode": mode}
        self.key = key

    def start(self, done: int) -> None:
        """Begin or continue the run in W&B, with the points up to step `done` of earlier sessions."""
        earlier = list(self._points.parent.glob(f"offline-run-*-{self.facts.run_id}"))
        points = [point for point in self._read_points() if point[0] <= done]
        self.run = self._init()
        write_text(self._points, "".join(json.dumps(point) + "\n" for point in points))
        for step, numbers in points:
            if step >= self.run.step:
                self.run.log(numbers, step=step)
        if self.place["mode"] == "offline":
            for folder in earlier:
                shutil.rmtree(folder)

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        with self._points.open("a", encoding="utf-8") as file:
            file.write(json.dumps((step, numbers)) + "\n")
        self.run.log(dict(numbers), step=step)

    def end(self, *, is_finished: bool) -> None:
        self.run.finish(exit_code=0 if is_finished else 1)

    def _init(self) -> Run:
        import wandb

        settings: dict[str, Any] = dict.fromkeys(("silent", "disable_git", "disable_code"), True)
        settings |= dict.fromkeys(("x_disable_meta", "x_disable_machine_info", "x_disable_stats"), True)
        settings |= {"console": "off", "x_save_requirements": False, "api_key": self.key}
        settings |= {"init_timeout": START_S, "finish_timeout": END_S}
        return wandb.init(
            **self.place,
            dir=str(self.facts.folder),
            id=self.facts.run_id,
            resume="allow",
            name=self.facts.title,
            config=without_secrets(self.facts.config),
            settings=wandb.Settings(**settings),
        )

    @property
    def _points(self) -> Path:
        return self.facts.folder / "wandb" / "points.jsonl"

    def _read_points(self) -> list[tuple[int, dict[str, float]]]:
        """Return the points of earlier sessions, each step once; a last line that a kill has cut short is left out."""
        if not self._points.is_file():
            return []
        lines = self._points.read_text(encoding="utf-8").split("\n")[:-1]
        return list({step: (step, numbers) for step, numbers in map(json.loads, lines)}.values())
