"""What a flow does: every stage in order, only what is missing, and again what was damaged.

Apart from the plan because this is where Prefect, Dask and the disk come in.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from prefect import get_run_logger
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from flows.run import plan
from flows.run.collect import collect
from flows.run.page import is_deployed, open_page
from flows.run.plan import Done
from flows.study.allowed import check_allowed
from flows.study.kept import Kept, keep, require_same_data
from flows.study.model import Study
from flows.study.resolve import check_names, remember, resolve
from flows.study.resolved import Resolved
from spanmatch.errors import SpanmatchError
from spanmatch.reporting import StudyResults, left_out_sentences
from storage.root import DamagedArtefactError, Root, Stage
from tasks.cluster import Cluster, check_scheduler, cluster_at
from tasks.progress import listener
from tasks.records import Cache
from tasks.report import publish
from tasks.stages import TASKS, reuse
from tasks.ui_progress import StepCounter, counting, is_completed, wait_with_progress
from tasks.unit import Unit, jobs

_NAMED = 5  # units that a refusal names; of more it says how many


def execute(study: Study, kept: Kept | None = None, *, never: Collection[Stage] = ()) -> StudyResults:
    """Compute what a study lacks, and write its results and report; call it from a flow.

    Parameters
    ----------
    study
        What to compare. Everything is kept below its root, so that the next run reuses it.
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
    with open_page(study) as page:
        if is_deployed():
            check_allowed(study)
        resolved = _checked(study, kept)
        root = Root.prepare(study.root)
        remember(study, root, resolved)
        with _quiet_task_log(), cluster_at(study.scheduler) as cluster, counting() as counter:
            _tell_left_out(resolved)
            run = _Run(study.name, root, cluster, counter, never)
            page.ledger = run.ledger
            results = _complete(study, resolved, run, root)
            with cluster.closing():
                quoted = cast("StudyResults", quote(results))  # Prefect would look into every row for futures
                # in a thread: an interrupt in the midst of matplotlib's callbacks would be lost
                publish.submit(quoted, root, page.asked).result()
        keep(root, study, resolved)
    return results


def _checked(study: Study, kept: Kept | None) -> Resolved:
    """See that a run can begin; change nothing."""
    check_names(study)
    root = Root.at(study.root)
    root.check()
    resolved = resolve(study, root)
    if kept is not None:
        require_same_data(kept, resolved)
    if study.scheduler is not None:
        check_scheduler(study.scheduler)
    return resolved


def _tell_left_out(resolved: Resolved) -> None:
    for sentence in left_out_sentences(resolved.left_out):
        get_run_logger().warning(sentence)
        listener().noticed(sentence)


def _complete(study: Study, resolved: Resolved, run: "_Run", root: Root) -> StudyResults:
    """Walk the plan, again after each repair, until everything is there."""
    while True:
        try:
            outcome = plan.walk(study, resolved, run.complete)
            return collect(root, study.name, outcome, run.ledger(), resolved.left_out)
        except* DamagedArtefactError as found:
            damages = cast("Sequence[DamagedArtefactError]", found.exceptions)
        run.repair(damages)  # out here: what is raised in there becomes a group


@contextmanager
def _quiet_task_log() -> Iterator[None]:
    """Keep the log to what a person reads: one that each of some thousand tasks has finished is none."""
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
        self, study: str, root: Root, cluster: Cluster, counter: StepCounter, never: Collection[Stage]
    ) -> None:
        self._study = study
        self._never = never
        self._lacking: dict[Stage, list[str]] = {}
        self._counter = counter
        self._root = root
        self._cluster = cluster
        self._cache = Cache(root)
        self._labels: dict[str, str] = {}
        self._jobs: dict[Stage, list[list[str]]] = {}
        self._under_way: list[tuple[Sequence[Unit], PrefectFuture[dict[str, Any]]]] = []
        self._computed: set[str] = set()
        self._undone: set[str] = set()
        self._repaired: set[str] = set()

    def complete(self, stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        """Return every unit with its record, computing those that have none."""
        self._labels.update({unit.key: unit.label for unit in units.values()})
        together = jobs(units.values())
        self._jobs[stage] = [[unit.key for unit in job] for job in together]
        records = self._cache.look_up_all(units.values())
        missing = jobs(unit for job in together for unit in job if records[unit.key] is None)
        reused = len(together) - len(missing)
        get_run_logger().info("%s: %d to compute, %d reused", stage, len(missing), reused)
        if reused:
            reuse(stage, reused)
        if stage in self._never:
            self._lacking[stage] = [job[0].job_label for job in missing]
            self._undone |= {unit.key for job in missing for unit in job}
            return {name: Done(unit, record) for name, unit in units.items() if (record := records[unit.key])}
        self._refuse_lacking()
        listener().planned(stage, sum(job[0].steps for job in missing), len(missing))
        if missing:
            records |= self._compute(stage, missing)
        listener().finished(stage)
        return {name: Done(unit, records[unit.key]) for name, unit in units.items()}

    def _refuse_lacking(self) -> None:
        lacking = {stage: labels for stage, labels in self._lacking.items() if labels}
        if lacking:
            named = "; ".join(f"{stage}: {_listed(labels)}" for stage, labels in lacking.items())
            message = (
                f"`study` must have everything trained and extracted for further ε, but "
                f"{self._root.where()!r} lacks {named}; run `study` or `extend` first"
            )
            raise SpanmatchError(message)

    def _compute(self, stage: Stage, missing: Sequence[Sequence[Unit]]) -> dict[str, Any]:
        futures: list[PrefectFuture[dict[str, Any]]] = [
            TASKS[stage].submit(units=job, root=self._root, cluster=self._cluster) for job in missing
        ]
        self._under_way = list(zip(missing, futures, strict=True))
        wait_with_progress(futures, self._counter, self._study, stage)
        self._settle()
        records: dict[str, Any] = {}
        damages = []
        for future in futures:
            try:
                records |= future.result()
            except DamagedArtefactError as damage:
                damages.append(damage)
        if damages:
            raise ExceptionGroup(f"damaged {stage} were needed", damages)
        return records

    def _settle(self) -> None:
        """Note which of the jobs under way are done, and which are not."""
        for job, future in self._under_way:
            keys = {unit.key for unit in job}
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
        for damage in {found.key: found for found in damages}.values():
            place = self._root.where(self._root.artefact(damage.stage, damage.key))
            message = f"{place} ({self._labels[damage.key]}) is damaged: {damage.reason}"
            if damage.key in self._repaired:
                raise SpanmatchError(f"{message}; it was written in this very run, check the disk")
            self._repaired.add(damage.key)
            get_run_logger().warning("%s; computing it again", message)
            listener().noticed(f"{message}; computing it again")
            self._root.forget(damage.stage, damage.key)

    def ledger(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each stage were computed in this run, in part at least, and reused.

        If it has ended early, also how many were not done, and only the stages that it came to.
        """
        self._settle()
        ledger: dict[str, dict[str, int]] = {}
        for stage, together in self._jobs.items():
            others = [job for job in together if self._computed.isdisjoint(job)]
            computed = len(together) - len(others)
            undone = sum(not self._undone.isdisjoint(job) for job in others)
            ledger[stage] = {"computed": computed, "reused": len(others) - undone}
            if undone:
                ledger[stage]["undone"] = undone
        return ledger


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_NAMED])
    return shown if len(labels) <= _NAMED else f"{shown} and {len(labels) - _NAMED} more"
