"""Stage *exemplars*: the samples at which each neuron of a layer is strongest, of all segments.

Those of a segment are found while its activations are read, or pass, for co-moments; here they are merged.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch import networks
from spanmatch.matching.strongest import Strongest, merged
from spanmatch.networks.datasource import DataSource
from storage.packs import Packs, content_digest
from storage.root import Artefact, Root
from tasks.datasets import load_planned
from tasks.foreseeing import kept_bytes, strongest_bytes
from tasks.reduction import StrongestName
from tasks.stage import Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading
from tasks.unit import Unit
from tasks.wanted import Complete, Side, Wanted, WantedLayer


class ExemplarsRecord(TypedDict):
    """Stored exemplars."""

    digest: str


@dataclass(frozen=True)
class Drawn:
    """Which positions of a map were drawn: those that exemplars are numbered by.

    Attributes
    ----------
    source, samples
        The data set and the digest of its samples, whose names the draw depends on.
    total, wanted, seed
        Positions of the map, how many were drawn of each sample, and from which seed.
    """

    source: DataSource
    samples: str
    total: int
    wanted: int
    seed: int


class StoredExemplars(NamedTuple):
    """What is kept of a layer of a checkpoint.

    Attributes
    ----------
    strongest
        Over all samples of the study; positions are those of the map.
    map
        Sizes of the map; none where there is one position, or it cannot be told which it was.
    """

    strongest: Strongest
    map: tuple[int, ...]


@dataclass(frozen=True)
class ExemplarsUnit(Unit):
    """The strongest samples of each neuron of a layer of a checkpoint.

    Attributes
    ----------
    parts
        Those of each segment.
    starts
        Which sample of the study is the first of each.
    map
        Sizes of the layer's map; none where it has one position.
    drawn
        None where all positions are samples.
    """

    stage: ClassVar[str] = "exemplars"
    version: ClassVar[int] = 1

    parts: tuple[Artefact, ...]
    starts: tuple[int, ...]
    map: tuple[int, ...]
    drawn: Drawn | None
    neurons: int

    @property
    def seconds(self) -> float:
        """By what is sorted; the data set's names are looked up once."""
        return 1e-3 + 1e-5 * self.neurons * len(self.parts)

    def identity(self) -> dict[str, Any]:
        """Return the content of the parts, where they lie among the samples, and their positions."""
        drawn = None if self.drawn is None else asdict(self.drawn)
        if drawn is not None:
            del drawn["source"]
        parts = [part.digest for part in self.parts]
        return {"parts": parts, "starts": self.starts, "map": self.map, "drawn": drawn}


def plan(wanted: Wanted, done: Complete) -> dict[Side, ExemplarsUnit]:
    """Plan the exemplars of each layer of each checkpoint of which all segments have some."""
    if not wanted.exemplars:
        return {}
    units: dict[Side, ExemplarsUnit] = {}
    starts = tuple(start for start, _ in wanted.segments)
    for checkpoint, layers in wanted.sides.items():
        for layer in layers:
            side = Side(layer.name, checkpoint)
            parts = [done["comoments"].get(StrongestName(*side, start, wanted.exemplars)) for start in starts]
            if all(part is not None for part in parts):
                units[side] = ExemplarsUnit(
                    f"{layer.name} · {checkpoint.label}",
                    parts=tuple(part.artefact for part in parts if part),
                    starts=starts,
                    map=() if wanted.positions == "mean" or prod(layer.map) == 1 else layer.map,
                    drawn=_drawn(wanted, layer),
                    neurons=layer.neurons,
                )
    return units


def _drawn(wanted: Wanted, layer: WantedLayer) -> Drawn | None:
    total = prod(layer.map)
    if not isinstance(wanted.positions, int) or wanted.positions >= total:
        return None
    return Drawn(wanted.source, wanted.held_out_digest, total, wanted.positions, wanted.positions_seed)


def compute(root: Root, units: Sequence[ExemplarsUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Merge what was found in each segment, and tell positions of maps of which some were drawn.

    Raises
    ------
    DamagedArtefactError
        If a part is not what was written.
    SpanmatchError
        If positions were drawn, and the data set is other than planned with.
    """
    return [_result(unit, reading) for unit in units]


def _result(unit: ExemplarsUnit, reading: Reading) -> Result:
    parts = [
        Strongest(**reading.packs.read(part)).moved(start)
        for part, start in zip(unit.parts, unit.starts, strict=True)
    ]
    strongest, map_ = reduce(merged, parts), unit.map
    if unit.drawn is not None:
        positions = _of_map(strongest, unit.drawn)
        map_ = () if positions is None else unit.map
        strongest = strongest.at(np.zeros_like(strongest.positions) if positions is None else positions)
    content = {**strongest.arrays(), "map": np.array(map_, dtype=np.int64)}
    return Result(unit, {"digest": content_digest(content)}, content)


def _of_map(strongest: Strongest, drawn: Drawn) -> NDArray[np.int64] | None:
    """Return positions of the map instead of places among those drawn; None where it cannot be told.

    It can of pictures of bytes, all of which counts, and where the data set's mask says what counts. Of other
    samples networks may have told their layers what is padding, so that others were drawn.
    """
    samples = load_planned(drawn.source, drawn.samples, "held-out").held_out
    if samples.mask is None and getattr(samples, "preprocessing", None) is None:
        return None
    there = np.flatnonzero(strongest.samples >= 0)
    numbers, place = np.unique(strongest.samples.flat[there], return_inverse=True)
    ids = [samples.ids[number] for number in numbers]
    counts = None
    if samples.mask is not None and samples.mask.shape[1] == drawn.total:
        counts = samples.mask[numbers]
    every = networks.draw_positions(ids, drawn.total, drawn.wanted, drawn.seed, counts)
    positions = np.zeros_like(strongest.positions)
    positions.flat[there] = every[place, strongest.positions.flat[there]]
    return positions


def read_exemplars(packs: Packs, artefact: Artefact) -> StoredExemplars:
    """Read stored exemplars.

    Raises
    ------
    DamagedArtefactError
        If they are not what was written.
    """
    content = packs.read(artefact)
    strongest = Strongest(*(content[name] for name in Strongest._fields))
    return StoredExemplars(strongest, tuple(content["map"].tolist()))


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with what is kept of all segments; the parts of a layer are held."""
    written = read = memory = 0
    for side, unit in group:
        content = strongest_bytes(wanted.layer_of(side).neurons, wanted.exemplars, wanted.dtype)
        written += kept_bytes(content + 8 * len(unit.map), 4)
        read += content * len(unit.parts)
        memory = max(memory, 2 * content * (len(unit.parts) + 1))
    return Cost(written, read, memory)


STAGE = Stage(
    name="exemplars",
    verb="exemplify",
    bar=lambda wanted: f"merge the strongest {wanted.items} of neurons (layers of networks)",
    record=ExemplarsRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    cost=cost,
)
