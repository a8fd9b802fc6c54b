"""What of a study is done, and what a run would compute.

Nothing is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.run.foresee import Foreseen, foresee
from flows.run.prepared import Prepared
from tasks.stages import STAGES
from tasks.work import counted


@dataclass(frozen=True)
class StageStatus:
    """How many results of a stage are there, out of how many."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Status:
    """What is done of each stage, and what a person should know: layers left out, an older root."""

    stages: list[StageStatus]
    left_out: Mapping[str, str]
    notices: tuple[str, ...] = ()


def status(prepared: Prepared, stages: Mapping[str, Foreseen] | None = None) -> Status:
    """Look up the records of every unit of the study.

    Artefacts are not read: a damaged one is found by the run that needs it.

    Parameters
    ----------
    prepared
        The study.
    stages
        What `foresee` makes of it, where that is known.
    """
    stages = foresee(prepared) if stages is None else stages
    foretold = (STAGES[name].foretold(prepared.wanted, stage.finished) for name, stage in stages.items())
    notices = (*prepared.notices, *filter(None, foretold))
    counts = [_status(name, stage) for name, stage in stages.items()]
    return Status(counts, prepared.resolved.left_out, notices)


def _status(name: str, stage: Foreseen) -> StageStatus:
    units = stage.units.values()
    undone = {unit.counted for unit in units if unit.key in stage.missing}
    total = counted(units)
    return StageStatus(name, total - len(undone), total)
