"""Medians of several runs, peak memory, and a Markdown table of them."""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import NamedTuple

# A side that takes longer than this in all is run no further time.
PATIENCE_SECONDS = 30
# BLAS threads spin for a while when their work is done, in the way of whoever is measured next.
PAUSE_SECONDS = 0.3


class Row(NamedTuple):
    """One line of the table; cells that do not apply are empty."""

    what: str
    published: str = ""
    ours: str = ""
    ratio: str = ""
    target: str = ""
    note: str = ""


def in_turn(*sides: Callable[[], object], runs: int) -> list[float]:
    """Return each side's median time; the sides alternate, so that what else the machine does hits all.

    A pause comes before each.
    """
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, spent in zip(sides, times, strict=True):
            if sum(spent) < PATIENCE_SECONDS:
                time.sleep(PAUSE_SECONDS)
                start = time.perf_counter()
                side()
                spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]


def processor_seconds(sides: Sequence[Callable[[], object]], runs: int) -> list[tuple[float, ...]]:
    """Return what each side took of the processor, run by run; sides alternate, with a pause before each."""
    spent = []
    for _ in range(runs):
        times = []
        for side in sides:
            time.sleep(PAUSE_SECONDS)
            before = time.process_time()
            side()
            times.append(time.process_time() - before)
        spent.append(tuple(times))
    return spent


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


def markdown(rows: Sequence[Sequence[str]], header: Sequence[str] = Row._fields) -> str:
    """Return rows of cells as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
