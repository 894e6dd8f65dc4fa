from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from services.channel import Language, QueuedEvent
from services.kakao.text import LIMIT, fit, template_of
from services.texts import shortened, units
from tests.services.kakao.runs import END, START, facts
from utils.events import Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted
from utils.rounds import Rounds

FOLDER = Path("runs/mine")
LONG = "가나다라마바사아자차카타파하" * 40
EVENTS: dict[str, Event] = {
    "start": START,
    "resumed": RunStarted("mine", FOLDER, 50, 7, 640, 160, "Tesla V100", "fp16"),
    "end": END,
    "early": RunFinished("mine", FOLDER, 20, 0.9, 12, 40.0, True),
    "folds": FoldsJoined("mine", FOLDER, 5, 0.97, 0.003, FOLDER / "report.html"),
    "interrupted": RunInterrupted("mine", FOLDER, 3, 17, "python train.py --resume", "SIGTERM"),
    "failed": RunFailed("mine", FOLDER, "The loss became NaN in epoch 4.\n  Lower the learning rate.", fault="nan"),
    "memory": RunFailed("mine", FOLDER, f"CUDA out of memory. {LONG}", fault="memory"),
    "lost": RunFailed("mine", FOLDER, "It was killed.", fault="lost"),
}


def words(
    event: Event, language: Language = "en", link: str | None = None, title: str = "mine", late_s: float = 0
) -> str:
    queued = QueuedEvent("e1", 1_800_000_000.0, event)
    found = template_of(language, facts(FOLDER, title), queued, link, now_s=queued.at_s + late_s)
    return str(found["text"])


def test_what_people_read() -> None:
    assert words(START) == "▶ Training started: mine\n50 epochs, 640 images, Tesla V100\nv100-1, kim"
    assert words(START, "ko") == "▶ 학습 시작: mine\n50 에폭, 이미지 640장, Tesla V100\nv100-1, kim"
    assert words(END) == "✅ Training done: mine\nBest Dice 0.9712 in epoch 37 of 50\nTook 2 h 05 min\nv100-1, kim"
    assert words(END, "ko") == (
        "✅ 학습 완료: mine\n최고 Dice 0.9712 (전체 50 에폭 중 37 에폭)\n소요 시간 2시간 05분\nv100-1, kim"
    )
    assert words(EVENTS["folds"]) == "✅ All 5 folds done: mine\nMean Dice 0.9700 ± 0.0030\nv100-1, kim"
    assert words(EVENTS["early"], "ko").startswith("✅ 학습 조기 종료: mine\n최고 Dice 0.9000")
    assert words(EVENTS["interrupted"], "ko") == (
        "⏹ 학습 중단: mine\n4 에폭에서 중단 (SIGTERM). 저장되었고 이어서 학습할 수 있습니다.\nv100-1, kim"
    )
    assert words(EVENTS["failed"]) == (
        "❌ Training failed: mine\n"
        "Loss is not finite. The loss became NaN in epoch 4. Lower the learning rate.\n"
        "v100-1, kim"
    )
    assert words(EVENTS["resumed"]).startswith("▶ Training resumed: mine")
    assert words(EVENTS["lost"], "ko").startswith("❌ 학습 실패: mine\nIt was killed.")


def test_a_run_by_steps_is_told_of_in_steps() -> None:
    rounds = Rounds(20000, 2000)
    start = RunStarted("mine", FOLDER, 10, 0, 640, 160, "Tesla V100", "fp16", rounds=rounds)
    end = RunFinished("mine", FOLDER, 10, 0.9712, 7, 7500.0, False, rounds=rounds)
    stop = RunInterrupted("mine", FOLDER, 3, 17, "again", steps_done=6017, rounds=rounds)
    assert "20000 steps, 640 images" in words(start)
    assert "20000 스텝, 이미지 640장" in words(start, "ko")
    assert "Best Dice 0.9712 at step 16000 of 20000" in words(end)
    assert "최고 Dice 0.9712 (전체 20000 스텝 중 16000 스텝)" in words(end, "ko")
    assert "Stopped at step 6017. Saved, can be resumed." in words(stop)
    assert "6017 스텝에서 중단. 저장되었고" in words(stop, "ko")


LINKS = (
    None,
    "https://mlflow.example/#/experiments/1/runs/0123456789abcdef0123456789abcdef",
    "https://x.example/" + "y" * 120,
)
TITLES = ("mine", LONG, "😀" * 150, "mine/" + "a" * 300 + "/fold2")


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", EVENTS)
def test_no_message_is_too_long_and_no_link_is_cut(name: str, language: Language) -> None:
    for link, title in product(LINKS, TITLES):
        queued = QueuedEvent("e1", 0.0, EVENTS[name])
        known = facts(FOLDER, title, host="h" * 100, user="ü" * 100)
        made = template_of(language, known, queued, link, now_s=1e6)
        assert 0 < units(made["text"]) <= LIMIT
        assert made["object_type"] == "text"
        assert made["link"] == ({"web_url": link, "mobile_web_url": link} if link else {})
        assert title[-5:] in made["text"] or name == "folds"
        if link and len(link) < 100:
            assert made["text"].endswith(f"\n{link}")


def test_a_late_message_says_when_it_happened() -> None:
    assert "told late" not in words(END, late_s=60)
    assert "01-15" in words(END, late_s=3600)


def test_lines_fill_what_room_there_is() -> None:
    assert fit(["head", "x" * 50, "tail"], None, 40) == "head\n" + "x" * 34 + "…"
    assert fit(["head", "x" * 50, "tail"], None, 20) == "head\ntail"
    assert fit(["head", "tail"], "http://l", 20) == "head\ntail\nhttp://l"
    assert fit(["head" * 9, "tail"], "http://l", 20) == "headheadhe…\nhttp://l"


def test_a_character_outside_the_basic_plane_is_never_halved() -> None:
    assert shortened("a😀😀", 4) == "a😀…"
    assert shortened("a😀😀", 3) == "a…"
    assert units("😀") == 2
