"""Stage *comoments*: co-moments of a layer with itself and with others, by network, pair and segment.

A network's own part is computed once, whatever it is compared with, and a stored chunk is read once for all:
for the strongest samples of its neurons, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from storage.arrays import GroupReader
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.fold_sums import bytes_at_once, images_at_once, require_alike
from tasks.foreseeing import kept_bytes, moments_bytes, strongest_bytes
from tasks.pass_parts import PassParts
from tasks.stage import Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading
from tasks.together import Together, in_blocks, together
from tasks.unit import Done, Unit
from tasks.wanted import Checkpoint, Complete, LayerPair, Side, Wanted, WantedLayer

# Of the sums that one pass over the chunks fills; with more networks or wider layers it takes several passes,
# whose reading is nothing beside their products.
_TILE_BYTES = 2**30
_FLOPS_PER_SECOND = 3.5e10
_VALUES_PER_SECOND = 8e7  # of one layer: read, verified and centred
_PASS_BY_SEARCH = 10  # how much sooner the strongest samples of a layer are found than its own part is summed


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


class StrongestName(NamedTuple):
    """What so many strongest samples of a layer of a checkpoint stand for, of the images from `start` on."""

    layer: str
    checkpoint: Checkpoint
    start: int
    exemplars: int


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
    start
        Which image of the study is the first.
    folds
        An image's place among all of the study says in which of so many folds it is; 0 for none.
    strongest
        How many strongest samples of each neuron of `x` are found instead of co-moments; 0 for these.
    own
        Key of the own part that the ledger counts strongest samples with.
    """

    stage: ClassVar[str] = "comoments"
    version: ClassVar[int] = 2

    x: SegmentLayer
    y: SegmentLayer
    tile: str
    tile_label: str
    estimate: float
    start: int = 0
    folds: int = 0
    strongest: int = 0
    own: str = ""

    @property
    def group(self) -> str:
        """The tile."""
        return self.tile

    @property
    def counted(self) -> str:
        """The part; what a pass over a layer leaves of it counts as one."""
        return self.own or self.key

    @property
    def group_label(self) -> str:
        """What people call the tile."""
        return self.tile_label

    @property
    def seconds(self) -> float:
        """By its products."""
        return self.estimate

    def identity(self) -> dict[str, Any]:
        """Return the content of both sides' activations, and which image is in which fold."""
        if self.strongest:
            return {"x": self.x.content, "strongest": self.strongest}
        folds = {"folds": [self.folds, self.start % self.folds]} if self.folds else {}
        return {"x": self.x.content, "y": self.y.content, **folds}


PartName: TypeAlias = OwnName | CrossName | StrongestName


def own_of(name: StrongestName) -> OwnName:
    """Return the own part that strongest samples are counted with."""
    return OwnName(*name[:3])


def plan(wanted: Wanted, done: Complete) -> dict[PartName, CoMomentsUnit]:
    """Plan an own part for each layer, checkpoint and segment, and a cross part for each pair and segment."""
    units: dict[PartName, CoMomentsUnit] = {}
    for layers, (start, stop) in product(together(wanted), wanted.segments):
        tiles = _Tiles(wanted, done["segments"], layers, start, stop)
        images = f"{wanted.items} {start}-{stop - 1}"
        for side in tiles.stored:
            label = f"{side.layer} · {images} · {side.checkpoint.label}"
            own = units[OwnName(*side, start)] = tiles.unit(label, side, side)
            if wanted.exemplars:
                units[StrongestName(*side, start, wanted.exemplars)] = replace(
                    own,
                    label=f"strongest {wanted.items} of {label}",
                    estimate=own.estimate / _PASS_BY_SEARCH,
                    strongest=wanted.exemplars,
                    own=own.key,
                )
        for pair in layers.pairs:
            if all(side in tiles.stored for side in pair.sides):
                units[CrossName(pair, start)] = tiles.unit(f"{wanted.shown(pair)} · {images}", *pair.sides)
    return units


class _Tiles:
    """Layers over one range of images, in blocks of which two have sums that fit."""

    def __init__(
        self, wanted: Wanted, segments: Mapping[Any, Done], layers: Together, start: int, stop: int
    ) -> None:
        self._shown = f"{layers.label} · {wanted.items} {start}-{stop - 1}"
        self._layers, self._images = layers.sides, stop - start
        self._start, self._folds = start, wanted.folds
        self._blocks = blocks_of_sums(layers.sides, wanted.folds)
        self.stored: dict[Side, SegmentLayer] = {}
        for side in layers.sides:
            if (found := segments.get((*side, start))) is not None:
                self.stored[side] = SegmentLayer(side.layer, found.artefact, found.record["content"])

    def unit(self, label: str, x: Side, y: Side) -> CoMomentsUnit:
        """Return the unit of two sides."""
        tile = f"{self._blocks[x]}.{self._blocks[y]}"
        several = len(set(self._blocks.values())) > 1
        layer_x, layer_y = self._layers[x], self._layers[y]
        samples = self._images * layer_x.positions
        estimate = seconds(samples, layer_x.neurons, layer_y.neurons)
        if x == y:
            estimate += samples * layer_x.neurons / _VALUES_PER_SECOND
        return CoMomentsUnit(
            label,
            self.stored[x],
            self.stored[y],
            tile=f"{self._shown} · {tile}",
            tile_label=f"{self._shown} · part {tile}" if several else self._shown,
            estimate=estimate,
            start=self._start,
            folds=self._folds,
        )


def blocks_of_sums(layers: Mapping[Side, WantedLayer], folds: int) -> dict[Side, int]:
    """Number the blocks that layers are summed in: the sums of any two blocks fit into memory."""
    most = (_TILE_BYTES / 8 / max(folds, 1)) ** 0.5
    return in_blocks({side: layer.neurons / most for side, layer in layers.items()})


def seconds(samples: int, neurons_x: int, neurons_y: int) -> float:
    """Return roughly how long products take on one core."""
    return samples * 2 * neurons_x * neurons_y / _FLOPS_PER_SECOND


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
    parts = PassParts(layers, units, units[0].start)
    for images in _read_ahead(root, layers):
        parts.add(images)
    return [parts.result(unit) for unit in units]


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with sums by fold that are kept; every layer is read once, ahead of its use."""
    written, sums, layers = sums_cost(wanted, group)
    read = ahead = 0
    for side, images in layers.items():
        layer, itemsize = wanted.layer_of(side), np.dtype(wanted.dtype).itemsize
        read += images * layer.positions * layer.neurons * itemsize
        at_once = min(images, images_at_once(layer.positions))
        values = at_once * layer.positions * itemsize
        ahead += layer.neurons * (2 * values + bytes_at_once(layer.positions, wanted.folds))
    return Cost(written, read, sums + ahead)


def sums_cost(wanted: Wanted, group: Named) -> tuple[int, int, dict[Side, int]]:
    """Return the bytes of a tile's sums as they are kept, and in memory, and its layers with their images."""
    written = sums = 0
    layers: dict[Side, int] = {}
    images = {start: stop - start for start, stop in wanted.segments}
    for name, _ in group:
        sides = name.pair.sides if isinstance(name, CrossName) else (Side(name.layer, name.checkpoint),) * 2
        sizes = [wanted.layer_of(side).neurons for side in sides]
        if isinstance(name, StrongestName):
            content = strongest_bytes(sizes[0], wanted.exemplars, wanted.dtype)
            written += kept_bytes(content, 3)
        else:
            content = moments_bytes(sizes[0], sizes[1], wanted.folds)
            written += kept_bytes(content)
        sums += content
        layers |= dict.fromkeys(sides, images[name.start])
    return written, sums, layers


def _read_ahead(root: Root, layers: Sequence[SegmentLayer]) -> Iterator[list[NDArray[Any]]]:
    """Yield the same images of all layers, (images, positions, neurons) each.

    Reads ahead of their use.
    """
    readers = _opened(root, layers)
    shapes = [reader.shape(layer.layer)[:2] for reader, layer in zip(readers, layers, strict=True)]
    require_alike([layer.layer for layer in layers], shapes)
    count, positions = shapes[0]
    step = images_at_once(positions)

    def read(start: int) -> list[NDArray[Any]]:
        stop = min(start + step, count)
        return [
            reader.read_rows(layer.layer, start, stop) for reader, layer in zip(readers, layers, strict=True)
        ]

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, 0)
        for start in range(step, count, step):
            images = coming.result()
            coming = thread.submit(read, start)
            yield images
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


STAGE = Stage(
    name="comoments",
    verb="reduce",
    bar=lambda _: "reduce to co-moments (layers of networks and pairs)",
    record=CoMomentsRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    cost=cost,
)
