"""What work has taken on this machine, kept under a root, from which the next run is foreseen."""

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from storage.places import UnusableRootError
from storage.result_files import RATES
from storage.root import Root
from tasks.meter import Meter, Took
from tasks.stage import Pace


@dataclass(frozen=True)
class Rates:
    """What work has taken on one machine.

    Attributes
    ----------
    factors
        What units of each stage took, by pace.
    paces
        What networks take, by the pace of the units that they pass for.
    libraries
        Resident bytes of a process that has passed a batch through each of them, and trained it; 0 where none
        has.
    around
        Seconds of the last whole run beside its stages: starting, collecting, drawing.
    peak
        Resident bytes of the largest worker of the last run.
    """

    factors: Mapping[str, Mapping[str, Took]] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    libraries: int = 0
    around: float | None = None
    peak: int = 0

    def factor(self, stage: str, pace: str) -> float | None:
        """Return how much longer units of a stage take than they say; None where that was not measured."""
        took = self.factors.get(stage, {}).get(pace)
        return took.seconds / took.foreseen if took is not None and took.foreseen else None

    def after(self, meter: Meter, around: float) -> "Rates":
        """Return the rates with what a run has measured."""
        factors = {stage: dict(of_stage) for stage, of_stage in self.factors.items()}
        for (stage, pace), took in meter.took.items():
            before = factors.setdefault(stage, {}).get(pace, Took(0.0, 0.0))
            factors[stage][pace] = before.and_(took)
        return replace(self, factors=factors, around=around, peak=meter.peak)

    def with_paces(self, paces: Mapping[str, Pace], libraries: int) -> "Rates":
        """Return the rates with what networks take."""
        return replace(self, paces={**self.paces, **paces}, libraries=max(self.libraries, libraries))


_MACHINES: TypeAdapter[dict[str, Rates]] = TypeAdapter(dict[str, Rates])


def this_machine() -> str:
    """Return what rates hold for: processors of one kind and number."""
    return f"{os.cpu_count()} × {platform.machine()}"


def read_rates(root: Root) -> Rates:
    """Return what was measured on this machine; nothing where it was not, or cannot be read."""
    return _read(root).get(this_machine(), Rates())


def keep_rates(root: Root, rates: Rates) -> None:
    """Keep what was measured, beside that of other machines; on a full disk it is measured again."""
    with suppress(OSError, UnusableRootError):
        machines: Any = _MACHINES.dump_python(_read(root) | {this_machine(): rates}, mode="json")
        root.write_text(RATES, json.dumps(machines, sort_keys=True))


def _read(root: Root) -> dict[str, Rates]:
    try:
        return _MACHINES.validate_json(root.read(RATES))
    except (FileNotFoundError, ValidationError, UnusableRootError):
        return {}
