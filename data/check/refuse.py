"""Whether samples can be trained on: every broken one is named, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data.sample import Sample
from utils.errors import UserError
from utils.parallel import map_ahead
from utils.progress import track

SHOWN = 20


def refuse_broken(
    samples: Sequence[Sample],
    check: Callable[[Sample], None],
    *,
    leave_out: str = "leave them out with data.exclude=[{keys}]",
) -> None:
    """Check every sample; all that are broken are told in one `UserError`, a line each, with the way out."""

    def fault_of(sample: Sample) -> str | None:
        try:
            check(sample)
        except UserError as error:
            return str(error)
        return None

    told = track(map_ahead(fault_of, samples, ahead=16), "Checking the images", len(samples))
    faults = [(sample, fault) for sample, fault in zip(samples, told, strict=True) if fault]
    if not faults:
        return
    lines = [fault for _, fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"… and {len(faults) - SHOWN} more")
    keys = ", ".join(sample.key for sample, _ in faults)
    raise UserError(
        "\n".join(lines) + f"\n{len(faults)} of {len(samples)} images cannot be used as they are. Mend them, or "
        f"{leave_out.format(keys=keys)}"
    )
