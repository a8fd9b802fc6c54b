"""What of a study is done, and what a run would compute, without computing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows import plan
from flows.checks import look_up
from flows.plan import Done
from flows.study import Study
from storage.root import STAGES, Root, Stage
from tasks.records import Cache
from tasks.unit import Unit, jobs


@dataclass(frozen=True)
class StageStatus:
    """How many jobs of a stage have all their records, out of how many."""

    stage: Stage
    done: int
    total: int


def status(study: Study) -> list[StageStatus]:
    """Look up the records of every unit of the study.

    Artefacts are not read: a damaged one is found by the run that needs it.
    """
    root = Root.at(study.root)
    root.check()
    setting = look_up(study, root)
    cache = Cache(root)
    done: dict[Stage, int] = {}

    def found(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        records = cache.look_up_all(units.values())
        done[stage] = sum(all(records[unit.key] is not None for unit in job) for job in jobs(units.values()))
        return {
            name: Done(unit, records[unit.key])
            for name, unit in units.items()
            if records[unit.key] is not None
        }

    plan.walk(study, setting, found)
    totals = plan.totals(study, setting)
    return [StageStatus(stage, done[stage], totals[stage]) for stage in STAGES]
