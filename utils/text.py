"""Parts of sentences to users: numbers with their nouns, lists of names that may be long."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LISTED = 5


def pluralize(number: int, word: str, words: str = "") -> str:
    """Return a number with its noun: `1 batch`, `3 batches`. `words` is the plural if it is not `word` and an s."""
    return f"{number} {word if number == 1 else words or word + 's'}"


def composed(name: str) -> str:
    """Return a file's name with each letter as one character (NFC), for comparison: macOS stores 한 as three (NFD)."""
    return unicodedata.normalize("NFC", name)


def forms_of(name: str) -> tuple[str, str]:
    """Return both forms in which a name may be stored, composed (NFC) and decomposed (NFD)."""
    return composed(name), unicodedata.normalize("NFD", name)


def printable(text: str) -> str:
    """Return a text from a file as a sentence can hold it: control characters become escapes such as `\\x1b`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def list_names(names: Sequence[str], most: int = LISTED, separator: str = ", ") -> str:
    """Return the first `most` names and how many follow: `a, b, c, d, e and 3 more`."""
    more = len(names) - most
    return separator.join(map(printable, names[:most])) + (f" and {more} more" if more > 0 else "")
