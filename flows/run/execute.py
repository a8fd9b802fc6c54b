"""The body of every flow: all stages in order, computing what is missing and again what is damaged."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from prefect import get_run_logger
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from flows.run import plan
from flows.run.collect import collect
from flows.run.prepared import Prepared, prepare
from flows.run.rates import keep_rates, read_rates
from flows.run.room import require_room
from flows.run.run_page import is_deployed, open_page
from flows.study.allowed import check_allowed
from flows.study.kept import Kept, keep
from flows.study.model import Study
from spanmatch.errors import SpanmatchError
from spanmatch.reporting import StudyResults, left_out_sentences
from storage.records import Found, Records
from storage.root import DamagedArtefactError, DamagedArtefactsError
from tasks.cluster import Cluster, cluster_at
from tasks.meter import Meter, Stopwatch
from tasks.progress import listener
from tasks.publishing import publish
from tasks.running import TASKS, reuse
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.ui_progress import StepCounter, counting, is_completed, wait_with_progress
from tasks.unit import Done, Unit
from tasks.work import Job, counted, groups, jobs

_MAX_NAMED = 5  # units that a refusal names; of more it says how many


def execute(
    study: Study | Prepared, kept: Kept | None = None, *, never: Collection[str] = ()
) -> StudyResults:
    """Compute what a study lacks, and write its results and report; call it from a flow.

    Parameters
    ----------
    study
        What to compare; one that is prepared is not looked up again. Everything is kept below its root, so
        that the next run reuses it.
    kept
        What the last run stood on, where this one must stand on the same.
    never
        Stages of which nothing may be computed: what is missing is named, and the run refused.

    Raises
    ------
    ValueError
        If the study names what does not exist or is not allowed here, the root cannot be written, the
        scheduler does not answer, or something is missing that may not be computed: before any work starts.
    """
    requested, watch = study.study if isinstance(study, Prepared) else study, Stopwatch()
    with open_page(requested) as page:
        if is_deployed():
            check_allowed(requested)
        prepared = study if isinstance(study, Prepared) else prepare(study, kept)
        require_room(prepared)
        with _quiet_task_log(), cluster_at(requested.scheduler) as cluster, counting() as counter:
            _notify([*prepared.notices, *left_out_sentences(prepared.resolved.left_out)])
            run = _Run(prepared, cluster, counter, never)
            page.ledger = run.ledger
            results = _complete(run)
            with cluster.closing():
                quoted = cast("StudyResults", quote(results))  # Prefect would look into every row for futures
                # in a thread: an interrupt in the midst of matplotlib's callbacks would be lost
                publish.submit(quoted, prepared.root, page.request).result()
        keep(prepared.root, requested, prepared.resolved)
        if run.computing:
            rates = read_rates(prepared.root).after(run.meter, watch.lap() - run.computing)
            keep_rates(prepared.root, rates)
    return results


def _notify(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        get_run_logger().warning(sentence)
        listener().noticed(sentence)


def _complete(run: "_Run") -> StudyResults:
    """Walk the plan, again after each repair, until everything is there."""
    prepared = run.prepared
    while True:
        try:
            finished = plan.walk(prepared.wanted, run.complete)
            return collect(prepared, finished, run.ledger())
        except DamagedArtefactsError as found:
            damages = found.damages
        run.repair(damages)


@contextmanager
def _quiet_task_log() -> Iterator[None]:
    """Keep the log to what a person reads: one that each of some hundred tasks has finished is none."""
    logger = logging.getLogger("prefect.task_runs")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Run:
    """One run: what it has computed, reused and repaired so far."""

    def __init__(
        self, prepared: Prepared, cluster: Cluster, counter: StepCounter, never: Collection[str]
    ) -> None:
        self.prepared = prepared
        self.meter = Meter()
        self.computing = 0.0
        """Seconds by the clock that its jobs have taken."""
        self._root = prepared.root
        self._never = never
        self._counter = counter
        self._cluster = cluster
        self._records = Records(prepared.root)
        self._lacking: dict[str, list[str]] = {}
        self._units: dict[str, dict[str, Unit]] = {}
        self._under_way: list[tuple[Job, PrefectFuture[dict[str, Found]]]] = []
        self._computed: set[str] = set()
        self._undone: set[str] = set()
        self._repaired: set[str] = set()

    def complete(self, stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        """Return every unit with its record, computing those that have none."""
        unique = {unit.key: unit for unit in units.values()}
        self._units[stage.name] = unique
        found = self._found(stage, unique)
        missing = [unit for key, unit in unique.items() if key not in found]
        reused = counted(unique.values()) - counted(missing)
        get_run_logger().info("%s: %d to compute, %d reused", stage.name, counted(missing), reused)
        if reused:
            reuse(stage.name, reused)
        if stage.name in self._never:
            self._lacking[stage.name] = [group[0].group_label for group in groups(missing)]
            self._undone |= {unit.key for unit in missing}
            return _done(stage, units, found)
        self._refuse_lacking()
        cut = jobs(missing)
        listener().planned(stage.name, sum(job.steps for job in cut), len(missing))
        if missing:
            found |= self._compute(stage, cut)
        listener().finished(stage.name)
        return _done(stage, units, found)

    def _found(self, stage: Stage, units: Mapping[str, Unit]) -> dict[str, Found]:
        found = self._records.find(stage.name, units)
        return {key: record for key, record in found.items() if stage.accepted(units[key], record)}

    def _refuse_lacking(self) -> None:
        lacking = {stage: labels for stage, labels in self._lacking.items() if labels}
        if lacking:
            named = "; ".join(f"{stage}: {_listed(labels)}" for stage, labels in lacking.items())
            message = (
                f"`study` must have everything trained and extracted for further ε, but "
                f"{self._root.where()!r} lacks {named}; run `study` or `extend` first"
            )
            raise SpanmatchError(message)

    def _compute(self, stage: Stage, cut: Sequence[Job]) -> dict[str, Found]:
        futures: list[PrefectFuture[dict[str, Found]]] = [
            TASKS[stage.name].submit(
                job=quote(job), root=self._root, cluster=self._cluster, meter=quote(self.meter)
            )
            for job in cut
        ]
        self._under_way, watch = list(zip(cut, futures, strict=True)), Stopwatch()
        wait_with_progress(futures, self._counter, self.prepared.study.name, stage.name)
        self.computing += watch.lap()
        self._settle()
        found: dict[str, Found] = {}
        damages: list[DamagedArtefactError] = []
        for future in futures:
            try:
                found |= future.result()
            except DamagedArtefactsError as several:
                damages += several.damages
        if damages:
            for job in cut:  # what jobs that met damage could compute is kept all the same
                self._computed |= self._found(stage, {unit.key: unit for unit in job.units}).keys()
            raise DamagedArtefactsError(damages)
        return found

    def _settle(self) -> None:
        """Note which of the jobs under way are done, and which are not."""
        for job, future in self._under_way:
            keys = {unit.key for unit in job.units}
            if is_completed(future):
                self._computed |= keys
                self._undone -= keys
            else:
                self._undone |= keys
        self._under_way = []

    def repair(self, damages: Sequence[DamagedArtefactError]) -> None:
        """Name and forget damaged artefacts, so that the plan finds them missing.

        Raises
        ------
        SpanmatchError
            If one was damaged before in this run: the disk does not keep what is written.
        """
        by_place: dict[tuple[str, str], dict[str, DamagedArtefactError]] = {}
        for damage in damages:
            by_place.setdefault((damage.stage, damage.name), {})[damage.key] = damage
        for (stage, name), several in by_place.items():
            first = next(iter(several.values()))
            label = self._units[stage][first.key].label
            more = f" and {len(several) - 1} more in it" if len(several) > 1 else ""
            message = f"{self._root.where(name)} ({label}{more}) is damaged: {first.reason}"
            if not several.keys().isdisjoint(self._repaired):
                raise SpanmatchError(f"{message}; it was written in this very run, check the disk")
            self._repaired |= several.keys()
            _notify([f"{message}; computing it again"])
            STAGES[stage].forget(self._root, several)

    def ledger(self) -> dict[str, dict[str, int]]:
        """Return how many results of each stage were computed in this run, in part at least, and reused.

        If it has ended early, also how many were not done, and only the stages that it came to.
        """
        self._settle()
        ledger: dict[str, dict[str, int]] = {}
        for stage, units in self._units.items():
            computed = {unit.counted for key, unit in units.items() if key in self._computed}
            undone = {unit.counted for key, unit in units.items() if key in self._undone} - computed
            reused = counted(units.values()) - len(computed) - len(undone)
            ledger[stage] = {"computed": len(computed), "reused": reused}
            if undone:
                ledger[stage]["undone"] = len(undone)
        return ledger


def _done(stage: Stage, units: Mapping[Any, Unit], found: Mapping[str, Found]) -> dict[Any, Done]:
    return {
        name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
        for name, unit in units.items()
        if unit.key in found
    }


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_MAX_NAMED])
    return shown if len(labels) <= _MAX_NAMED else f"{shown} and {len(labels) - _MAX_NAMED} more"
