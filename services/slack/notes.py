"""Messages in a run's thread: resumed, new best, ended and how to continue, and the findings of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.channel import Context
from services.delivery.snapshot import Snapshot
from services.slack.blocks import Message, code, context, escaped, message, paragraph, section
from services.slack.run import REASON_LIMIT, RunTexts, number, run_message
from utils.events import (
    EpochEnded,
    Event,
    FoldsJoined,
    ReportWritten,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunStarted,
)
from utils.redact import redact
from utils.rounds import done_after

TAIL_LINES = 15
"""Lines of a traceback that the message shows."""
WORST = 5
"""Classes with the worst scores that are named."""
LIST_LIMIT = 600
PATH_LIMIT = 300


def note_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """The message about the start or end of a run, or of all folds; None for any other event."""
    if isinstance(event, RunStarted):
        return run_message(now, about)
    if isinstance(event, FoldsJoined):
        return folds_note(event, about)
    if isinstance(event, RunFinished):
        return finished_note(event, about)
    if isinstance(event, RunInterrupted):
        return interrupted_note(event, about, owner)
    return failed_note(event, now, about, owner) if isinstance(event, RunFailed) else None


def resumed_note(now: Snapshot, about: Context) -> Message:
    """The run was resumed, perhaps on another host."""
    words, host = RunTexts(about), escaped(about.facts.host, PATH_LIMIT)
    begin = words.counted(now.rounds, "from", now.done, total=now.total)
    sentence = words.say("slack_resumed", begin=begin, host=host)
    return paragraph(sentence)


def best_note(now: Snapshot, before: float, about: Context) -> Message:
    """A new best score, and by how much it exceeds the one in the last message."""
    words, best = RunTexts(about), now.best or 0.0
    at = words.counted(now.rounds, "at", now.best_at or now.done)
    shown = {"best": number(best), "at": at, "change": f"{best - before:+.4f}"}
    sentence = words.say("slack_new_best", **shown)
    return paragraph(sentence)


def fell_note(event: EpochEnded, start: float, about: Context, owner: str | None) -> Message:
    """A score fell clearly below that of the pretrained weights."""
    words = RunTexts(about)
    at = words.counted(event.rounds, "at", done_after(event.epoch, event.rounds))
    why = words.say("fell_below_start", start=number(start), score=number(event.score), at=at)
    sentence = _to(owner, words.say("slack_fell", title=words.title, why=escaped(why, REASON_LIMIT)))
    return paragraph(sentence)


def finished_note(event: RunFinished, about: Context) -> Message:
    """The run is done or was stopped early, with its best score."""
    words, rounds = RunTexts(about), event.rounds
    best_at, done = done_after(event.best_epoch, rounds), done_after(event.epochs_done - 1, rounds)
    sentence = words.say(
        "slack_stopped_early" if event.stopped_early else "slack_done",
        title=words.title,
        best=number(event.score),
        at=words.counted(rounds, "at", best_at),
        point=words.counted(rounds, "point", best_at),
        count=words.counted(rounds, "count", done),
        time=words.time(event.seconds),
    )
    return paragraph(sentence)


def interrupted_note(event: RunInterrupted, about: Context, owner: str | None) -> Message:
    """The run was stopped. The owner is mentioned if a signal other than Ctrl-C stopped it."""
    words = RunTexts(about)
    signal = words.say("slack_signal", signal=escaped(event.signal, 40)) if event.signal else None
    done = event.epoch + 1 if event.rounds is None else event.steps_done
    at = words.counted(event.rounds, "at", done)
    sentence = words.say("slack_interrupted", title=words.title, at=at, signal=signal or words.say("slack_no_signal"))
    sentence = _to(owner if event.signal not in (None, "SIGINT") else None, sentence)
    return message(sentence, [section(sentence), *words.resume_blocks(event.command)])


def failed_note(event: RunFailed, now: Snapshot, about: Context, owner: str | None) -> Message:
    """The reason of a failure, and the command that continues the run."""
    words = RunTexts(about)
    where = words.say("slack_where", at=words.counted(now.rounds, "at", now.done)) if now.total else ""
    sentence = _to(owner, words.say(f"slack_fault_{event.fault}", title=words.title, where=where))
    reason = escaped(event.reason, REASON_LIMIT)
    blocks = [section(sentence), section(reason) if reason else None, *words.resume_blocks(event.command)]
    return message(f"{sentence} {reason}", blocks)


def trace_note(event: RunFailed, about: Context, *, file_follows: bool) -> Message:
    """The end of the traceback, and where to find the rest."""
    words = RunTexts(about)
    sentence = words.say("slack_trace_below" if file_follows else "slack_trace_here")
    tail = "\n".join(trace_of(event).splitlines()[-TAIL_LINES:])
    return message(sentence, [code(tail, keep="tail"), context(sentence)])


def trace_of(event: RunFailed) -> str:
    """The traceback without secrets."""
    return redact(event.trace).strip("\n")


def report_note(
    event: ReportWritten, about: Context, missing: Sequence[str], refused: Mapping[str, str] | None = None
) -> Message:
    """The path of the report, the classes with the lowest scores, and the pictures that are missing: those that are not
    on disk any more, and those that Slack refuses, with the reasons."""
    words = RunTexts(about)
    place = {"path": escaped(str(event.report), PATH_LIMIT), "host": escaped(about.facts.host, PATH_LIMIT)}
    lines = [words.say("slack_report", **place), *_lowest(words, event.score_per_class)]
    if missing:
        lines.append(words.say("slack_not_on_disk", titles=escaped(", ".join(missing), LIST_LIMIT)))
    sentence = "\n".join([*lines, *_refused(words, refused or {})])
    return paragraph(sentence)


def refused_note(refused: Mapping[str, str], about: Context) -> Message:
    """The files that Slack refuses, with the reasons; empty if there are none."""
    lines = _refused(RunTexts(about), refused)
    return message("\n".join(lines), [section(line) for line in lines])


def folds_note(event: FoldsJoined, about: Context) -> Message:
    """Mean and spread of the folds' scores."""
    words = RunTexts(about)
    spread = number(event.spread)
    shown = {"title": words.title, "folds": event.folds, "mean": number(event.mean), "spread": spread}
    sentence = "\n".join([words.say("slack_folds", **shown), *_lowest(words, event.score_per_class)])
    path, host = escaped(str(event.report), PATH_LIMIT), escaped(about.facts.host, PATH_LIMIT)
    return message(sentence, [section(sentence), context(words.say("slack_report", path=path, host=host))])


def _refused(words: RunTexts, refused: Mapping[str, str]) -> list[str]:
    """A line for each reason."""
    titles: dict[str, list[str]] = {}
    for title, why in refused.items():
        titles.setdefault(why, []).append(title)
    return [
        words.say("slack_refused", titles=escaped(", ".join(named), LIST_LIMIT), why=escaped(why, LIST_LIMIT))
        for why, named in titles.items()
    ]


def _lowest(words: RunTexts, score_per_class: Mapping[str, float]) -> list[str]:
    lowest = words.facts.metric.worst_first(score_per_class)[:WORST]
    named = ", ".join(f"{name} {score_per_class[name]:.3f}" for name in lowest)
    return [words.say("slack_lowest", classes=escaped(named, LIST_LIMIT))] if lowest else []


def _to(owner: str | None, sentence: str) -> str:
    return f"<@{owner}> {sentence}" if owner else sentence
