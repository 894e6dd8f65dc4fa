"""All sentences that channels send to people, in English and Korean: one table, two columns."""

from __future__ import annotations

from typing import Any

from services.channel import Language
from services.texts.kakao import KAKAO_TEXTS
from services.texts.slack import SLACK_TEXTS

TEXTS: dict[str, dict[Language, str]] = {
    "starting": {"en": "starting", "ko": "준비 중"},
    "training": {"en": "training", "ko": "학습 중"},
    "scoring": {"en": "scoring", "ko": "평가 중"},
    "done": {"en": "done", "ko": "완료"},
    "stopped_early": {"en": "stopped early", "ko": "조기 종료"},
    "interrupted": {"en": "interrupted", "ko": "중단됨"},
    "failed": {"en": "failed", "ko": "실패"},
    "lost": {"en": "lost", "ko": "응답 없음"},
    "ended_without_a_word": {
        "en": "The process ended without a word: it was killed, or its machine ran out of memory.",
        "ko": "프로세스가 아무 말 없이 종료되었습니다. 강제 종료되었거나 서버 메모리가 부족했습니다.",
    },
    **SLACK_TEXTS,
    **KAKAO_TEXTS,
}
"""Sentences by name and language. States have the names of `services.delivery.snapshot.State`."""


def text(language: Language, name: str, **values: Any) -> str:
    """A sentence in a language, with `values` in its `{fields}`."""
    return TEXTS[name][language].format(**values)


def duration(language: Language, seconds: float) -> str:
    """A time span in its two largest units: `2 h 05 min`, `12 min`, `40 s`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s" if language == "en" else f"{round(seconds)}초"
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min" if language == "en" else f"{minutes}분"
    return f"{hours} h {rest:02d} min" if language == "en" else f"{hours}시간 {rest:02d}분"
