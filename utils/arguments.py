"""What programs share of their command lines: parsers of numbers that say which are expected, options given once."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got '{text}'")
        return number

    return parse


seed_number = whole_number(0, 2**32 - 1)
"""Parses a seed."""


def positive_number(text: str) -> float:
    """Parse a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return number


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got '{text}'")
    return number


class Once(argparse.Action):
    """Takes the value of an option, under any of its names, and refuses a second one."""

    def __call__(
        self, parser: argparse.ArgumentParser, found: argparse.Namespace, value: Any, name: Any = None
    ) -> None:
        if getattr(found, self.dest) is not None:
            parser.error(f"{name} {value}: {' and '.join(self.option_strings)} are one option; give it once")
        setattr(found, self.dest, value)
