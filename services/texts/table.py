"""All sentences that channels send to people, in English and in Korean. `*…*` is bold, and `` `…` `` is code.

States have the names of `services.delivery.snapshot.State`. In a message with markup the caller escapes the values.
"""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "starting": ("starting", "준비 중"),
    "training": ("training", "학습 중"),
    "scoring": ("scoring", "평가 중"),
    "done": ("done", "완료"),
    "stopped_early": ("stopped early", "조기 종료"),
    "interrupted": ("interrupted", "중단됨"),
    "failed": ("failed", "실패"),
    "lost": ("lost", "응답 없음"),
    "ended_without_a_word": (
        "The process ended without a word: it was killed, or its machine ran out of memory.",
        "프로세스가 아무 말 없이 종료되었습니다. 강제 종료되었거나 서버 메모리가 부족했습니다.",
    ),
    "at_epoch": ("in epoch {number}", "{number} 에폭"),
    "at_step": ("at step {number}", "{number} 스텝"),
    "point_epoch": ("epoch {number}", "{number} 에폭"),
    "point_step": ("step {number}", "{number} 스텝"),
    "count_epoch": ("{number} epochs", "{number} 에폭"),
    "count_step": ("{number} steps", "{number} 스텝"),
    "from_epoch": ("in epoch {number} of {total}", "{number}/{total} 에폭"),
    "from_step": ("at step {number} of {total}", "{number}/{total} 스텝"),
    "of_epoch": ("epoch {number} of {total}", "{number}/{total} 에폭"),
    "of_step": ("step {number} of {total}", "{number}/{total} 스텝"),
    "fell_below_start": (
        "{metric} fell from {start} at the start to {score} {at}: training destroys what the pretrained weights know. "
        "Lower optimizer.lr, begin with a warm-up (scheduler: cosine with warmup_steps, or one_cycle), set "
        "trainer.clip_norm=1, or keep the norms: trainer.freeze_norms=true, and for folded norms "
        "trainer.calibrate_norms=10 too.",
        "{metric}가 학습 시작 시 {start}에서 {at} {score}로 떨어졌습니다. 학습이 사전 학습된 가중치를 망가뜨리고 "
        "있습니다. optimizer.lr을 낮추거나, 워밍업(scheduler: warmup_steps를 쓰는 cosine, 또는 one_cycle)을 쓰거나, "
        "trainer.clip_norm=1을 주거나, 정규화를 고정하세요(trainer.freeze_norms=true, 합쳐진 정규화라면 "
        "trainer.calibrate_norms=10도).",
    ),
    "epoch": ("Epoch", "에폭"),
    "step": ("Step", "스텝"),
    "left": ("Time left", "남은 시간"),
    "took": ("Ran for", "소요 시간"),
    "loss": ("Training loss", "학습 손실"),
    "best": ("Best {metric}", "최고 {metric}"),
    "learning_rate": ("Learning rate", "학습률"),
    "data_wait": ("Waiting for data", "데이터 대기"),
    "device": ("Device", "장치"),
    "best_at": ("{value} ({point})", "{value} ({point})"),
    "memory": ("peak {gib:.1f} GiB", "최대 {gib:.1f} GiB"),
    "images": ("{train} images, {valid} held out", "학습 {train}장, 검증 {valid}장"),
    "changed_code": ("{commit} with changes", "{commit} (수정 있음)"),
    "updated": ("updated {time}", "갱신 {time}"),
    "line": ("{title}: {state}", "{title}: {state}"),
    "line_best": ("best {metric} {best}", "최고 {metric} {best}"),
    "resumed": (
        "▶️ *{title}*: training goes on {begin} on {host}.",
        "▶️ *{title}* {host}에서 학습을 이어갑니다. ({begin}부터)",
    ),
    "new_best": ("🏆 New best {metric}: *{best}* {at} ({change})", "🏆 최고 {metric} 갱신: *{best}*, {at} ({change})"),
    "started": (
        "▶️ *{title}*: training started, {count}, {images} images, {device}.",
        "▶️ *{title}* 학습을 시작했습니다. {count}, 이미지 {images}장, {device}.",
    ),
    "finished": (
        "✅ *{title}* is done: best {metric} *{best}* {at}, {count} in {time}.",
        "✅ *{title}* 학습이 끝났습니다. 최고 {metric} *{best}* ({at}), 총 {count}, {time} 걸렸습니다.",
    ),
    "finished_early": (
        "🏁 *{title}* stopped early after {count}, with nothing better since {point}: best {metric} *{best}*, {time}.",
        "🏁 *{title}* 조기 종료되었습니다. {point} 이후 개선이 없어 {count}에서 멈췄습니다. "
        "최고 {metric} *{best}*, {time} 걸렸습니다.",
    ),
    "stopped": (
        "⏸️ *{title}* was stopped {at}, {signal}. Its state is saved.",
        "⏸️ *{title}* {at}에서 중단되었습니다({signal}). 상태는 저장되었습니다.",
    ),
    "signal": ("by {signal}", "{signal}"),
    "no_signal": ("as asked", "요청"),
    "failed_where": (" {at}", " ({at})"),
    "fell": ("⚠️ *{title}*: {why}", "⚠️ *{title}*: {why}"),
    "fault_error": ("❌ *{title}* failed{where}.", "❌ *{title}* 오류로 멈췄습니다{where}."),
    "fault_memory": ("❌ *{title}* ran out of memory{where}.", "❌ *{title}* 메모리가 부족해 멈췄습니다{where}."),
    "fault_nan": (
        "❌ *{title}* stopped{where}: the loss or the weights are not finite (NaN).",
        "❌ *{title}* 손실 또는 가중치가 NaN/Inf가 되어 멈췄습니다{where}.",
    ),
    "fault_lost": ("💀 *{title}* gives no sign of life any more{where}.", "💀 *{title}* 응답이 끊겼습니다{where}."),
    "continue": ("Continue with:", "이어서 실행하려면:"),
    "trace_below": (
        "The end of the traceback; all of it is in the file below.",
        "트레이스백의 끝부분입니다. 전체는 아래 파일에 있습니다.",
    ),
    "trace_here": (
        "The end of the traceback; all of it is in log.txt of the run's folder.",
        "트레이스백의 끝부분입니다. 전체는 실행 폴더의 log.txt에 있습니다.",
    ),
    "trace_file": ("Traceback", "트레이스백"),
    "report": ("📄 Report: `{path}` on {host}", "📄 보고서: {host}의 `{path}`"),
    "lowest": ("Lowest {metric}: {classes}", "{metric}가 가장 낮은 클래스: {classes}"),
    "not_on_disk": ("Left out, not on disk any more: {titles}", "디스크에 없어 생략했습니다: {titles}"),
    "refused": ("Not attached: {titles} – {why}", "첨부하지 못했습니다: {titles} – {why}"),
    "folds": (
        "🏁 *{title}*: all {folds} folds joined, {metric} *{mean}* ± {spread}",
        "🏁 *{title}*: {folds}개 폴드 통합 결과 {metric} *{mean}* ± {spread}",
    ),
    "late": ("Happened at {time}, told late", "{time}에 발생, 늦게 전송됨"),
    "open": ("Open", "열기"),
}
