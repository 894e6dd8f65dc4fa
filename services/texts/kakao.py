"""Lines of KakaoTalk messages in English and Korean; a message of 200 characters holds four or five of them."""

from __future__ import annotations

from services.channel import Language

KAKAO_TEXTS: dict[str, dict[Language, str]] = {
    "kakao_started": {"en": "▶ Training started: {title}", "ko": "▶ 학습 시작: {title}"},
    "kakao_resumed": {"en": "▶ Training resumed: {title}", "ko": "▶ 학습 재개: {title}"},
    "kakao_done": {"en": "✅ Training done: {title}", "ko": "✅ 학습 완료: {title}"},
    "kakao_stopped_early": {"en": "✅ Training stopped early: {title}", "ko": "✅ 학습 조기 종료: {title}"},
    "kakao_joined": {"en": "✅ All {folds} folds done: {title}", "ko": "✅ {folds}개 폴드 모두 완료: {title}"},
    "kakao_interrupted": {"en": "⏹ Training interrupted: {title}", "ko": "⏹ 학습 중단: {title}"},
    "kakao_failed": {"en": "❌ Training failed: {title}", "ko": "❌ 학습 실패: {title}"},
    "kakao_plan": {"en": "{count}, {images} images, {device}", "ko": "{count}, 이미지 {images}장, {device}"},
    "kakao_best": {"en": "Best {metric} {score} {at} of {total}", "ko": "최고 {metric} {score} (전체 {count} 중 {at})"},
    "kakao_mean": {"en": "Mean {metric} {score}", "ko": "평균 {metric} {score}"},
    "kakao_saved": {
        "en": "Stopped {at}{by}. Saved, can be resumed.",
        "ko": "{at}에서 중단{by}. 저장되었고 이어서 학습할 수 있습니다.",
    },
    "kakao_memory": {"en": "Out of memory.", "ko": "메모리 부족."},
    "kakao_nan": {"en": "Loss is not finite.", "ko": "손실값이 NaN 또는 Inf."},
    "kakao_took": {"en": "Took {time}", "ko": "소요 시간 {time}"},
    "kakao_where": {"en": "{host}, {user}", "ko": "{host}, {user}"},
    "kakao_late": {"en": "Happened at {time}, told late", "ko": "{time}에 발생, 늦게 전송됨"},
    "kakao_button": {"en": "Open", "ko": "열기"},
}
