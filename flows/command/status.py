"""What of a study is done, and what a run would compute, without computing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flows.run import plan
from flows.run.plan import Done
from flows.study.model import Study
from flows.study.resolve import resolve
from flows.study.resolved import Resolved
from storage.root import STAGES, Root, Stage
from tasks.records import Cache
from tasks.unit import Unit, jobs


@dataclass(frozen=True)
class StageStatus:
    """How many jobs of a stage have all their records, out of how many."""

    stage: Stage
    done: int
    total: int


class Planned(NamedTuple):
    """The units of a stage that can be planned from what is recorded.

    Attributes
    ----------
    missing
        The keys of those that have no record.
    names
        How many jobs they would be if none were the same as another.
    """

    units: list[Unit]
    missing: set[str]
    names: int


@dataclass(frozen=True)
class Status:
    """What is done of each stage, and why layers that the study asks for are left out."""

    stages: list[StageStatus]
    left_out: Mapping[str, str]


def status(study: Study) -> Status:
    """Look up the records of every unit of the study.

    Artefacts are not read: a damaged one is found by the run that needs it.
    """
    root = Root.at(study.root)
    root.check()
    resolved = resolve(study, root)
    stages = planned(study, resolved, root)
    totals = plan.totals(study, resolved)
    return Status([_status(stage, stages[stage], totals[stage]) for stage in STAGES], resolved.left_out)


def _status(stage: Stage, planned: "Planned", most: int) -> StageStatus:
    together = jobs(planned.units)
    done = sum(planned.missing.isdisjoint(unit.key for unit in job) for job in together)
    return StageStatus(stage, done, most - (planned.names - len(together)))


def planned(study: Study, resolved: Resolved, root: Root) -> dict[Stage, Planned]:
    """Walk the plan with the records that are there; a stage misses what stands on records that are not."""
    cache = Cache(root)
    stages: dict[Stage, Planned] = {}

    def found(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        records = cache.look_up_all(units.values())
        stages[stage] = Planned(
            list(units.values()),
            {key for key, record in records.items() if record is None},
            len({plan.job_name(name) for name in units}),
        )
        return {
            name: Done(unit, records[unit.key])
            for name, unit in units.items()
            if records[unit.key] is not None
        }

    plan.walk(study, resolved, found)
    return stages
