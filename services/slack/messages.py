"""A run's messages in Slack: the one that is edited during the run, the notes in its thread, and their files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.channel import Context, RunFacts
from services.delivery.snapshot import Snapshot, State
from services.slack.blocks import (
    Block,
    File,
    Message,
    code,
    context,
    escaped,
    fields,
    header,
    message,
    paragraph,
    section,
)
from services.texts import text
from services.texts.sentences import NOT_KNOWN, VALUE_LIMIT, Words, number, sentence_of
from utils.events import EpochEnded, Event, FoldsJoined, ReportWritten, RunFailed, RunInterrupted, RunStarted
from utils.redact import redact
from utils.rounds import counted_in, done_after

EMOJI: dict[State, str] = {
    "starting": "⏳",
    "training": "🟢",
    "scoring": "🔍",
    "done": "✅",
    "stopped_early": "🏁",
    "interrupted": "⏸️",
    "failed": "❌",
    "lost": "💀",
}
CELLS = 20
TAIL_LINES = 15
"""Lines of a traceback that the message shows."""
WORST = 5
"""Classes with the worst scores that are named."""
AT_ONCE = 10
"""Files in one message, as many as a person may attach."""
REASON_LIMIT, LIST_LIMIT = 1500, 600


def words_of(about: Context) -> Words:
    return Words(about.facts, about.language, escaped, has_markup=True)


def run_message(now: Snapshot, about: Context) -> Message:
    """The message that shows the state of a run."""
    words = words_of(about)
    state = text(about.language, now.state)
    blocks = [
        header(f"{EMOJI[now.state]} {state} · {about.facts.title}"),
        code(f"{bar(now.fraction)}  {_percent(now.fraction)}"),
        fields(_figures(now, words)),
        section(escaped(now.reason, REASON_LIMIT)) if now.reason else None,
        *_how_to_continue(now.command, words),
        context(_origin(now, words)),
    ]
    line = [words.say("line", state=state)]  # for notifications
    if now.total:
        line.append(words.counted(now.rounds, "of", now.done, total=now.total))
    if now.best is not None:
        line.append(words.say("line_best", best=number(now.best)))
    return message(f"{EMOJI[now.state]} {', '.join(line)}", blocks)


def bar(fraction: float) -> str:
    """A bar of full and empty cells; all are full only at the end.

    It is shown in a code block, because there both signs have the same width, and inline code is red in Slack.
    """
    full = int(min(max(fraction, 0.0), 1.0) * CELLS)
    return "█" * full + "░" * (CELLS - full)


def note_of(event: Event, now: Snapshot, about: Context, owner: str | None) -> Message | None:
    """The message about the start or end of a run, or of all folds; None for any other event.

    The owner is mentioned if the run failed, or was stopped by a signal other than Ctrl-C.
    """
    words = words_of(about)
    sentence = sentence_of(event, words, now)
    if isinstance(event, RunStarted):
        return run_message(now, about)
    if isinstance(event, FoldsJoined):
        sentence = "\n".join([sentence, *_lowest(event.score_per_class, words)])
        return message(sentence, [section(sentence), context(_place(event.report, words))])
    if not isinstance(event, RunInterrupted | RunFailed):
        return paragraph(sentence) if sentence else None
    reason = escaped(event.reason, REASON_LIMIT) if isinstance(event, RunFailed) else ""
    if isinstance(event, RunFailed) or event.signal not in (None, "SIGINT"):
        sentence = _to(owner, sentence)
    blocks = [section(sentence), section(reason) if reason else None, *_how_to_continue(event.command, words)]
    return message(f"{sentence} {reason}".strip(), blocks)


def resumed_note(event: RunStarted, about: Context) -> Message:
    """The run was resumed, perhaps on another host."""
    return paragraph(sentence_of(event, words_of(about)))


def best_note(now: Snapshot, before: float, about: Context) -> Message:
    """A new best score, and by how much it exceeds the one in the last message."""
    words, best = words_of(about), now.best or 0.0
    at = words.counted(now.rounds, "at", now.best_at or now.done)
    return paragraph(words.say("new_best", best=number(best), at=at, change=f"{best - before:+.4f}"))


def fell_note(event: EpochEnded, start: float, about: Context, owner: str | None) -> Message:
    """A score fell clearly below that of the pretrained weights."""
    words = words_of(about)
    at = words.counted(event.rounds, "at", done_after(event.epoch, event.rounds))
    why = words.say("fell_below_start", start=number(start), score=number(event.score), at=at)
    return paragraph(_to(owner, words.say("fell", why=escaped(why, REASON_LIMIT))))


def trace_note(event: RunFailed, about: Context, *, file_follows: bool) -> Message:
    """The end of the traceback, and where to find the rest."""
    sentence = words_of(about).say("trace_below" if file_follows else "trace_here")
    tail = "\n".join(_trace_of(event).splitlines()[-TAIL_LINES:])
    return message(sentence, [code(tail, keep="tail"), context(sentence)])


def trace_file(event: RunFailed, about: Context) -> File:
    """The whole traceback as a file, without secrets."""
    name = f"{about.facts.title.replace('/', '-')[:100]}-traceback.txt"
    content = _trace_of(event).encode("utf-8", "replace")
    return File(name, text(about.language, "trace_file"), content, snippet_type="python")


def _trace_of(event: RunFailed) -> str:
    return redact(event.trace).strip("\n")


def report_note(
    event: ReportWritten, about: Context, missing: Sequence[str], refused: Mapping[str, str] | None = None
) -> Message:
    """The path of the report, the classes with the lowest scores, and the pictures that are missing: those that are not
    on disk any more, and those that Slack refuses, with the reasons."""
    words = words_of(about)
    lines = [_place(event.report, words), *_lowest(event.score_per_class, words)]
    if missing:
        lines.append(words.say("not_on_disk", titles=escaped(", ".join(missing), LIST_LIMIT)))
    return paragraph("\n".join([*lines, *_refused(refused or {}, words)]))


def refused_note(refused: Mapping[str, str], about: Context) -> Message:
    """The files that Slack refuses, with the reasons; empty if there are none."""
    lines = _refused(refused, words_of(about))
    return message("\n".join(lines), map(section, lines))


def pictures_of(pictures: Mapping[str, Path]) -> tuple[list[File], list[str]]:
    """The pictures that are on disk, and the titles of those that are missing or empty."""
    found = {title: _has_content(path) for title, path in pictures.items()}
    files = [File(path.name, title[:VALUE_LIMIT], path) for title, path in pictures.items() if found[title]]
    return files, [title for title in pictures if not found[title]]


def _has_content(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _figures(now: Snapshot, words: Words) -> list[tuple[str, str]]:
    """Eight pairs of label and value, for two columns of four."""
    best, say = number(now.best), words.say
    if now.best is not None and now.best_at is not None:
        best = say("best_at", value=best, point=words.counted(now.rounds, "point", now.best_at))
    time_s = now.left_s
    if now.is_over:
        time_s = now.seconds or _between(now.started_s, now.told_s)
    return [
        (say(counted_in(now.rounds)), f"{now.done}/{now.total}" if now.total else NOT_KNOWN),
        (say("took" if now.is_over else "left"), words.time(time_s)),
        (say("loss"), number(now.loss)),
        (words.facts.metric.label, number(now.score)),
        (say("best"), best),
        (say("learning_rate"), NOT_KNOWN if now.learning_rate is None else f"{now.learning_rate:.2e}"),
        (say("data_wait"), _percent(now.data_wait_share)),
        (say("device"), _device(now, words)),
    ]


def _between(start_s: float | None, end_s: float | None) -> float | None:
    """The seconds between two moments; None if one is not known, or if a clock was set back."""
    return None if start_s is None or end_s is None or end_s < start_s else end_s - start_s


def _device(now: Snapshot, words: Words) -> str:
    peak_mib = now.figures.get("memory_peak_mib")
    memory = words.say("memory", gib=peak_mib / 1024) if peak_mib else ""
    return "\n".join(part for part in (now.device, memory) if part) or NOT_KNOWN


def _origin(now: Snapshot, words: Words) -> str:
    """User, host, precision, images, commit and time in one line; Slack shows the time in the reader's time zone."""
    facts = words.facts
    images = words.say("images", train=now.train_images, valid=now.valid_images) if now.train_images else ""
    parts = [f"{facts.user}@{facts.host}", now.precision, images, _commit(facts, words)]
    shown = [escaped(part, VALUE_LIMIT) for part in parts if part]
    if now.told_s is not None:
        plain = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now.told_s))
        shown.append(words.say("updated", time=f"<!date^{int(now.told_s)}^{{date_short_pretty}} {{time}}|{plain}>"))
    return " · ".join(shown)


def _commit(facts: RunFacts, words: Words) -> str:
    commit = (facts.commit or "")[:8]
    return words.say("changed_code", commit=commit) if commit and facts.dirty else commit


def _how_to_continue(command: str | None, words: Words) -> list[Block]:
    return [section(words.say("continue")), code(command)] if command else []


def _place(report: Path, words: Words) -> str:
    return words.say("report", path=escaped(str(report), 300), host=escaped(words.facts.host, VALUE_LIMIT))


def _refused(refused: Mapping[str, str], words: Words) -> list[str]:
    """A line for each reason."""
    titles: dict[str, list[str]] = {}
    for title, why in refused.items():
        titles.setdefault(why, []).append(title)
    return [
        words.say("refused", titles=escaped(", ".join(named), LIST_LIMIT), why=escaped(why, LIST_LIMIT))
        for why, named in titles.items()
    ]


def _lowest(score_per_class: Mapping[str, float], words: Words) -> list[str]:
    lowest = words.facts.metric.worst_first(score_per_class)[:WORST]
    named = ", ".join(f"{name} {score_per_class[name]:.3f}" for name in lowest)
    return [words.say("lowest", classes=escaped(named, LIST_LIMIT))] if lowest else []


def _percent(share: float | None) -> str:
    return NOT_KNOWN if share is None else f"{share:.0%}"


def _to(owner: str | None, sentence: str) -> str:
    return f"<@{owner}> {sentence}" if owner else sentence
