from __future__ import annotations

from utils.text import list_names, pluralize


def test_a_noun_is_in_the_plural_unless_there_is_one() -> None:
    assert [pluralize(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert pluralize(3, "batch", "batches") == "3 batches"


def test_a_long_list_of_names_ends_with_the_number_of_the_others() -> None:
    assert list_names(["a", "b"]) == "a, b"
    assert list_names(list("abcdefgh")) == "a, b, c, d, e and 3 more"
    assert list_names(["a, x", "b, y", "c, z"], most=2, separator="; ") == "a, x; b, y and 1 more"


def test_control_characters_of_a_file_cannot_break_a_sentence() -> None:
    assert list_names(["a\x1b[2Jb", "line\nbreak", "손\udc80"]) == "a\\x1b[2Jb, line\\nbreak, 손\\udc80"
