"""Results as a table for people and as values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Timing
from benchmarks.pair import Pair

Peaks = tuple["float | None", "float | None"]


@dataclass(frozen=True)
class Result:
    """One measured pair."""

    pair: Pair
    timing: Timing
    peaks_mib: Peaks
    """Peak memory per image in flight, usual and ours; None where it was not measured."""

    @property
    def ratio(self) -> float:
        return self.timing.usual / max(self.timing.ours, 1e-12)

    @property
    def memory_ratio(self) -> float | None:
        usual, ours = self.peaks_mib
        return None if usual is None or ours is None else usual / max(ours, 1e-12)

    @property
    def reached(self) -> bool | None:
        """Whether all required ratios and limits were reached; None if there are none, or none was measured."""
        pair, memory = self.pair, self.memory_ratio
        verdicts = []
        if pair.faster is not None:
            verdicts.append(self.ratio >= pair.faster)
        if pair.at_most is not None:
            verdicts.append(self.timing.ours <= pair.at_most)
        if pair.smaller is not None and memory is not None:
            verdicts.append(memory >= pair.smaller)
        return all(verdicts) if verdicts else None

    def as_json(self) -> dict[str, Any]:
        """Seconds or shares, MiB per image in flight, ratios usual / ours."""
        pair = self.pair
        return {
            "name": pair.name,
            "does": pair.does,
            "unit": pair.unit,
            "equal": True,  # A pair whose sides differ has no result.
            **asdict(self.timing),
            "ratio": self.ratio,
            "usual_peak_mib": self.peaks_mib[0],
            "ours_peak_mib": self.peaks_mib[1],
            "memory_ratio": self.memory_ratio,
            "wanted": {"faster": pair.faster, "smaller": pair.smaller, "at_most": pair.at_most},
            "reached": self.reached,
        }


def show(results: Sequence[Result], title: str, console: Console) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left", caption="memory: peak per image in flight", caption_justify="left")
    table.add_column("step", no_wrap=True)
    for heading in ("usual", "ours", "ratio", "wanted", "usual MiB", "ours MiB", "ratio", "wanted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*_cells(result), style={True: "green", False: "red", None: ""}[result.reached])
    console.print(table)


def _cells(result: Result) -> list[str]:
    pair, timing = result.pair, result.timing
    as_number = share if pair.unit == "share" else duration
    wanted = f"≤ {as_number(pair.at_most)}" if pair.at_most is not None else at_least(pair.faster)
    speed = [as_number(timing.usual), as_number(timing.ours), times(result.ratio), wanted]
    memory = [size(peak) for peak in result.peaks_mib]
    memory_ratio = times(result.memory_ratio) if pair.smaller is not None else ""
    return [pair.name, *speed, *memory, memory_ratio, at_least(pair.smaller)]


def duration(seconds: float) -> str:
    """`23 µs`, `1.9 ms`, `452 ms`, `12.3 s`."""
    if seconds < 1e-4:
        return f"{1e6 * seconds:.0f} µs"
    if seconds >= 10:
        return f"{seconds:.1f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def at_least(ratio: float | None) -> str:
    return "" if ratio is None else f"≥ {times(ratio)}"


def size(mib: float | None) -> str:
    if mib is None:
        return ""
    if mib < 1:
        return "< 1"
    return f"{mib:.0f}" if mib >= 10 else f"{mib:.1f}"
