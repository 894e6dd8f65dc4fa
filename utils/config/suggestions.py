"""What to answer to a name that nobody knows: the nearest ones, and the whole list while it is short."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

LIST_AT_MOST = 30
SIMILAR_ENOUGH = 0.6


def nearest(name: str, names: Iterable[str], n: int = 1) -> list[str]:
    """The up to `n` names most like `name`, best first; empty where none is near. Case and - against _ do not count."""
    wanted = _plain(name)
    scored = [(_similarity(wanted, _plain(other)), other) for other in names]
    near = sorted((-score, other) for score, other in scored if score >= SIMILAR_ENOUGH)
    return [other for _, other in near[:n]]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """ "Did you mean 'x'?", or the valid names where none is near; empty where there are no names at all."""
    known = list(names)
    near = nearest(name, known)
    return f"Did you mean '{near[0]}'?" if near else valid(known)


def did_you_mean_of_all(name: str, names: Iterable[str]) -> str:
    """ "Did you mean 'x'? Valid: a, b, x": the nearest name, if any, and the list."""
    known = sorted(names)
    near = nearest(name, known)
    guess = f"Did you mean '{near[0]}'? " if near else ""
    return guess + valid(known)


def valid(names: Iterable[str]) -> str:
    """ "Valid: a, b, c", cut after `LIST_AT_MOST` names; empty where there are none."""
    known = list(names)
    if not known:
        return ""
    more = f", … ({len(known)} in all)" if len(known) > LIST_AT_MOST else ""
    return f"Valid: {', '.join(known[:LIST_AT_MOST])}{more}"


def _similarity(wanted: str, other: str) -> float:
    """0..1; a name that begins with the wanted one (`lr` for `lr_max`) counts as near however long it is."""
    ratio = SequenceMatcher(None, wanted, other).ratio()
    begins = len(wanted) >= 2 and len(other) >= 2 and (other.startswith(wanted) or wanted.startswith(other))
    return max(ratio, SIMILAR_ENOUGH) if begins else ratio


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
