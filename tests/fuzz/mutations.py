"""Broken versions of whole files: hypothesis chooses what is cut, flipped, inserted, doubled, swapped or replaced."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]
TOKEN = re.compile(rb"\w+|[^\w\s]|\s+")

NASTY = (
    *(b"", b"0", b"-1", b"1e400", b"NaN", b"Infinity", b"-0", b"1.5", b"9" * 30, b"9" * 5000, b"2147483648"),
    *(b"null", b"true", b'"', b"'", b"[" * 2000, b"{" * 2000, b"[[[[[[[[", b"]", b",", b":", b"\0", b"\xff", b"\t"),
    *("손".encode(), b"\\ud800", b"!!python/object/apply:os.getcwd []", b"&a", b"*a", b"<<", b"\r\n", b"---\n"),
    b"\xef\xbb\xbf",
)
"""What readers have stumbled over."""


def mutated(contents: Sequence[bytes], *, at_most: int = 4) -> st.SearchStrategy[bytes]:
    """One of `contents` after one to `at_most` mutations."""
    return st.builds(_applied, st.sampled_from(list(contents)), st.lists(_mutation(), min_size=1, max_size=at_most))


def _applied(content: bytes, mutations: Sequence[Mutation]) -> bytes:
    for mutate in mutations:
        content = mutate(content)
    return content


def _mutation() -> st.SearchStrategy[Mutation]:
    share = st.floats(0, 1)
    return st.one_of(
        st.builds(_truncate, share),
        st.builds(_flip, share, st.integers(1, 255)),
        st.builds(_insert, share, st.binary(min_size=1, max_size=8)),
        st.builds(_insert, share, st.sampled_from(NASTY)),
        st.builds(_double, share, share),
        st.builds(_swap, share, share),
        st.builds(_replace_token, share, st.sampled_from(NASTY)),
        st.builds(_remove, share, share),
    )


def _truncate(at: float) -> Mutation:
    return lambda content: content[: _place(at, content)]


def _flip(at: float, bits: int) -> Mutation:
    def flip(content: bytes) -> bytes:
        place = min(_place(at, content), len(content) - 1)
        return content if place < 0 else content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]

    return flip


def _insert(at: float, what: bytes) -> Mutation:
    return lambda content: content[: _place(at, content)] + what + content[_place(at, content) :]


def _double(start: float, end: float) -> Mutation:
    def double(content: bytes) -> bytes:
        low, high = _span(start, end, content)
        return content[:high] + content[low:high] + content[high:]

    return double


def _remove(start: float, end: float) -> Mutation:
    def remove(content: bytes) -> bytes:
        low, high = _span(start, end, content)
        return content[:low] + content[high:]

    return remove


def _swap(one: float, other: float) -> Mutation:
    """Two tokens change places."""

    def swap(content: bytes) -> bytes:
        tokens = TOKEN.findall(content) or [content]
        a, b = (min(int(share * len(tokens)), len(tokens) - 1) for share in (one, other))
        tokens[a], tokens[b] = tokens[b], tokens[a]
        return b"".join(tokens)

    return swap


def _replace_token(at: float, what: bytes) -> Mutation:
    def replace(content: bytes) -> bytes:
        tokens = TOKEN.findall(content) or [content]
        tokens[min(int(at * len(tokens)), len(tokens) - 1)] = what
        return b"".join(tokens)

    return replace


def _place(share: float, content: bytes) -> int:
    return int(share * len(content))


def _span(start: float, end: float, content: bytes) -> tuple[int, int]:
    low, high = sorted((_place(start, content), _place(end, content)))
    return low, high


def broken(rng: random.Random, contents: Sequence[bytes], *, at_most: int = 4) -> bytes:
    """One of `contents` after one to `at_most` mutations, drawn from a seeded generator."""
    content = rng.choice(contents)
    for _ in range(rng.randint(1, at_most)):
        content = _drawn(rng)(content)
    return content


def _drawn(rng: random.Random) -> Mutation:
    share, other = rng.random(), rng.random()
    return rng.choice(
        (
            lambda: _truncate(share),
            lambda: _flip(share, rng.randint(1, 255)),
            lambda: _insert(share, rng.randbytes(rng.randint(1, 8))),
            lambda: _insert(share, rng.choice(NASTY)),
            lambda: _double(share, other),
            lambda: _swap(share, other),
            lambda: _replace_token(share, rng.choice(NASTY)),
            lambda: _remove(share, other),
        )
    )()
