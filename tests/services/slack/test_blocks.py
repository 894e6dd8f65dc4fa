from __future__ import annotations

import itertools
import string
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from services.channel import Language
from services.delivery.snapshot import Snapshot
from services.slack.blocks import Message, code, escaped, escaped_tail, fields, header, message, section
from services.slack.messages import bar, best_note, note_of, report_note, resumed_note, run_message, trace_note
from services.texts import fitting, shortened, units
from services.texts.table import TEXTS
from tests.services.slack.rules import fault_in_message, texts_of
from tests.services.slack.runs import FACTS, context, failed, finished, interrupted, report, started
from utils.events import FoldsJoined, RunFailed

LONG = "뼈<&>😀`*_~" * 800


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 149, 150])
@pytest.mark.parametrize("cut", [escaped, escaped_tail])
def test_texts_are_cut_to_the_limit_and_show_it(cut: Any, limit: int) -> None:
    found = cut(LONG, limit)
    assert units(found) <= limit
    assert "…" in found
    assert found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0


def test_a_text_is_read_no_farther_than_to_its_cut() -> None:
    """Counting the millions of characters of a long traceback took longer than the deadline of a delivery."""
    assert fitting(itertools.repeat("ab"), 5) == ["ab", "ab", "…"]
    assert len(escaped_tail("x" * 3_000_000, 100)) == 100


def test_the_tail_keeps_the_end() -> None:
    assert escaped_tail("0123456789", 4) == "…789"
    assert escaped("0123456789", 4) == "012…"
    assert escaped("0123", 4) == "0123"


@pytest.mark.parametrize(
    ("limit", "expected"), [(2, "a…"), (6, "a…"), (7, "a&amp;…"), (8, "a&amp;b…"), (11, "a&amp;b&lt;")]
)
def test_an_entity_is_never_cut_in_the_middle(limit: int, expected: str) -> None:
    assert shortened("a&amp;b&lt;", limit) == expected


def test_nobody_is_called_by_a_text_from_elsewhere() -> None:
    assert escaped("<!channel> <@U012AB3CD> & co", 100) == "&lt;!channel&gt; &lt;@U012AB3CD&gt; &amp; co"


def test_texts_lose_control_characters_secrets_and_what_is_no_unicode() -> None:
    assert escaped("a\x1b[31mb\x00\udcff xoxb-12-secret\n\tc", 100) == "a[31mb? ***\n\tc"


def test_a_text_cannot_leave_its_code_block() -> None:
    inside = code("before ``` <!channel> after")["text"]["text"]
    assert inside == "```before ''' &lt;!channel&gt; after```"
    assert code(LONG)["text"]["text"].endswith("…```")
    assert code(LONG, keep="tail")["text"]["text"].startswith("```…")


def test_blocks_beyond_what_slack_takes_are_left_out() -> None:
    assert len(message("x", [section("y")] * 80).blocks) == 50
    assert len(message("x", [section("y" * 3000)] * 10).blocks) == 4
    assert len(fields([("label", "value")] * 20)["fields"]) == 10
    assert units(header(LONG)["text"]["text"]) == 150


@pytest.mark.parametrize(("fraction", "full"), [(-1.0, 0), (0.0, 0), (0.5, 10), (0.999, 19), (1.0, 20), (2.0, 20)])
def test_the_bar_is_full_only_at_the_end(fraction: float, full: int) -> None:
    assert bar(fraction) == "█" * full + "░" * (20 - full)


@pytest.mark.parametrize("language", get_args(Language))
def test_no_length_breaks_a_message(tmp_path: Path, language: Language) -> None:
    for made in every_message(context(tmp_path, language=language), "x"):
        assert fault_in_message(plain(made)) is None
    for made in every_message(context(tmp_path, language=language), LONG):
        assert fault_in_message(plain(made)) is None
        assert units(made.in_full) <= 4000
        assert all(text.count("```") % 2 == 0 for block in made.blocks for text in texts_of(block))


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_has_the_same_places_in_both_languages(name: str) -> None:
    english, korean = map(places_in, TEXTS[name])
    assert english == korean


def places_in(text: str) -> set[str | None]:
    return {place for _, place, _, _ in string.Formatter().parse(text)} - {None}


def every_message(about: Any, text: str) -> list[Message]:
    """All that may be said, with one text wherever there is one."""

    facts = replace(FACTS, title=text, host=text, user=text, commit=text, name=text, command=text, dirty=True)
    about = replace(about, facts=facts)
    now = Snapshot("failed", 3, 4, device=text, precision=text, reason=text, command=text, train_images=1, told_s=1e9)
    classes = {f"{text}{number}": 0.5 for number in range(40)}
    lost = RunFailed(text, Path("x"), text, text, "lost", "\n".join([text] * 30))
    folds = FoldsJoined(text, Path("x"), 5, 0.9, None, Path(text[:100]), classes)
    owner = "U012AB3CD"
    ends = [note_of(event, now, about, owner) for event in (finished(), interrupted(text), failed(text), lost, folds)]
    written = replace(report(), score_per_class=classes, report=Path(text))
    notes = [resumed_note(started(1), about), best_note(now, 0.1, about)]
    notes += [trace_note(lost, about, file_follows=False), report_note(written, about, [text] * 30)]
    return [run_message(now, about), *notes, *(note for note in ends if note)]


def plain(made: Message) -> dict[str, Any]:
    return {"text": made.text, "blocks": list(made.blocks)}
