"""A unit of work: what is computed once, cached, counted in the ledger, and seen in the Prefect UI.

Apart because every stage's unit has its identity in the same way: a digest of the content digests of its
inputs, the parameters that matter, and the version of the stage's computation.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from storage.arrays import Artefact
from storage.digests import json_digest
from storage.root import Stage

AnyUnit = TypeVar("AnyUnit", bound="Unit")


@dataclass(frozen=True)
class Unit(ABC):
    """One unit of one stage.

    Attributes
    ----------
    label
        What people call it; not part of its identity.
    """

    stage: ClassVar[Stage]
    version: ClassVar[int]

    label: str

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what the unit's result depends on, as JSON. Never a path or an address."""

    @cached_property
    def key(self) -> str:
        """The unit's name in the cache and on disk."""
        return json_digest({"stage": self.stage, "version": self.version, **self.identity()})

    @property
    def job(self) -> str:
        """What the units that are computed together have in common; by default each is a job of its own."""
        return self.key

    @property
    def job_label(self) -> str:
        """What people call the job."""
        return self.label

    def accepts(self, record: Any) -> bool:  # noqa: ANN401, ARG002 - the stage's record
        """Tell whether a cached record is all that this unit needs; if not, it is computed anew."""
        return True

    @property
    def steps(self) -> int:
        """How many steps of progress the unit counts while its job is computed."""
        return 1

    def artefact(self, digest: str) -> Artefact:
        """Return the unit's published group, given the digest out of its record."""
        return Artefact(self.stage, self.key, digest)


def jobs(units: Iterable[AnyUnit]) -> list[tuple[AnyUnit, ...]]:
    """Gather the units that are computed together, in their order.

    Units of one key have one result: the first of them is computed, for all.
    """
    different: dict[str, AnyUnit] = {}
    for unit in units:
        different.setdefault(unit.key, unit)
    gathered: dict[str, list[AnyUnit]] = {}
    for unit in different.values():
        gathered.setdefault(unit.job, []).append(unit)
    return [tuple(together) for together in gathered.values()]
