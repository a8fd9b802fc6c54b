"""A unit of work: computed once, kept, counted in the ledger, and repaired separately.

Its key digests the content of its inputs, the parameters that matter, and the version of its stage.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from storage.digests import json_digest
from storage.records import Found
from storage.root import Artefact


@dataclass(frozen=True)
class Unit(ABC):
    """One unit of one stage.

    Attributes
    ----------
    label
        What people call it; not part of its identity.
    """

    stage: ClassVar[str]
    version: ClassVar[int]

    label: str

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what the unit's result depends on, as JSON. Never a path or an address."""

    @cached_property
    def key(self) -> str:
        """The unit's name in records and on disk."""
        return json_digest({"stage": self.stage, "version": self.version, **self.identity()})

    @property
    def group(self) -> str:
        """What is computed in one go: the units of one group are not split among jobs."""
        return self.key

    @property
    def counted(self) -> str:
        """What the ledger and `status` count: units that have this in common count as one."""
        return self.key

    @property
    def group_label(self) -> str:
        """What people call the group."""
        return self.label

    @property
    def seconds(self) -> float:
        """Roughly how long the unit takes on one core: jobs are sized by it."""
        return 1.0

    @property
    def passing(self) -> "tuple[Unit, ...]":
        """The units whose networks pass for this one, which its stage's `cost` asks the pace of."""
        return ()

    @property
    def pace(self) -> str:
        """What `seconds` leaves out, such as which network passes: units of one pace are off alike."""
        return ""

    @property
    def steps(self) -> int:
        """How many steps of progress its group counts."""
        return 1

    def accepts(self, record: Any) -> bool:  # noqa: ANN401, ARG002 - the stage's record
        """Tell whether a record that was kept is all that this unit needs; if not, it is computed anew."""
        return True


class Done(NamedTuple):
    """A unit with its record, and where its artefact lies."""

    unit: Unit
    record: Any
    artefact: Artefact


__all__ = ["Artefact", "Done", "Found", "Unit"]
