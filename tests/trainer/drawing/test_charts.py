from __future__ import annotations

from trainer.drawing.charts import class_bars, class_bars_png

SCORES, GROUPS = {"요골": 0.9, "ulna": 0.5}, {"팔": ("요골", "ulna")}


def test_names_of_classes_in_hangul_are_drawn_without_a_warning() -> None:
    """Warnings are errors in tests; SVG leaves the letters to the browser, a PNG needs a font."""
    assert ">요골<" in class_bars(SCORES, GROUPS, "Dice")
    assert class_bars_png(SCORES, GROUPS, "Dice").startswith(b"\x89PNG")
