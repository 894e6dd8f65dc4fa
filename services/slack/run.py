"""The message of a run, which is edited during the run: state, progress bar and the most important numbers."""

from __future__ import annotations

import time

from services.channel import Context, RunFacts
from services.delivery.snapshot import Snapshot, State
from services.slack.blocks import Block, Message, code, context, escaped, fields, header, message, section
from services.texts import Counted, counted, duration, text
from utils.rounds import Rounds, counted_in

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
NOT_KNOWN = "–"
REASON_LIMIT = 1500
TITLE_LIMIT = 200
"""Limit of a run's title within a sentence, in UTF-16 units."""


def run_message(now: Snapshot, context_: Context) -> Message:
    """The message that shows the state of a run."""
    words = RunTexts(context_)
    state = text(words.language, now.state)
    blocks = [
        header(f"{EMOJI[now.state]} {state} · {context_.facts.title}"),
        code(f"{bar(now.fraction)}  {_percent(now.fraction)}"),
        fields(words.figures(now)),
        section(escaped(now.reason, REASON_LIMIT)) if now.reason else None,
        *words.resume_blocks(now.command),
        context(words.origin(now)),
    ]
    return message(f"{EMOJI[now.state]} {words.line(now)}", blocks)


def bar(fraction: float) -> str:
    """A bar of full and empty cells; all are full only at the end.

    It is shown in a code block, because there both signs have the same width, and inline code is red in Slack.
    """
    full = int(min(max(fraction, 0.0), 1.0) * CELLS)
    return "█" * full + "░" * (CELLS - full)


class RunTexts:
    """Texts with a run's numbers in the team's language."""

    def __init__(self, context_: Context) -> None:
        self.facts, self.language = context_.facts, context_.language

    @property
    def title(self) -> str:
        return escaped(self.facts.title, TITLE_LIMIT)

    def say(self, name: str, **values: object) -> str:
        return text(self.language, name, metric=self.facts.metric.label, **values)

    def counted(self, rounds: Rounds | None, kind: Counted, number: int, **values: object) -> str:
        """A number of epochs or steps in words, see `services.texts.counted`."""
        return counted(self.language, rounds, kind, number, **values)

    def time(self, seconds: float | None) -> str:
        return NOT_KNOWN if seconds is None else duration(self.language, max(seconds, 0.0))

    def figures(self, now: Snapshot) -> list[tuple[str, str]]:
        """Eight pairs of label and value, for two columns of four."""
        return [
            (self.say(f"slack_{counted_in(now.rounds)}"), f"{now.done}/{now.total}" if now.total else NOT_KNOWN),
            self._time(now),
            (self.say("slack_loss"), number(now.loss)),
            (self.say("slack_score"), number(now.score)),
            (self.say("slack_best"), self.best(now)),
            (self.say("slack_learning_rate"), _rate(now.learning_rate)),
            (self.say("slack_data_wait"), _percent(now.data_wait_share)),
            (self.say("slack_device"), self._device(now)),
        ]

    def best(self, now: Snapshot) -> str:
        if now.best is None or now.best_at is None:
            return number(now.best)
        return self.say("slack_best_at", value=number(now.best), point=self.counted(now.rounds, "point", now.best_at))

    def line(self, now: Snapshot) -> str:
        """The state of a run in one line, for notifications."""
        parts = [self.say("slack_line", title=self.title, state=text(self.language, now.state))]
        if now.total:
            parts.append(self.counted(now.rounds, "of", now.done, total=now.total))
        if now.best is not None:
            parts.append(self.say("slack_line_best", best=number(now.best)))
        return ", ".join(parts)

    def resume_blocks(self, command: str | None) -> list[Block]:
        """Blocks with the command that continues the run, if there is one."""
        return [section(self.say("slack_continue")), code(command)] if command else []

    def origin(self, now: Snapshot) -> str:
        """User, host, precision, images, commit and time in one line."""
        parts = [f"{self.facts.user}@{self.facts.host}", now.precision, self._images(now), _commit(self, self.facts)]
        shown = [escaped(part, TITLE_LIMIT) for part in parts if part]
        if now.told_s is not None:
            shown.append(self.say("slack_updated", time=moment(now.told_s)))
        return " · ".join(shown)

    def _time(self, now: Snapshot) -> tuple[str, str]:
        if now.is_over:
            return self.say("slack_took"), self.time(now.seconds or _between(now.started_s, now.told_s))
        return self.say("slack_left"), self.time(now.left_s)

    def _device(self, now: Snapshot) -> str:
        peak_mib = now.figures.get("memory_peak_mib")
        memory = self.say("slack_memory", gib=peak_mib / 1024) if peak_mib else ""
        return "\n".join(part for part in (now.device, memory) if part) or NOT_KNOWN

    def _images(self, now: Snapshot) -> str:
        return self.say("slack_images", train=now.train_images, valid=now.valid_images) if now.train_images else ""


def moment(at_s: float) -> str:
    """A time that Slack shows in the reader's time zone, or in UTC if it cannot."""
    plain = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))
    return f"<!date^{int(at_s)}^{{date_short_pretty}} {{time}}|{plain}>"


def number(value: float | None) -> str:
    """A loss or a score in four digits."""
    return NOT_KNOWN if value is None else f"{value:.4f}"


def _between(start_s: float | None, end_s: float | None) -> float | None:
    """The seconds between two moments; None if one is not known, or if a clock was set back."""
    return None if start_s is None or end_s is None or end_s < start_s else end_s - start_s


def _rate(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.2e}"


def _percent(share: float | None) -> str:
    return NOT_KNOWN if share is None else f"{share:.0%}"


def _commit(words: RunTexts, facts: RunFacts) -> str:
    if not facts.commit:
        return ""
    commit = facts.commit[:8]
    return words.say("slack_changed_code", commit=commit) if facts.dirty else commit
