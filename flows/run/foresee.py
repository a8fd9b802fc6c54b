"""The whole plan of a study, as far as nothing of it is computed."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from flows.run import plan
from flows.run.prepared import Prepared
from storage.records import Found, Records
from tasks.stage import Stage
from tasks.unit import Done, Unit
from tasks.work import groups


class Foreseen(NamedTuple):
    """A stage as it would be: its units, by what they stand for, and the keys of those without a record.

    Attributes
    ----------
    finished
        What the units that have a record stand for.
    """

    units: Mapping[Any, Unit]
    missing: frozenset[str]
    finished: Collection[Any]

    @property
    def lacking(self) -> dict[str, list[tuple[Any, Unit]]]:
        """The units to compute, each with what it stands for, by the group that is computed in one go."""
        named: dict[str, tuple[Any, Unit]] = {}
        for name, unit in self.units.items():
            if unit.key in self.missing:
                named.setdefault(unit.key, (name, unit))
        together = groups(unit for _, unit in named.values())
        return {group[0].group: [named[unit.key] for unit in group] for group in together}


def foresee(prepared: Prepared) -> dict[str, Foreseen]:
    """Walk the whole plan: what has no record is taken to have one as its stage foresees it."""
    records = Records(prepared.root)
    stages: dict[str, Foreseen] = {}

    def complete(stage: Stage, units: plan.Planned) -> dict[Any, Done]:
        done = plan.recorded(records, stage, units)
        missing = frozenset(unit.key for unit in units.values()) - {one.unit.key for one in done.values()}
        stages[stage.name] = Foreseen(units, missing, done.keys())
        return {name: done.get(name) or _as_foreseen(stage, unit) for name, unit in units.items()}

    plan.walk(prepared.wanted, complete)
    return stages


def _as_foreseen(stage: Stage, unit: Unit) -> Done:
    found = Found(stage.foreseen(unit), unit.key)
    return Done(unit, found.record, stage.artefact(unit.key, found))
