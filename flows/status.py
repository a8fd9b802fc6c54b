"""What of a study is done, and what a run would compute, without computing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows import plan
from flows.checks import look_up
from flows.plan import Done
from flows.study import Study
from storage.root import STAGES, Root, Stage
from tasks.stages import Cache
from tasks.unit import Unit


@dataclass(frozen=True)
class StageStatus:
    """How many units of a stage have a record, out of how many."""

    stage: Stage
    done: int
    total: int


def status(study: Study) -> list[StageStatus]:
    """Look up the records of every unit of the study.

    Artefacts are not read: a damaged one is found by the run that needs it.
    """
    root = Root.at(study.root)
    setting = look_up(study, root)
    cache = Cache(root)
    done: dict[Stage, int] = {}

    def found(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        records = {name: Done(unit, cache.look_up(unit)) for name, unit in units.items()}
        present = {name: each for name, each in records.items() if each.record is not None}
        done[stage] = len(present)
        return present

    plan.walk(study, setting, found)
    totals = plan.totals(study, setting)
    return [StageStatus(stage, done[stage], totals[stage]) for stage in STAGES]
