"""All texts of the page, in English and Korean: one table, two columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias, get_args

Language: TypeAlias = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Say: TypeAlias = Callable[..., str]
"""The name of a text, and values for its `{fields}` → the text in one language."""

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Carpus", "Carpus"),
    "other_language": ("한국어", "English"),
    "cutout_page": ("Cut-out", "배경 제거"),
    "several_page": ("Several pictures", "여러 장"),
    "regions_page": ("Hand bones", "손뼈 분할"),
    "model": ("Model", "모델"),
    "drop_picture": ("Picture: drop, paste or choose it", "사진: 끌어다 놓기, 붙여넣기 또는 선택"),
    "examples": ("Examples", "예제"),
    "transparent": ("Transparent", "투명"),
    "ground": ("Background", "배경"),
    "mask": ("Mask", "마스크"),
    "before_after": ("Before and after: move the line", "전/후: 선을 움직여 비교하세요"),
    "settings": ("Fine-tuning (answers without the network)", "세부 조정 (신경망을 다시 실행하지 않음)"),
    "preset": ("Preset", "프리셋"),
    "preset_model": ("as the model says", "모델 기본값"),
    "edges": ("Edges", "가장자리"),
    "edges_about": (
        "Moves the edge to that of the photograph: guided filter, or matting by colours for hair.",
        "가장자리를 사진의 윤곽에 맞춥니다. 가이드 필터, 또는 머리카락용 색상 매팅.",
    ),
    "edges_none": ("as predicted", "예측 그대로"),
    "edges_guided_filter": ("guided filter", "가이드 필터"),
    "edges_colour_matting": ("colour matting", "색상 매팅"),
    "radius": ("Radius (px)", "반지름 (px)"),
    "radius_about": ("How far the guided filter looks.", "가이드 필터가 살피는 범위입니다."),
    "islands": ("Parts apart from the object", "떨어진 조각"),
    "islands_none": ("keep all", "모두 유지"),
    "islands_main": ("only the largest", "가장 큰 것만"),
    "islands_min_area": ("all but tiny ones", "아주 작은 것만 제거"),
    "cutoff": ("Cutoff", "컷오프"),
    "cutoff_about": ("Fainter than this becomes transparent; 0: off.", "이보다 옅으면 투명해집니다. 0: 끔"),
    "gamma": ("Gamma", "감마"),
    "gamma_about": (
        "Below 1, thin and faint parts become stronger; 1: off.",
        "1보다 작으면 가늘고 옅은 부분이 진해집니다. 1: 끔",
    ),
    "feather": ("Feather (px)", "페더 (px)"),
    "feather_about": ("Blurs the edge; 0: off.", "가장자리를 부드럽게 합니다. 0: 끔"),
    "stretch": ("Stretch to the full range", "전체 범위로 늘리기"),
    "stretch_about": ("A picture without object then shows traces.", "물체가 없는 사진에는 흔적이 나타납니다."),
    "own_colours": ("Remove the old background's colour from soft edges", "부드러운 가장자리에서 원래 배경색 제거"),
    "ground_kind": ("Background", "배경"),
    "ground_colour": ("colour", "색"),
    "ground_picture": ("picture", "사진"),
    "ground_blur": ("blur", "흐림"),
    "colour": ("Colour", "색"),
    "ground_file": ("Picture for the background", "배경으로 쓸 사진"),
    "blur_strength": ("Blur (% of the longer side)", "흐림 정도 (긴 변의 %)"),
    "download_png": ("Download PNG", "PNG 내려받기"),
    "download_jpg": ("Download JPG", "JPG 내려받기"),
    "cutout_facts": (
        "{width} × {height} px · network {network_s} s · edges {refine_s} s · {covered} % object",
        "{width} × {height} px · 신경망 {network_s}초 · 가장자리 {refine_s}초 · 물체 {covered} %",
    ),
    "nothing_found": (
        "The model finds no object in {name}. Try another picture or another model.",
        "{name}에서 물체를 찾지 못했습니다. 다른 사진이나 다른 모델을 사용해 보세요.",
    ),
    "bad_image": ("{reason}", "{name}: 이미지를 읽을 수 없습니다. 다시 저장해서 시도하세요. ({reason})"),
    "bad_label": ("{reason}", "{name}: 라벨을 읽을 수 없습니다. ({reason})"),
    "too_many_pixels": (
        "{name} has too many pixels, expected at most {most} megapixels. Make it smaller.",
        "{name}: 픽셀이 너무 많습니다. 최대 {most}메가픽셀까지 가능합니다. 크기를 줄여 주세요.",
    ),
    "too_large": (
        "{name} has {mb} MB, expected at most {most}. Make it smaller.",
        "{name}: {mb} MB입니다. 최대 {most} MB까지 가능합니다. 크기를 줄여 주세요.",
    ),
    "too_large_any": (
        "A file has more than {most} MB. Make it smaller.",
        "파일이 {most} MB보다 큽니다. 크기를 줄여 주세요.",
    ),
    "no_connection": (
        "The server does not answer. Check the connection, or load the page again.",
        "서버가 응답하지 않습니다. 연결을 확인하거나 페이지를 새로고침하세요.",
    ),
    "too_many_files": (
        "{count} pictures were chosen, expected at most {most}. Choose fewer.",
        "{count}장을 선택했습니다. 최대 {most}장까지 가능합니다. 더 적게 선택해 주세요.",
    ),
    "busy": (
        "Too many people use this server at the moment. Try again in a few seconds.",
        "지금은 사용자가 많습니다. 몇 초 후에 다시 시도해 주세요.",
    ),
    "gone": (
        "This picture is no longer kept here. Drop it again.",
        "이 사진은 더 이상 보관되어 있지 않습니다. 다시 올려 주세요.",
    ),
    "bad_setting": (
        "A setting is outside its range. Load the page again.",
        "설정값이 범위를 벗어났습니다. 페이지를 새로고침해 주세요.",
    ),
    "first_a_picture": ("Choose a picture first.", "먼저 사진을 선택하세요."),
    "first_a_ground": (
        "Choose a picture for the background first.",
        "먼저 배경으로 쓸 사진을 선택하세요.",
    ),
    "failed": (
        "The server made a mistake with this picture; its log says more.",
        "이 사진을 처리하는 중 서버에 문제가 생겼습니다. 자세한 내용은 서버 로그에 있습니다.",
    ),
    "several_files": ("Pictures: up to {most}", "사진: 최대 {most}장"),
    "several_about": (
        "All get the preset, the fine-tuning and the background that are set on the page “{page}”.",
        "모든 사진에 ‘{page}’ 탭의 프리셋, 세부 조정, 배경이 적용됩니다.",
    ),
    "several_kind": ("Write", "저장 형식"),
    "several_start": ("Cut out all", "모두 처리"),
    "several_results": ("Results", "결과"),
    "several_done": ("{done} of {count} pictures are in the zip.", "{count}장 중 {done}장이 zip에 들어 있습니다."),
    "download_zip": ("Download zip", "zip 내려받기"),
    "drop_radiograph": ("Radiograph (PNG): drop, paste or choose it", "X-ray (PNG): 끌어다 놓기, 붙여넣기 또는 선택"),
    "drop_label": ("True label (JSON), to compare", "정답 라벨 (JSON), 비교용"),
    "area": ("Predicted area (px)", "예측 면적 (px)"),
    "share": ("% of the image", "이미지 대비 %"),
    "download_csv": ("CSV rows", "CSV 행"),
    "download_label": ("JSON (contest)", "JSON (대회 형식)"),
    "download_coco": ("JSON (COCO)", "JSON (COCO)"),
    "regions_facts": (
        "{width} × {height} px · {found} of {count} classes found · {seconds} s",
        "{width} × {height} px · {count}개 클래스 중 {found}개 발견 · {seconds}초",
    ),
    "unlike_trained": (
        "This image does not look like those that the network was trained on: {oddity}",
        "신경망이 학습한 영상과 다르게 보이는 영상입니다: {oddity}",
    ),
    "wrist_angle": ("wrist angle {angle} ({kind})", "손목 각도 {angle} ({kind})"),
    "wrist_straight": ("straight", "곧은 손목"),
    "wrist_bent": ("bent", "꺾인 손목"),
    "prediction": ("prediction", "예측"),
    "truth": ("truth", "정답"),
    "missed": ("missed", "누락"),
    "added": ("added", "초과"),
    "mean_score": ("mean {metric} {value}", "평균 {metric} {value}"),
}
"""Texts by name: English, Korean."""


def say_in(language: Language) -> Say:
    """Return the function that gives texts in a language."""
    return partial(text, language)


def text(language: Language, name: str, /, **values: object) -> str:
    """Return a text in a language, with `values` in its `{fields}`."""
    return TEXTS[name][LANGUAGES.index(language)].format(**values)


def preferred(accepted: str) -> Language:
    """Return the language that a browser likes best, of those the page speaks, by its header `Accept-Language`."""
    ranked = []
    for place, item in enumerate(accepted.split(",")):
        tag, _, quality = item.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), place, tag.strip().lower()[:2]))
        except ValueError:
            continue
    return next((spoken for _, _, tag in sorted(ranked) for spoken in LANGUAGES if tag == spoken), "en")
