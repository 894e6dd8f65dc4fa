"""Measure parts one after the other: what goes wrong in a measurement is its result, and the others follow."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.limit import Limit, OutOfTime
from benchmarks.gpu.part import LEFT_OUT, Measurement, Part, Row
from benchmarks.gpu.results import Results
from benchmarks.pair import Disagreement
from trainer.torch_errors import is_out_of_memory
from utils.errors import UserError

CUT_OFF = "cut off: the time was over"
TRACE_CHARACTERS = 2000


def measure_parts(parts: Sequence[Part], bench: Bench, results: Results, limit: Limit) -> None:
    """Measure all parts in order until the time is over; what is not measured is named among the results."""
    for part in parts:
        for measurement in part.measurements(bench):
            if limit.is_over:
                results.add(part, [Row(measurement.name, fault=LEFT_OUT)])
                continue
            bench.clock.start_anew()
            results.add(part, rows_of(measurement, limit))


def rows_of(measurement: Measurement, limit: Limit) -> list[Row]:
    """Measure one thing, and return its rows, or one that says what went wrong."""
    try:
        with limit.enforced():
            return list(measurement.measure())
    except OutOfTime:
        return [Row(measurement.name, fault=CUT_OFF)]
    except Disagreement as error:
        return [Row(measurement.name, fault=str(error), holds=False)]
    except Exception as error:
        return [failed(measurement.name, error)]


def failed(name: str, error: Exception) -> Row:
    """Return the row of an error; memory that ran out is a finding and no error."""
    first_line = next(iter(str(error).strip().splitlines()), "")
    if is_out_of_memory(error):
        return Row(name, fault=f"out of memory: {first_line[:160]}")
    if isinstance(error, UserError):
        return Row(name, fault=first_line, holds=False)
    trace = "".join(traceback.format_exception(error))[-TRACE_CHARACTERS:]
    return Row(name, fault=f"{type(error).__name__}: {first_line[:200]}", trace=trace)
