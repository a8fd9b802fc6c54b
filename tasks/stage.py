"""A stage: how its units are planned, computed, kept, shown and pruned."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from storage.inventory import Kind
from storage.packs import Content, pack_of
from storage.records import Found, Records
from storage.root import Artefact, Root
from tasks.unit import Unit
from tasks.wanted import Complete, Wanted

if TYPE_CHECKING:
    from tasks.statistic import Reading


GROUP = r"manifest\.json|(.+/)?zarr\.json|.+/c(/\d+)*"
"""What is in the folder of a Zarr group."""


class Form(Enum):
    """How the results of a stage's units are kept beside their records."""

    FOLDER = "a folder for each unit"
    PACK = "a file for the units that were kept together"
    RECORD = "in the record itself"


class Cost(NamedTuple):
    """What a group of units is foreseen to take.

    Attributes
    ----------
    written, read
        Bytes that are kept under the root, and that are read from it.
    memory
        Bytes that a worker holds at most, beside its libraries and what one batch takes that passes.
    seconds
        On one core, of what passes through a network; None where `Unit.seconds` says as much.
    """

    written: int
    read: int = 0
    memory: int = 0
    seconds: float | None = None


class Pace(NamedTuple):
    """What a network takes on this machine, measured.

    Attributes
    ----------
    seconds
        For a step of progress, on one core.
    weights
        Bytes of a checkpoint.
    """

    seconds: float
    weights: int


Paces = Mapping[str, Pace]
"""By `Unit.pace`."""
Named = Sequence[tuple[Any, Any]]
"""The units of a group, each with what it stands for."""


class Result(NamedTuple):
    """What a unit came to: its record, and the arrays that are kept in a pack."""

    unit: Unit
    record: dict[str, Any]
    content: Content = MappingProxyType({})


@dataclass(frozen=True)
class Stage:
    """A stage, as its module declares it.

    Attributes
    ----------
    name
        Of its folder under the root and in the ledger.
    verb
        What its Prefect tasks are called.
    bar
        What its progress bar says that it does, with the unit of its steps in brackets.
    record
        The type (a TypedDict) of its units' records.
    form
        How results are kept.
    plan
        From what is wanted, and the finished units of the stages before, to its units, each under what it
        stands for; it skips what stands on units that are not finished.
    compute
        Computes the units of one group on a worker; see `tasks.work`.
    cost
        What a group of units is foreseen to take.
    foreseen
        A record as a unit will have it, from which later stages can be planned before it is computed.
    measure_pace
        Measures what the network of a unit takes; None where a stage's units have none.
    foretold
        What a person should know before a run, from what is wanted and the names of finished units.
    suffix
        Of a unit's folder.
    inside
        Regular expression of the files in it; anything else there is somebody's own.
    earlier
        Where earlier versions kept results, and what may be in there, for `prune` to remove.
    """

    name: str
    verb: str
    bar: Callable[[Wanted], str]
    record: type
    form: Form
    plan: Callable[[Wanted, Complete], Mapping[Any, Unit]]
    compute: Callable[[Root, Sequence[Any], "Reading"], Sequence[Result]]
    cost: Callable[[Wanted, Named, Paces], Cost]
    foreseen: Callable[[Any], dict[str, Any]] = lambda unit: {"digest": f"foreseen {unit.key}"}
    measure_pace: Callable[[Any], Pace] | None = None
    foretold: Callable[[Wanted, Collection[Any]], str | None] = lambda _wanted, _finished: None
    suffix: str = ""
    inside: str = ""
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> Kind:
        """What `prune` finds of the stage under a root."""
        own = {
            Form.FOLDER: ((f"{self.name}/{{}}{self.suffix}", self.inside),),
            Form.PACK: ((pack_of(self.name, "{}"), ""),),
            Form.RECORD: (),
        }[self.form]
        return Kind(self.name, (*own, *self.earlier), packed=self.form is not Form.FOLDER, recorded=True)

    @cached_property
    def _records(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.record)

    def accepted(self, unit: Unit, found: Found | None) -> bool:
        """Tell whether a record that was found is one of this stage, and all that the unit needs."""
        if found is None:
            return False
        try:
            record = self._records.validate_python(found.record, strict=True)
        except ValidationError:
            return False
        return unit.accepts(record)

    def artefact(self, key: str, found: Found) -> Artefact:
        """Return the published result that a record vouches for."""
        return Artefact(self.name, key, self.place(key, found.together), found.record.get("digest", ""))

    def forget(self, root: Root, keys: Collection[str]) -> None:
        """Remove the records of units, then what these vouched for and no other does."""
        gone = Records(root).forget(self.name, keys)
        if self.form is Form.FOLDER:
            for key in keys:
                root.place.remove(self.place(key, key))
        elif self.form is Form.PACK:
            for together in gone:
                root.place.remove(pack_of(self.name, together))

    def place(self, key: str, together: str) -> str:
        """Return where under the root a unit's result lies."""
        return pack_of(self.name, together) if self.form is Form.PACK else f"{self.name}/{key}{self.suffix}"
