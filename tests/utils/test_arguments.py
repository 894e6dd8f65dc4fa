from __future__ import annotations

import argparse

import pytest

from utils.arguments import seed_number, whole_number


@pytest.mark.parametrize(("text", "number"), [("2", 2), ("1000", 1000), (" 7 ", 7)])
def test_whole_numbers_are_read(text: str, number: int) -> None:
    assert whole_number(2, 1000)(text) == number


@pytest.mark.parametrize("text", ["1", "1001", "-3", "2.5", "many", ""])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a whole number from 2 to 1000, got '{text}'"):
        whole_number(2, 1000)(text)


def test_a_seed_has_32_bits() -> None:
    assert seed_number("4294967295") == 2**32 - 1
    with pytest.raises(argparse.ArgumentTypeError):
        seed_number("4294967296")
