"""One sentence about each event that people hear of, the same in all channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.channel import Language, RunFacts
from services.delivery.snapshot import Snapshot
from services.texts import Counted, counted, duration, shortened, template
from utils.events import Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted
from utils.rounds import Rounds, done_after

NOT_KNOWN = "–"
VALUE_LIMIT = 200
"""Limit of a title or another value within a sentence, in UTF-16 units."""


@dataclass(frozen=True)
class Words:
    """Texts about a run in the team's language."""

    facts: RunFacts
    language: Language
    clean: Callable[[str, int], str] = shortened
    """Escapes a value for the channel, and truncates it to a number of units."""
    has_markup: bool = False
    """Whether `*…*` and `` `…` `` are shown as bold and code; else they are left out."""

    @property
    def title(self) -> str:
        return self.clean(self.facts.title, VALUE_LIMIT)

    def say(self, name: str, **values: object) -> str:
        sentence = template(self.language, name)
        if not self.has_markup:
            sentence = sentence.replace("*", "").replace("`", "")
        return sentence.format(**{"title": self.title, "metric": self.facts.metric.label, **values})

    def counted(self, rounds: Rounds | None, kind: Counted, number: int, **values: object) -> str:
        """A number of epochs or steps in words, see `services.texts.counted`."""
        return counted(self.language, rounds, kind, number, **values)

    def time(self, seconds: float | None) -> str:
        return NOT_KNOWN if seconds is None else duration(self.language, max(seconds, 0.0))


def sentence_of(event: Event, words: Words, now: Snapshot | None = None) -> str:
    """The sentence about a start, an end or all folds; empty for another event. `now`: how far a failed run was."""
    if isinstance(event, RunStarted):
        return _started(event, words)
    if isinstance(event, RunFinished):
        return _finished(event, words)
    if isinstance(event, RunInterrupted):
        done = event.epoch + 1 if event.rounds is None else event.steps_done
        by = words.say("signal", signal=words.clean(event.signal, 40)) if event.signal else words.say("no_signal")
        return words.say("stopped", at=words.counted(event.rounds, "at", done), signal=by)
    if isinstance(event, RunFailed):
        at = words.counted(now.rounds, "at", now.done) if now is not None and now.total else ""
        return words.say(f"fault_{event.fault}", where=words.say("failed_where", at=at) if at else "")
    if isinstance(event, FoldsJoined):
        return words.say("folds", folds=event.folds, mean=number(event.mean), spread=number(event.spread))
    return ""


def number(value: float | None) -> str:
    """A loss or a score in four digits."""
    return NOT_KNOWN if value is None else f"{value:.4f}"


def _started(event: RunStarted, words: Words) -> str:
    rounds, total = event.rounds, done_after(event.epochs - 1, event.rounds)
    if event.first_epoch:
        done = min(event.first_epoch + 1, event.epochs) if rounds is None else rounds.end(event.first_epoch - 1)
        host = words.clean(words.facts.host, VALUE_LIMIT)
        return words.say("resumed", begin=words.counted(rounds, "from", done, total=total), host=host)
    device = words.clean(event.device, VALUE_LIMIT)
    return words.say("started", count=words.counted(rounds, "count", total), images=event.train_images, device=device)


def _finished(event: RunFinished, words: Words) -> str:
    rounds, best_at = event.rounds, done_after(event.best_epoch, event.rounds)
    return words.say(
        "finished_early" if event.stopped_early else "finished",
        best=number(event.score),
        at=words.counted(rounds, "at", best_at),
        point=words.counted(rounds, "point", best_at),
        count=words.counted(rounds, "count", done_after(event.epochs_done - 1, rounds)),
        time=words.time(event.seconds),
    )
