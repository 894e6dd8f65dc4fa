"""Texts of Slack messages in English and Korean, part of the table in `services.texts`.

Values such as `{title}` and `{host}` must be escaped by the caller. `*…*` is bold in Slack.
"""

from __future__ import annotations

from typing import Literal

SLACK_TEXTS: dict[str, dict[Literal["en", "ko"], str]] = {
    "slack_epoch": {"en": "Epoch", "ko": "에폭"},
    "slack_step": {"en": "Step", "ko": "스텝"},
    "slack_left": {"en": "Time left", "ko": "남은 시간"},
    "slack_took": {"en": "Ran for", "ko": "소요 시간"},
    "slack_loss": {"en": "Training loss", "ko": "학습 손실"},
    "slack_best": {"en": "Best {metric}", "ko": "최고 {metric}"},
    "slack_learning_rate": {"en": "Learning rate", "ko": "학습률"},
    "slack_data_wait": {"en": "Waiting for data", "ko": "데이터 대기"},
    "slack_device": {"en": "Device", "ko": "장치"},
    "slack_score": {"en": "{metric}", "ko": "{metric}"},
    "slack_best_at": {"en": "{value} ({point})", "ko": "{value} ({point})"},
    "slack_memory": {"en": "peak {gib:.1f} GiB", "ko": "최대 {gib:.1f} GiB"},
    "slack_images": {"en": "{train} images, {valid} held out", "ko": "학습 {train}장, 검증 {valid}장"},
    "slack_changed_code": {"en": "{commit} with changes", "ko": "{commit} (수정 있음)"},
    "slack_updated": {"en": "updated {time}", "ko": "갱신 {time}"},
    "slack_line": {"en": "{title}: {state}", "ko": "{title}: {state}"},
    "slack_line_best": {"en": "best {metric} {best}", "ko": "최고 {metric} {best}"},
    "slack_resumed": {
        "en": "▶️ Training goes on {begin} on {host}.",
        "ko": "▶️ {host}에서 학습을 이어갑니다. ({begin}부터)",
    },
    "slack_new_best": {
        "en": "🏆 New best {metric}: *{best}* {at} ({change})",
        "ko": "🏆 최고 {metric} 갱신: *{best}*, {at} ({change})",
    },
    "slack_done": {
        "en": "✅ *{title}* is done: best {metric} *{best}* {at}, {count} in {time}.",
        "ko": "✅ *{title}* 학습이 끝났습니다. 최고 {metric} *{best}* ({at}), 총 {count}, {time} 걸렸습니다.",
    },
    "slack_stopped_early": {
        "en": "🏁 *{title}* stopped early after {count}, with nothing better since {point}: "
        "best {metric} *{best}*, {time}.",
        "ko": "🏁 *{title}* 조기 종료되었습니다. {point} 이후 개선이 없어 {count}에서 멈췄습니다. "
        "최고 {metric} *{best}*, {time} 걸렸습니다.",
    },
    "slack_interrupted": {
        "en": "⏸️ *{title}* was stopped {at}, {signal}. Its state is saved.",
        "ko": "⏸️ *{title}* {at}에서 중단되었습니다({signal}). 상태는 저장되었습니다.",
    },
    "slack_signal": {"en": "by {signal}", "ko": "{signal}"},
    "slack_no_signal": {"en": "as asked", "ko": "요청"},
    "slack_where": {"en": " {at}", "ko": " ({at})"},
    "slack_fell": {"en": "⚠️ *{title}*: {why}", "ko": "⚠️ *{title}*: {why}"},
    "slack_fault_error": {"en": "❌ *{title}* failed{where}.", "ko": "❌ *{title}* 오류로 멈췄습니다{where}."},
    "slack_fault_memory": {
        "en": "❌ *{title}* ran out of memory{where}.",
        "ko": "❌ *{title}* 메모리가 부족해 멈췄습니다{where}.",
    },
    "slack_fault_nan": {
        "en": "❌ *{title}* stopped{where}: the loss or the weights are not finite (NaN).",
        "ko": "❌ *{title}* 손실 또는 가중치가 NaN/Inf가 되어 멈췄습니다{where}.",
    },
    "slack_fault_lost": {
        "en": "💀 *{title}* gives no sign of life any more{where}.",
        "ko": "💀 *{title}* 응답이 끊겼습니다{where}.",
    },
    "slack_continue": {"en": "Continue with:", "ko": "이어서 실행하려면:"},
    "slack_trace_below": {
        "en": "The end of the traceback; all of it is in the file below.",
        "ko": "트레이스백의 끝부분입니다. 전체는 아래 파일에 있습니다.",
    },
    "slack_trace_here": {
        "en": "The end of the traceback; all of it is in log.txt of the run's folder.",
        "ko": "트레이스백의 끝부분입니다. 전체는 실행 폴더의 log.txt에 있습니다.",
    },
    "slack_trace_file": {"en": "Traceback", "ko": "트레이스백"},
    "slack_report": {"en": "📄 Report: `{path}` on {host}", "ko": "📄 보고서: {host}의 `{path}`"},
    "slack_lowest": {"en": "Lowest {metric}: {classes}", "ko": "{metric}가 가장 낮은 클래스: {classes}"},
    "slack_not_on_disk": {
        "en": "Left out, not on disk any more: {titles}",
        "ko": "디스크에 없어 생략했습니다: {titles}",
    },
    "slack_refused": {"en": "Not attached: {titles} – {why}", "ko": "첨부하지 못했습니다: {titles} – {why}"},
    "slack_folds": {
        "en": "🏁 *{title}*: all {folds} folds joined, {metric} *{mean}* ± {spread}",
        "ko": "🏁 *{title}*: {folds}개 폴드 통합 결과 {metric} *{mean}* ± {spread}",
    },
}
