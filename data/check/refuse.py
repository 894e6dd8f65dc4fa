"""Check before the first step that all samples can be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from data.check.checks import OtherClasses, UnknownClasses
from data.sample import Sample
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import track
from utils.text import list_names

log = logging.getLogger(__name__)

SHOWN = 20


def refuse_broken(
    samples: Sequence[Sample],
    check: Callable[[Sample], str | None],
    *,
    leave_out: str = "leave them out with data.exclude=[{keys}]",
) -> None:
    """Check every sample, and log which are doubtful.

    Raises one `UserError` with all faults, a line each, and how to leave the samples out.
    """

    faults = find_broken(samples, check)
    if not faults:
        return
    # The first faults, then the names of all broken samples, ready for data.exclude.
    lines = said_once(list(faults.values()))
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"… and {len(lines) - SHOWN} more"]
    keys = ", ".join(faults)
    way_out = f", or {leave_out.format(keys=keys)}" if len(faults) < len(samples) else "."
    raise UserError(
        "\n".join(lines) + f"\n{len(faults)} of {len(samples)} images cannot be used as they are. Fix them{way_out}"
    )


def find_broken(samples: Sequence[Sample], check: Callable[[Sample], str | None]) -> dict[str, UserError]:
    """Check every sample, log which are doubtful, and return what is wrong with broken ones, by their keys."""

    def fault_of(sample: Sample) -> tuple[UserError | None, str | None]:
        """Return what is wrong with a sample, and what is doubtful."""
        try:
            return None, check(sample)
        except UserError as error:
            return error, None

    found = list(track(map_ahead(fault_of, samples, ahead=16), "Checking the images", len(samples)))
    doubts = [f"{sample.key} ({doubt})" for sample, (_, doubt) in zip(samples, found, strict=True) if doubt]
    if doubts:
        log.warning("%d of %d images are doubtful: %s", len(doubts), len(samples), list_names(doubts, SHOWN, "; "))
    return {sample.key: fault for sample, (fault, _) in zip(samples, found, strict=True) if fault}


def said_once(faults: Sequence[UserError]) -> list[str]:
    """Return the sentences of faults; labels of other or unknown classes share one, with all the names they have."""
    others = [fault for fault in faults if isinstance(fault, OtherClasses)]
    unknown = [fault for fault in faults if isinstance(fault, UnknownClasses)]
    sentences = [str(fault) for fault in faults if not isinstance(fault, (OtherClasses, UnknownClasses))]
    if unknown:
        sentences.insert(0, str(UnknownClasses(*_joined(unknown), unknown[0].classes)))
    if others:
        sentences.insert(0, str(OtherClasses(*_joined(others))))
    return sentences


def _joined(faults: Sequence[OtherClasses | UnknownClasses]) -> tuple[list[Path], list[str]]:
    """Return the files and the names of several faults, each name once."""
    names = dict.fromkeys(name for fault in faults for name in fault.names)
    return [file for fault in faults for file in fault.files], list(names)
