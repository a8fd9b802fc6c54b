"""What of a study is done, and what a run would compute.

Nothing is computed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flows.run import plan
from flows.run.prepared import Prepared
from storage.records import Records
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.unit import Done, Unit
from tasks.work import counted


@dataclass(frozen=True)
class StageStatus:
    """How many results of a stage are there, out of how many."""

    stage: str
    done: int
    total: int


class PlannedStage(NamedTuple):
    """The units of a stage that can be planned from what is recorded, and the keys of those without a record.

    Attributes
    ----------
    planned
        How many results they would be if none were the same as another.
    finished
        What the units that have a record stand for.
    """

    units: list[Unit]
    missing: set[str]
    planned: int
    finished: Collection[Any]


@dataclass(frozen=True)
class Status:
    """What is done of each stage, and what a person should know: layers left out, an older root."""

    stages: list[StageStatus]
    left_out: Mapping[str, str]
    notices: tuple[str, ...] = ()


def status(prepared: Prepared) -> Status:
    """Look up the records of every unit of the study.

    Artefacts are not read: a damaged one is found by the run that needs it.
    """
    planned = planned_stages(prepared)
    stages = [_status(stage, planned[name], prepared) for name, stage in STAGES.items()]
    foretold = (stage.foretold(prepared.wanted, planned[name].finished) for name, stage in STAGES.items())
    notices = (*prepared.notices, *filter(None, foretold))
    return Status(stages, prepared.resolved.left_out, notices)


def _status(stage: Stage, planned: PlannedStage, prepared: Prepared) -> StageStatus:
    undone = {unit.counted for unit in planned.units if unit.key in planned.missing}
    different = counted(planned.units)
    total = stage.count(prepared.wanted) - (planned.planned - different)
    return StageStatus(stage.name, different - len(undone), total)


def planned_stages(prepared: Prepared) -> dict[str, PlannedStage]:
    """Walk the plan with the records that are there; a stage misses what stands on records that are not."""
    records = Records(prepared.root)
    stages: dict[str, PlannedStage] = {}

    def found(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        done = plan.recorded(records, stage, units)
        missing = {unit.key for unit in units.values()} - {one.unit.key for one in done.values()}
        results = {stage.counts_as(name) for name in units}
        stages[stage.name] = PlannedStage(list(units.values()), missing, len(results), done.keys())
        return done

    plan.walk(prepared.wanted, found)
    return stages
