"""Stage *permuted*: co-moments of pairs of layers, those of one side's images permuted: what chance gives.

All positions of an image stay together. Only the cross part changes: own parts are those of the stage before.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.match import Indices
from spanmatch.statistics.permutations import check_exchangeable, permutation
from spanmatch.statistics.permuted_cross import PermutedCross
from storage.arrays import GroupReader
from storage.packs import content_digest
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.reduction import OwnName
from tasks.segments import SegmentName
from tasks.stage import Form, Result, Stage
from tasks.statistic import Moments, Reading, content_of
from tasks.unit import Unit
from tasks.wanted import Checkpoint, Complete, LayerPair, Wanted, WantedLayer

# Samples of one side that are taken at once; as many images as that makes, at least one.
_SAMPLES = 4096
# Activations that a worker holds, so that each is read once for all permutations. Where two networks' are
# more, those of one are read in parts, and those of the other once for each part.
_HELD_BYTES = 2**30
_FLOPS_PER_SECOND = 2.5e10


class PermutedRecord(TypedDict):
    """Stored co-moments."""

    digest: str


class PermutedName(NamedTuple):
    """What a unit stands for: a pair under a permutation."""

    pair: LayerPair
    number: int


@dataclass(frozen=True)
class StoredLayer:
    """One layer of a network over all images: its segments, and its own moments, one part for each.

    Attributes
    ----------
    network
        The checkpoint's label, which its permutations are drawn by.
    """

    layer: str
    network: str
    segments: tuple[Artefact, ...]
    contents: tuple[str, ...]
    own: tuple[Artefact, ...]


@dataclass(frozen=True)
class PermutedUnit(Unit):
    """The cross part of a pair under one permutation.

    Attributes
    ----------
    number, seed
        Of the permutation.
    images_digest
        Of the images, whose names are permuted.
    tile
        Units of one tile are computed in one pass over the activations.
    """

    stage: ClassVar[str] = "permuted"
    version: ClassVar[int] = 1

    x: StoredLayer
    y: StoredLayer
    number: int
    seed: int
    images_digest: str
    tile: str
    estimate: float

    @property
    def group(self) -> str:
        """The tile."""
        return self.tile

    @property
    def group_label(self) -> str:
        """What people call the tile."""
        return self.tile

    @property
    def seconds(self) -> float:
        """By its products."""
        return self.estimate

    def identity(self) -> dict[str, Any]:
        """Return the content of both sides' activations, and the permutation."""
        return {
            "x": self.x.contents,
            "y": self.y.contents,
            "images": self.images_digest,
            "permutation": [self.seed, self.number, self.x.network, self.y.network],
        }


def plan(wanted: Wanted, done: Complete) -> dict[PermutedName, PermutedUnit]:
    """Plan the cross part of each pair under each permutation."""
    if not wanted.permutations:
        return {}
    by_layer: dict[str, list[LayerPair]] = defaultdict(list)
    for pair in wanted.pairs:
        by_layer[pair.layer_x].append(pair)
    units: dict[PermutedName, PermutedUnit] = {}
    for layer in wanted.layers:
        tiles = _Tiles(wanted, done, layer)
        for pair in by_layer[layer.name]:
            x, y = (tiles.sides.get(one) for one in pair.compared)
            if x is None or y is None:
                continue
            for number in range(wanted.permutations):
                units[PermutedName(pair, number)] = PermutedUnit(
                    f"{wanted.shown(pair)} · permutation {number}",
                    x=x,
                    y=y,
                    number=number,
                    seed=wanted.permutation_seed,
                    images_digest=wanted.held_out_digest,
                    tile=tiles.tile(*pair.compared),
                    estimate=tiles.seconds,
                )
    return units


class _Tiles:
    """One layer of all checkpoints, in blocks of which two are held in memory."""

    def __init__(self, wanted: Wanted, done: Complete, layer: WantedLayer) -> None:
        self._layer = layer
        images = sum(stop - start for start, stop in wanted.segments)
        samples = images * layer.positions
        self.seconds = samples * 2 * layer.neurons**2 / _FLOPS_PER_SECOND
        self._bytes = samples * layer.neurons * np.dtype(wanted.dtype).itemsize
        found = ((one, _stored(wanted, done, layer, one)) for one in wanted.checkpoints)
        self.sides = {one: stored for one, stored in found if stored is not None}

    @cached_property
    def _blocks(self) -> dict[Checkpoint, int]:
        fitting = max(1, _HELD_BYTES // max(1, self._bytes) // 2)
        count = max(1, -(-len(self.sides) // fitting)) if len(self.sides) > 2 * fitting else 1
        size = max(1, -(-len(self.sides) // count))
        return {one: place // size for place, one in enumerate(self.sides)}

    def tile(self, x: Checkpoint, y: Checkpoint) -> str:
        """Return what people call the tile of two checkpoints."""
        several = len(set(self._blocks.values())) > 1
        part = f" · part {self._blocks[x]}.{self._blocks[y]}" if several else ""
        return f"{self._layer.name}{part} · permuted"


def _stored(wanted: Wanted, done: Complete, layer: WantedLayer, one: Checkpoint) -> StoredLayer | None:
    starts = [start for start, _ in wanted.segments]
    names = [(SegmentName(layer.name, one, start), OwnName(layer.name, one, start)) for start in starts]
    if any(segment not in done["segments"] or own not in done["comoments"] for segment, own in names):
        return None
    segments = [done["segments"][segment] for segment, _ in names]
    own = [done["comoments"][own] for _, own in names]
    return StoredLayer(
        layer.name,
        one.label,
        tuple(each.artefact for each in segments),
        tuple(each.record["content"] for each in segments),
        tuple(each.artefact for each in own),
    )


def compute(root: Root, units: Sequence[PermutedUnit], reading: Reading) -> list[Result]:
    """Hold the activations of one side of each pair, and pass over those of the other.

    Raises
    ------
    DamagedArtefactsError
        If segments are missing.
    DamagedArtefactError
        If a chunk, or an own part, is not what was written.
    SpanmatchError
        If too few images can be exchanged.
    """
    by_pair: dict[tuple[StoredLayer, StoredLayer], list[PermutedUnit]] = defaultdict(list)
    for unit in units:
        by_pair[unit.x, unit.y].append(unit)
    activations = _opened(root, {side for pair in by_pair for side in pair})
    held = list(dict.fromkeys(y for _, y in by_pair))
    one = activations[held[0]]
    parts = -(-sum(activations[y].nbytes for y in held) // _HELD_BYTES)
    size = -(-one.images // parts)
    for y in held:
        activations[y].hold(0, size)
    means = {layer: _mean(reading, layer) for layer in activations}
    orders = _Orders(one.ids, _strata(one))
    sums = {
        (x, y): PermutedCross(means[x], means[y], [orders.partners(unit) for unit in several])
        for (x, y), several in by_pair.items()
    }
    step = max(1, _SAMPLES // one.positions)
    for first in range(0, one.images, size):
        for y in held:
            activations[y].hold(first, min(first + size, one.images))
        for start in range(0, one.images, step):
            stop = min(start + step, one.images)
            read = {x: activations[x].read(start, stop) for x in {x for x, _ in by_pair}}
            for (x, y), cross in sums.items():
                cross.update(read[x], start, activations[y].held, first)
    results: list[Result] = []
    for pair, several in by_pair.items():
        for unit, moments in zip(several, sums[pair].finished(), strict=True):
            content = content_of([Moments(*moments)])
            results.append(Result(unit, {"digest": content_digest(content)}, content))
    return results


def _opened(root: Root, layers: Collection[StoredLayer]) -> dict[StoredLayer, "_Activations"]:
    opened: dict[StoredLayer, _Activations] = {}
    damages: list[DamagedArtefactError] = []
    for layer in layers:
        try:
            opened[layer] = _Activations(root, layer)
        except DamagedArtefactsError as several:
            damages += several.damages
    if damages:
        raise DamagedArtefactsError(damages)
    return opened


class _Activations:
    """The activations of one layer of a network, of all segments; a range of images is held in memory."""

    def __init__(self, root: Root, layer: StoredLayer) -> None:
        self._name = layer.layer
        readers: list[GroupReader] = []
        damages: list[DamagedArtefactError] = []
        for segment in layer.segments:
            try:
                readers.append(GroupReader(root, segment))
            except DamagedArtefactError as damage:
                damages.append(damage)
        if damages:
            raise DamagedArtefactsError(damages)
        self._readers = readers
        counts = [reader.shape(self._name)[0] for reader in readers]
        self._ends = list(accumulate(counts))
        self.images, (_, self.positions, neurons) = self._ends[-1], readers[0].shape(self._name)
        self.ids: list[str] = [name for reader in readers for name in reader.attributes["image_ids"]]
        self.nbytes = self.images * self.positions * neurons * readers[0].itemsize(self._name)
        self._range = 0, 0
        self.held: AnyArray = np.empty((0, self.positions, neurons))

    def hold(self, start: int, stop: int) -> None:
        """Hold these images, and no others."""
        if self._range != (start, stop):
            self.held, self._range = self._read(start, stop), (start, stop)

    def read(self, start: int, stop: int) -> AnyArray:
        """Return these images, (images, positions, neurons)."""
        first, last = self._range
        if first <= start and stop <= last:
            return self.held[start - first : stop - first]
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> AnyArray:
        parts = []
        for reader, end in zip(self._readers, self._ends, strict=True):
            begin = end - reader.shape(self._name)[0]
            if start < end and begin < stop:
                part = max(start, begin) - begin, min(stop, end) - begin
                parts.append(reader.read_rows(self._name, *part))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _mean(reading: Reading, layer: StoredLayer) -> FloatArray:
    return reading.own(layer.own).comoments.mean_x


def _strata(layer: _Activations) -> NDArray[np.int64] | None:
    """Number the images by which of their positions count; None where all do."""
    step = max(1, _SAMPLES // layer.positions)
    parts = [
        ~np.isnan(layer.read(start, min(start + step, layer.images))[:, :, 0])
        for start in range(0, layer.images, step)
    ]
    counts = np.concatenate(parts)
    if counts.all():
        return None
    strata: NDArray[np.int64] = np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1)
    check_exchangeable(strata)
    return strata


class _Orders:
    """The orders in which networks' images are taken, each drawn once."""

    def __init__(self, ids: Sequence[str], strata: NDArray[np.int64] | None) -> None:
        self._ids = ids
        self._strata = strata
        self._drawn: dict[tuple[int, int, str], Indices] = {}

    def partners(self, unit: PermutedUnit) -> Indices:
        """Return which image of y each image of x is paired with."""
        x, y = unit.x.network, unit.y.network
        first, second = self._order(unit, x), self._order(unit, f"{y} again" if x == y else y)
        partners = np.empty_like(first)
        partners[first] = second
        return partners

    def _order(self, unit: PermutedUnit, label: str) -> Indices:
        drawn = unit.seed, unit.number, label
        if drawn not in self._drawn:
            self._drawn[drawn] = permutation(
                self._ids, seed=unit.seed, number=unit.number, label=label, within=self._strata
            )
        return self._drawn[drawn]


STAGE = Stage(
    name="permuted",
    verb="permute",
    bar=lambda _: "permute images (layers of pairs)",
    record=PermutedRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    count=lambda wanted: len(wanted.pairs) * wanted.permutations,
)
