"""Tables on the terminal."""

from __future__ import annotations

import pytest

from utils.table import print_table


def test_numbers_stand_to_the_right_and_texts_to_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Scores", ("class", "mean"), [("a", "0.5"), ("long", "10.25")], text_columns=("class",))
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert rows == [["a     ", "   0.5"], ["long  ", " 10.25"]]


def test_a_total_and_lines_follow_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    long = " ".join(["word"] * 60)
    print_table("Folds", ("fold", "images"), [("0", "3")], total=("all", "3"), lines=["", long])
    shown = capsys.readouterr().out
    assert shown.index("all") > shown.index("├")
    assert shown.splitlines()[-1] == long


def test_brackets_in_names_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("[red]", ("[bold]",), [("[hflip].png",)], lines=["[blue]"])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[red]", "[bold]", "[hflip].png", "[blue]"))


def test_a_long_text_is_broken_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Images", ("image", "score"), [("x" * 200, "0.5")], text_columns=("image",))
    assert capsys.readouterr().out.count("x") == 200
