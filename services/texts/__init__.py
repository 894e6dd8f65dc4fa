"""All sentences that channels send to people, in English and Korean: one table, two columns; and how texts are cut."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal

from services.channel import Language
from services.texts.kakao import KAKAO_TEXTS
from services.texts.slack import SLACK_TEXTS
from utils.rounds import Rounds, counted_in

Counted = Literal["at", "point", "count", "of", "from"]

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
    "at_epoch": {"en": "in epoch {number}", "ko": "{number} 에폭"},
    "at_step": {"en": "at step {number}", "ko": "{number} 스텝"},
    "point_epoch": {"en": "epoch {number}", "ko": "{number} 에폭"},
    "point_step": {"en": "step {number}", "ko": "{number} 스텝"},
    "count_epoch": {"en": "{number} epochs", "ko": "{number} 에폭"},
    "count_step": {"en": "{number} steps", "ko": "{number} 스텝"},
    "from_epoch": {"en": "in epoch {number} of {total}", "ko": "{number}/{total} 에폭"},
    "from_step": {"en": "at step {number} of {total}", "ko": "{number}/{total} 스텝"},
    "of_epoch": {"en": "epoch {number} of {total}", "ko": "{number}/{total} 에폭"},
    "of_step": {"en": "step {number} of {total}", "ko": "{number}/{total} 스텝"},
    "fell_below_start": {
        "en": "{metric} fell from {start} at the start to {score} {at}: training destroys what the pretrained weights "
        "know. Lower optimizer.lr, begin with a warm-up (scheduler: cosine with warmup_steps, or one_cycle), set "
        "trainer.clip_norm=1, or keep the norms: trainer.freeze_norms=true, and for folded norms "
        "trainer.calibrate_norms=10 too.",
        "ko": "{metric}가 학습 시작 시 {start}에서 {at} {score}로 떨어졌습니다. 학습이 사전 학습된 가중치를 망가뜨리고 "
        "있습니다. optimizer.lr을 낮추거나, 워밍업(scheduler: warmup_steps를 쓰는 cosine, 또는 one_cycle)을 쓰거나, "
        "trainer.clip_norm=1을 주거나, 정규화를 고정하세요(trainer.freeze_norms=true, 합쳐진 정규화라면 "
        "trainer.calibrate_norms=10도).",
    },
    **SLACK_TEXTS,
    **KAKAO_TEXTS,
}
"""Sentences by name and language. States have the names of `services.delivery.snapshot.State`."""


def text(language: Language, name: str, **values: Any) -> str:
    """A sentence in a language, with `values` in its `{fields}`."""
    return TEXTS[name][language].format(**values)


def counted(language: Language, rounds: Rounds | None, kind: Counted, number: int, **values: Any) -> str:
    """A number of epochs, or of optimizer steps if the training has `rounds`, in words of a kind.

    `at`: in epoch 3; `point`: epoch 3; `count`: 3 epochs; `of`: epoch 3 of 10, and
    `from`: in epoch 3 of 10, with the value `total`.
    """
    return text(language, f"{kind}_{counted_in(rounds)}", number=number, **values)


def shortened(text: str, limit: int) -> str:
    """Truncate a text to `limit` units; it then ends with `…`. An entity such as `&amp;` is not split."""
    return "".join(fitting(re.findall(r"&(?:amp|lt|gt);|.", text, re.DOTALL), limit))


def fitting(pieces: Sequence[str], limit: int) -> list[str]:
    """The first pieces, `limit` units at most; if some are left out, `…` is the last."""
    ends = list(accumulate(map(units, pieces)))
    if not ends or ends[-1] <= limit:
        return list(pieces)
    return [*pieces[: bisect_right(ends, limit - 1)], "…"]


def units(text: str) -> int:
    """The length of a text in UTF-16 units, the strictest of the ways in which services may count characters."""
    return len(text) + sum(character > "\uffff" for character in text)


def duration(language: Language, seconds: float) -> str:
    """A time span in its two largest units: `2 h 05 min`, `12 min`, `40 s`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s" if language == "en" else f"{round(seconds)}초"
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min" if language == "en" else f"{minutes}분"
    return f"{hours} h {rest:02d} min" if language == "en" else f"{hours}시간 {rest:02d}분"
