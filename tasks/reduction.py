"""Stage *comoments*: co-moments of a layer with itself and with others, by network, pair and segment.

A network's own part is computed once, whatever it is compared with, and a stored chunk is read once for all.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch.errors import SpanmatchError
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import Deviations, blocks, deviations
from spanmatch.matching.side_by_side import products
from storage.arrays import GroupReader
from storage.packs import content_digest
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.stage import Form, Result, Stage
from tasks.statistic import Reading, content_of
from tasks.unit import Done, Unit
from tasks.wanted import Checkpoint, Complete, LayerPair, Wanted, WantedLayer

# Samples that are read at once; as many images as that makes, at least one.
_READ_SAMPLES = 8192
# Of the sums that one pass over the chunks fills; with more networks or wider layers it takes several passes,
# whose reading is nothing beside their products.
_TILE_BYTES = 2**30
_FLOPS_PER_SECOND = 3.5e10
_VALUES_PER_SECOND = 8e7  # of one layer: read, verified and centred


class CoMomentsRecord(TypedDict):
    """Stored co-moments."""

    digest: str


class OwnName(NamedTuple):
    """What the own part of a layer of a checkpoint stands for, over the images from `start` on."""

    layer: str
    checkpoint: Checkpoint
    start: int


class CrossName(NamedTuple):
    """What the cross part of a pair of layers stands for, over the images from `start` on."""

    pair: LayerPair
    start: int


@dataclass(frozen=True)
class SegmentLayer:
    """One layer of one stored segment, with the digest of its content."""

    layer: str
    segment: Artefact
    content: str


@dataclass(frozen=True)
class CoMomentsUnit(Unit):
    """The co-moments of two stored layers over the same images, or of one with itself.

    Attributes
    ----------
    tile
        Units of one tile are computed in one pass over the chunks.
    """

    stage: ClassVar[str] = "comoments"
    version: ClassVar[int] = 1

    x: SegmentLayer
    y: SegmentLayer
    tile: str
    tile_label: str
    estimate: float

    @property
    def group(self) -> str:
        """The tile."""
        return self.tile

    @property
    def group_label(self) -> str:
        """What people call the tile."""
        return self.tile_label

    @property
    def seconds(self) -> float:
        """By its products."""
        return self.estimate

    def identity(self) -> dict[str, Any]:
        """Return the content of both sides' activations."""
        return {"x": self.x.content, "y": self.y.content}


def plan(wanted: Wanted, done: Complete) -> dict[OwnName | CrossName, CoMomentsUnit]:
    """Plan an own part for each layer, checkpoint and segment, and a cross part for each pair and segment."""
    units: dict[OwnName | CrossName, CoMomentsUnit] = {}
    pairs: dict[str, list[LayerPair]] = defaultdict(list)
    for pair in wanted.pairs:
        pairs[pair.layer_x].append(pair)
    for layer, (start, stop) in product(wanted.layers, wanted.segments):
        tiles = _Tiles.of(wanted, done["segments"], layer, start, stop)
        for one in tiles.sides:
            units[OwnName(layer.name, one, start)] = tiles.unit(f"{tiles.shown} · {one.label}", one, one)
        for pair in pairs[layer.name]:
            if all(one in tiles.sides for one in pair.compared):
                label = f"{wanted.shown(pair)} · images {start}-{stop - 1}"
                units[CrossName(pair, start)] = tiles.unit(label, *pair.compared)
    return units


@dataclass(frozen=True)
class _Tiles:
    """One layer of all checkpoints over one range of images, in blocks of which two have sums that fit."""

    shown: str
    sides: Mapping[Checkpoint, SegmentLayer]
    neurons: int
    samples: int

    @classmethod
    def of(
        cls, wanted: Wanted, segments: Mapping[Any, Done], layer: WantedLayer, start: int, stop: int
    ) -> "_Tiles":
        sides = {}
        for one in wanted.checkpoints:
            if (done := segments.get((layer.name, one, start))) is not None:
                sides[one] = SegmentLayer(layer.name, done.artefact, done.record["content"])
        shown, samples = f"{layer.name} · images {start}-{stop - 1}", (stop - start) * layer.positions
        return cls(shown, sides, layer.neurons, samples)

    @cached_property
    def _blocks(self) -> dict[Checkpoint, int]:
        fitting = max(1, int((_TILE_BYTES / 8) ** 0.5) // self.neurons)
        count = max(1, -(-len(self.sides) // fitting))
        size = max(1, -(-len(self.sides) // count))
        return {one: place // size for place, one in enumerate(self.sides)}

    def unit(self, label: str, x: Checkpoint, y: Checkpoint) -> CoMomentsUnit:
        """Return the unit of two checkpoints."""
        tile = f"{self._blocks[x]}.{self._blocks[y]}"
        several = len(set(self._blocks.values())) > 1
        seconds = self.samples * 2 * self.neurons**2 / _FLOPS_PER_SECOND
        if x == y:
            seconds += self.samples * self.neurons / _VALUES_PER_SECOND
        return CoMomentsUnit(
            label,
            self.sides[x],
            self.sides[y],
            tile=f"{self.shown} · {tile}",
            tile_label=f"{self.shown} · part {tile}" if several else self.shown,
            estimate=seconds,
        )


def count(wanted: Wanted) -> int:
    """Return how many own and cross parts there are."""
    own = len(wanted.layers) * len(wanted.checkpoints)
    return (own + len(wanted.pairs)) * len(wanted.segments)


def compute(root: Root, units: Sequence[CoMomentsUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Pass over the chunks of all layers of a tile once, side by side, and sum every unit.

    Raises
    ------
    DamagedArtefactsError
        If segments are missing.
    DamagedArtefactError
        If a chunk is not what was written.
    SpanmatchError
        If two networks leave out different positions.
    """
    layers = list(dict.fromkeys(side for unit in units for side in (unit.x, unit.y)))
    sums: dict[str, CoMoments] = {}
    for samples in _read_ahead(root, layers):
        chunk = dict(zip(layers, samples, strict=True))
        counts = {layer: ~np.isnan(values[:, 0]) for layer, values in chunk.items()}
        for unit in units:
            _require_same_padding(unit, counts)
        cut = {
            layer: list(blocks(_without_padding(values, counts[layer]))) for layer, values in chunk.items()
        }
        for number in range(max(map(len, cut.values()))):
            _add(sums, units, {layer: of[number] for layer, of in cut.items() if number < len(of)})
    if not sums:
        raise SpanmatchError(
            f"`layers` must have positions that count, but {layers[0].layer!r} has none in any image; see to "
            "the `mask` of the data set's images, or leave that layer out"
        )
    results = []
    for unit in units:
        content = content_of(sums[unit.key])
        results.append(Result(unit, {"digest": content_digest(content)}, content))
    return results


def _add(
    sums: dict[str, CoMoments], units: Sequence[CoMomentsUnit], samples: Mapping[SegmentLayer, NDArray[Any]]
) -> None:
    """Add a block of samples of all layers to every unit: of deviations, one block is in memory."""
    centred: dict[SegmentLayer, Deviations] = {layer: deviations(block) for layer, block in samples.items()}
    numbers = {layer: number for number, layer in enumerate(centred)}
    of_pair = {(numbers[unit.x], numbers[unit.y]): unit for unit in units if unit.x in numbers}
    for pair, inner in products(list(centred.values()), of_pair):
        unit = of_pair[pair]
        if unit.key not in sums:
            sums[unit.key] = CoMoments.zeros(*inner.shape)
        sums[unit.key].update(centred[unit.x], centred[unit.y], inner)


def _read_ahead(root: Root, layers: Sequence[SegmentLayer]) -> Iterator[list[NDArray[Any]]]:
    """Yield the same images of all layers, (samples, neurons) each, reading ahead of their use."""
    readers = _opened(root, layers)
    shapes = {reader.shape(layer.layer)[:2] for reader, layer in zip(readers, layers, strict=True)}
    if len(shapes) > 1:
        raise SpanmatchError(
            "`layers` must have as many images and positions in all networks that are compared, got "
            f"{' and '.join(map(str, sorted(shapes)))} of {layers[0].layer!r}; set `positions` to mean, or "
            "leave that layer out"
        )
    ((images, positions),) = shapes
    step = max(1, _READ_SAMPLES // positions)

    def read(start: int) -> list[NDArray[Any]]:
        stop = min(start + step, images)
        return [
            _samples(reader.read_rows(layer.layer, start, stop))
            for reader, layer in zip(readers, layers, strict=True)
        ]

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, 0)
        for start in range(step, images, step):
            samples = coming.result()
            coming = thread.submit(read, start)
            yield samples
        yield coming.result()


def _opened(root: Root, layers: Sequence[SegmentLayer]) -> list[GroupReader]:
    readers: list[GroupReader] = []
    damages: list[DamagedArtefactError] = []
    for layer in layers:
        try:
            readers.append(GroupReader(root, layer.segment))
        except DamagedArtefactError as damage:
            damages.append(damage)
    if damages:
        raise DamagedArtefactsError(damages)
    return readers


def _samples(chunk: NDArray[Any]) -> NDArray[Any]:
    """Lay out (image, position, neuron) as (sample, neuron)."""
    return chunk.reshape(-1, chunk.shape[-1])


def _without_padding(values: NDArray[Any], counts: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the samples that count: positions that do not are not a number."""
    return values if counts.all() else values[counts]


def _require_same_padding(unit: CoMomentsUnit, counts: Mapping[SegmentLayer, NDArray[np.bool_]]) -> None:
    x, y = counts[unit.x], counts[unit.y]
    if not np.array_equal(x, y):
        raise SpanmatchError(
            f"`layers` must have the same padding in both networks, but {unit.x.layer!r} leaves out "
            f"{np.count_nonzero(~x)} positions in one and {np.count_nonzero(~y)}, or others, in the "
            "other; say which positions count with the `mask` of the data set's images"
        )


STAGE = Stage(
    name="comoments",
    verb="reduce",
    bar=lambda _: "reduce to co-moments (layers of networks and pairs)",
    record=CoMomentsRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    count=count,
)
