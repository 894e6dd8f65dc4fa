"""Suggestions for an unknown name: the nearest valid one, and the list of all if it is short."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

LIST_AT_MOST = 30
SIMILAR_ENOUGH = 0.6


def nearest(name: str, names: Iterable[str], n: int = 1) -> list[str]:
    """Return up to `n` names most like `name`, best first; empty if none is near. Case, and - or _, do not matter."""
    wanted = _plain(name)
    scored = [(_similarity(wanted, _plain(other)), other) for other in names]
    near = sorted((-score, other) for score, other in scored if score >= SIMILAR_ENOUGH)
    return [other for _, other in near[:n]]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return "Did you mean 'x'?", or the valid names if none is near; empty if there are no names at all."""
    known = list(names)
    near = nearest(name, known)
    return f"Did you mean '{near[0]}'?" if near else valid(known)


def did_you_mean_of_all(name: str, names: Iterable[str]) -> str:
    """Return the nearest name, if any, and the list of all: "Did you mean 'x'? Valid: a, b, x"."""
    known = sorted(names)
    near = nearest(name, known)
    guess = f"Did you mean '{near[0]}'? " if near else ""
    return guess + valid(known)


def valid(names: Iterable[str]) -> str:
    """Return "Valid: a, b, c", cut after `LIST_AT_MOST` names; empty if there are none."""
    known = list(names)
    if not known:
        return ""
    more = f", … ({len(known)} in all)" if len(known) > LIST_AT_MOST else ""
    return f"Valid: {', '.join(known[:LIST_AT_MOST])}{more}"


def _similarity(wanted: str, other: str) -> float:
    """Return 0..1. If one name begins with the other (`lr` and `lr_max`), they count as near whatever their lengths."""
    ratio = SequenceMatcher(None, wanted, other).ratio()
    begins = len(wanted) >= 2 and len(other) >= 2 and (other.startswith(wanted) or wanted.startswith(other))
    return max(ratio, SIMILAR_ENOUGH) if begins else ratio


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
