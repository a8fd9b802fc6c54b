"""What a run would take: bytes, memory, minutes, reckoned from the units that it would compute."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.run.foresee import Foreseen
from flows.run.prepared import Prepared
from flows.run.rates import Rates
from tasks.meter import peak_of_this_process
from tasks.stage import Cost, Pace, Stage
from tasks.stages import STAGES
from tasks.unit import Unit
from tasks.work import jobs

# Resident bytes of a worker through which no network passes: Dask, NumPy, SciPy.
_LIBRARIES = 125 * 2**20
# Seconds of a run beside its stages where none was measured: starting, collecting, drawing.
_AROUND = 7.0
# Seconds of the command before and after the run: a server starts, and ends.
_COMMAND = 8.0
# Where networks were only timed: workers load what they need for them, and share processors and memory.
_LOADING = 4.0
_SHARED = 1.5
# Seconds that a job takes beside its units, most of them in Prefect.
_JOB_SECONDS = 0.1
# Results that people read: a page, and text and numbers for each measure, match and pair.
_PAGE_BYTES = 600_000
_ROW_BYTES = 175
_GROWTH_BYTES = 95
_MATCHES_BYTES = 2_300


@dataclass(frozen=True)
class StagePreview:
    """What computing the rest of a stage would take.

    Attributes
    ----------
    written, read
        Bytes under the root.
    memory
        Bytes of the largest worker.
    seconds
        By the clock, on all workers.
    """

    stage: str
    written: int
    read: int
    memory: int
    seconds: float


@dataclass(frozen=True)
class Preview:
    """What a run would take.

    Attributes
    ----------
    results
        Bytes that the results that people read grow by.
    around
        Seconds beside the stages.
    measured
        Whether all seconds stand on what was measured under the root, or just now.
    workers
        On how many at a time.
    """

    stages: tuple[StagePreview, ...]
    results: int
    around: float
    measured: bool
    workers: int

    @property
    def written(self) -> int:
        """Bytes that a run would add to its root."""
        return sum(stage.written for stage in self.stages) + self.results

    @property
    def read(self) -> int:
        """Bytes that a run would read from its root."""
        return sum(stage.read for stage in self.stages)

    @property
    def memory(self) -> int:
        """Bytes of the largest worker."""
        return max((stage.memory for stage in self.stages), default=0)

    @property
    def seconds(self) -> float:
        """By the clock, from the command to the report."""
        return sum(stage.seconds for stage in self.stages) + self.around


def with_paces(stages: Mapping[str, Foreseen], rates: Rates) -> Rates:
    """Return rates with the paces of all networks that would pass: seconds of work for each not yet known."""
    paces: dict[str, Pace] = {}
    for unit in _passing(stages):
        measure = STAGES[unit.stage].measure_pace
        if measure is not None and unit.pace not in paces and unit.pace not in rates.paces:
            paces[unit.pace] = measure(unit)
    return rates.with_paces(paces, peak_of_this_process()) if paces else rates


def _passing(stages: Mapping[str, Foreseen]) -> Iterator[Unit]:
    for foreseen in stages.values():
        for group in foreseen.lacking.values():
            for _, unit in group:
                yield from unit.passing


def preview(prepared: Prepared, stages: Mapping[str, Foreseen], rates: Rates, workers: int) -> Preview:
    """Reckon what a run takes.

    Parameters
    ----------
    prepared, stages
        The study, and what `foresee` makes of it.
    rates
        With the paces of all networks that pass.
    workers
        How many compute at a time.
    """
    libraries = rates.libraries if any(True for _ in _passing(stages)) else _LIBRARIES
    lacking = {name: foreseen.lacking for name, foreseen in stages.items() if foreseen.missing}
    previews = [
        _of_stage(prepared, STAGES[name], of_stage, rates, workers, libraries)
        for name, of_stage in lacking.items()
    ]
    counts = {name: len(foreseen.units) for name, foreseen in stages.items()}
    before = {name: len(foreseen.finished) for name, foreseen in stages.items()}
    return Preview(
        tuple(previews),
        _results_bytes(prepared, counts) - _results_bytes(prepared, before),
        _COMMAND + (_AROUND if rates.around is None else rates.around),
        measured=all(rates.factors.get(name) for name in lacking),
        workers=workers,
    )


def _of_stage(
    prepared: Prepared,
    stage: Stage,
    lacking: Mapping[str, Sequence[tuple[Any, Unit]]],
    rates: Rates,
    workers: int,
    libraries: int,
) -> StagePreview:
    costs = {name: stage.cost(prepared.wanted, group, rates.paces) for name, group in lacking.items()}
    seconds = {name: _seconds(stage, group, costs[name], rates) for name, group in lacking.items()}
    cut = jobs(unit for group in lacking.values() for _, unit in group)
    takes = [sum(seconds[group[0].group] for group in job.groups) + _JOB_SECONDS for job in cut]
    if stage.measure_pace is not None and not rates.factors.get(stage.name):
        takes[:workers] = [one + _LOADING for one in takes[:workers]]
    return StagePreview(
        stage.name,
        sum(cost.written for cost in costs.values()),
        sum(cost.read for cost in costs.values()),
        libraries + max(cost.memory for cost in costs.values()),
        makespan(takes, workers),
    )


def _seconds(stage: Stage, group: Sequence[tuple[Any, Unit]], cost: Cost, rates: Rates) -> float:
    said = sum(unit.seconds for _, unit in group)
    factor = rates.factor(stage.name, group[0][1].pace)
    if factor is not None:
        return said * factor
    return said if cost.seconds is None else _SHARED * cost.seconds


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return when the last of some jobs ends: each in turn is begun by the worker that is free first."""
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def _results_bytes(prepared: Prepared, counts: Mapping[str, int]) -> int:
    """Return about how many bytes the results of so many units take that people read."""
    if not counts["measures"]:
        return 0
    firsts = sum(kind == "first" for kind, _ in prepared.wanted.resamples)
    grown = counts["measures"] * (firsts + 1) if firsts else 0
    return (
        _PAGE_BYTES
        + _ROW_BYTES * counts["measures"]
        + _GROWTH_BYTES * grown
        + _MATCHES_BYTES * counts["matches"]
    )
