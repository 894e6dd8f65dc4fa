"""What a run's thread gets: continued, new bests, how it ended and how to go on, what the report found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.channel import Context
from services.delivery.snapshot import Snapshot
from services.slack.blocks import Message, code, context, escaped, message, section
from services.slack.run import REASON_LIMIT, Words, number
from utils.events import Event, FoldsJoined, ReportWritten, RunFailed, RunFinished, RunInterrupted
from utils.redact import redact

TAIL_LINES = 15
"""Of a traceback, in the message."""
WORST = 5
"""Classes with the lowest Dice that are named."""
LIST_LIMIT = 600
PATH_LIMIT = 300


def note_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """How a run ended; None for an event that ends none."""
    if isinstance(event, RunFinished):
        return finished_note(event, now, about)
    if isinstance(event, RunInterrupted):
        return interrupted_note(event, about, owner)
    return failed_note(event, now, about, owner) if isinstance(event, RunFailed) else None


def resumed_note(now: Snapshot, about: Context) -> Message:
    """The run goes on, perhaps on another host."""
    host = escaped(about.facts.host, PATH_LIMIT)
    told = Words(about).say("slack_resumed", epoch=now.epoch, epochs=now.epochs, host=host)
    return message(told, [section(told)])


def best_note(now: Snapshot, before: float, about: Context) -> Message:
    """A new best score, and by how much it beats the one told before."""
    words, best = Words(about), now.best or 0.0
    epoch = now.best_epoch or now.epoch
    shown = {"best": number(best), "epoch": epoch, "change": f"{best - before:+.4f}"}
    told = words.say("slack_new_best", **shown)
    return message(told, [section(told)])


def finished_note(event: RunFinished, now: Snapshot, about: Context) -> Message:
    """Done as planned, or stopped early, and with what."""
    words = Words(about)
    told = words.say(
        "slack_stopped_early" if event.stopped_early else "slack_done",
        title=words.title,
        best=number(now.best),
        epoch=event.best_epoch + 1,
        epochs=event.epochs_done,
        time=words.time(event.seconds),
    )
    return message(told, [section(told)])


def interrupted_note(event: RunInterrupted, about: Context, owner: str | None) -> Message:
    """Somebody or some queue stopped it; the owner is called where it was not done by hand."""
    words = Words(about)
    signal = words.say("slack_signal", signal=escaped(event.signal, 40)) if event.signal else None
    told = words.say(
        "slack_interrupted", title=words.title, epoch=event.epoch + 1, signal=signal or words.say("slack_no_signal")
    )
    told = _to(owner if event.signal not in (None, "SIGINT") else None, told)
    return message(told, [section(told), *words.way_on(event.command)])


def failed_note(event: RunFailed, now: Snapshot, about: Context, owner: str | None) -> Message:
    """What went wrong, and how to go on."""
    words = Words(about)
    where = words.say("slack_where", epoch=now.epoch) if now.epoch else ""
    told = _to(owner, words.say(f"slack_fault_{event.fault}", title=words.title, where=where))
    reason = escaped(event.reason, REASON_LIMIT)
    blocks = [section(told), section(reason) if reason else None, *words.way_on(event.command)]
    return message(f"{told} {reason}", blocks)


def trace_note(event: RunFailed, about: Context, *, file_follows: bool) -> Message:
    """The end of the traceback, and where all of it is."""
    words = Words(about)
    told = words.say("slack_trace_below" if file_follows else "slack_trace_here")
    tail = "\n".join(trace_of(event).splitlines()[-TAIL_LINES:])
    return message(told, [code(tail, keep="tail"), context(told)])


def trace_of(event: RunFailed) -> str:
    """The traceback without secrets."""
    return redact(event.trace).strip("\n")


def report_note(event: ReportWritten, about: Context, missing: Sequence[str]) -> Message:
    """Where the report lies, the classes that need a look, and which pictures are no longer on disk."""
    words = Words(about)
    place = {"path": escaped(str(event.report), PATH_LIMIT), "host": escaped(about.facts.host, PATH_LIMIT)}
    lines = [words.say("slack_report", **place), *_lowest(words, event.dice_per_class)]
    if missing:
        lines.append(words.say("slack_not_on_disk", titles=escaped(", ".join(missing), LIST_LIMIT)))
    told = "\n".join(lines)
    return message(told, [section(told)])


def folds_note(event: FoldsJoined, about: Context) -> Message:
    """What the folds scored together: mean and spread."""
    words = Words(about)
    spread = number(event.spread)
    shown = {"title": words.title, "folds": event.folds, "mean": number(event.mean), "spread": spread}
    told = "\n".join([words.say("slack_folds", **shown), *_lowest(words, event.dice_per_class)])
    path, host = escaped(str(event.report), PATH_LIMIT), escaped(about.facts.host, PATH_LIMIT)
    return message(told, [section(told), context(words.say("slack_report", path=path, host=host))])


def _lowest(words: Words, dice_per_class: Mapping[str, float]) -> list[str]:
    lowest = sorted(dice_per_class.items(), key=lambda item: item[1])[:WORST]
    named = ", ".join(f"{name} {dice:.3f}" for name, dice in lowest)
    return [words.say("slack_lowest", classes=escaped(named, LIST_LIMIT))] if lowest else []


def _to(owner: str | None, told: str) -> str:
    return f"<@{owner}> {told}" if owner else told
