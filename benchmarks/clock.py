"""Medians of several runs, peak memory, and a Markdown table of them.

Apart from what is measured.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")

# A side that takes longer than this in all is run no further time.
PATIENCE_SECONDS = 30


class Row(NamedTuple):
    """One line of the table; cells that do not apply are empty."""

    what: str
    published: str = ""
    ours: str = ""
    ratio: str = ""
    target: str = ""
    note: str = ""


def timed(work: Callable[[], Result], runs: int = 5) -> tuple[float, Result]:
    """Return the median time of as many runs as patience allows, and the last result."""
    times: list[float] = []
    while len(times) < runs and sum(times) < PATIENCE_SECONDS:
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the most memory that the work held at a time beyond what was there before."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def show_seconds(seconds: float) -> str:
    """Write a time with three digits and a fitting unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= factor:
            return f"{seconds / factor:,.3g} {unit}" if seconds < 1000 * factor else f"{seconds:,.0f} s"
    return f"{seconds:.2g} s"


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | published | ours | ratio | target | note |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
