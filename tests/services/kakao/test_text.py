from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from services.channel import Language, QueuedEvent
from services.kakao.text import LIMIT, fit, template_of
from services.texts import shortened, units
from tests.services.kakao.runs import END, START, facts
from utils.events import Event, FoldsJoined, RunFailed, RunFinished, RunInterrupted, RunStarted

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
    where = "\nv100-1, kim"
    assert words(START) == f"▶️ mine: training started, 50 epochs, 640 images, Tesla V100.{where}"
    assert words(START, "ko") == f"▶️ mine 학습을 시작했습니다. 50 에폭, 이미지 640장, Tesla V100.{where}"
    assert words(END) == f"✅ mine is done: best Dice 0.9712 in epoch 37, 50 epochs in 2 h 05 min.{where}"
    assert words(END, "ko") == (
        f"✅ mine 학습이 끝났습니다. 최고 Dice 0.9712 (37 에폭), 총 50 에폭, 2시간 05분 걸렸습니다.{where}"
    )
    assert words(EVENTS["folds"]) == f"🏁 mine: all 5 folds joined, Dice 0.9700 ± 0.0030{where}"
    assert words(EVENTS["early"], "ko").startswith("🏁 mine 조기 종료되었습니다. 13 에폭 이후 개선이 없어 20 에폭")
    assert (
        words(EVENTS["interrupted"], "ko")
        == f"⏸️ mine 4 에폭에서 중단되었습니다(SIGTERM). 상태는 저장되었습니다.{where}"
    )
    assert words(EVENTS["failed"]) == (
        "❌ mine stopped: the loss or the weights are not finite (NaN).\n"
        f"The loss became NaN in epoch 4. Lower the learning rate.{where}"
    )
    assert words(EVENTS["resumed"]) == f"▶️ mine: training goes on in epoch 8 of 50 on v100-1.{where}"
    assert words(EVENTS["lost"], "ko") == f"💀 mine 응답이 끊겼습니다.\nIt was killed.{where}"


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
        assert title[-5:] in made["text"]
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
