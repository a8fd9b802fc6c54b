"""Stage *permuted*: co-moments of pairs of layers, those of one side's images permuted: what chance gives.

All positions of an image stay together. Only the cross part changes: own parts are those of the stage before.
Permutations are shifts along a random order of the images, the same for all layers and pairs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.joint_sums import Moments
from spanmatch.matching.match import Indices
from spanmatch.statistics.permutations import check_exchangeable
from spanmatch.statistics.shifted import ShiftedCross, Spectrum, drawn_shifts, spectrum
from storage.arrays import GroupReader
from storage.packs import content_digest
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.fold_sums import images_at_once
from tasks.foreseeing import kept_bytes, moments_bytes
from tasks.reduction import OwnName
from tasks.segments import SegmentName
from tasks.stage import Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading, content_of
from tasks.together import Together, in_blocks, together
from tasks.unit import Unit
from tasks.wanted import Checkpoint, Complete, LayerPair, Side, Wanted, WantedLayer

# Activations that a worker holds, so that each is read once for all permutations. Where those of two networks
# are more, they are read again for every part of their positions that fits.
HELD_BYTES = 2**30
# Of the sums of pairs under all permutations, likewise.
_SUMS_BYTES = 2**30
# Of transformed activations, those of some positions at a time.
_SPECTRA_BYTES = 2**30
_FLOPS_PER_SECOND = 2.5e10
_VALUES_PER_SECOND = 3e7  # of one layer: read, verified and transformed


class PermutedRecord(TypedDict):
    """Stored co-moments."""

    digest: str


class PermutedName(NamedTuple):
    """What a unit stands for: a pair under a permutation."""

    pair: LayerPair
    number: int


class OneLayer(Protocol):
    """One layer of a network over all images."""

    @property
    def contents(self) -> tuple[str, ...]:
        """What the activations of each segment are known by."""

    @property
    def own(self) -> tuple[Artefact, ...]:
        """The layer's own moments, one part for each segment."""


@dataclass(frozen=True)
class StoredLayer:
    """One layer of a network over all images: its segments, and its own moments, one part for each."""

    layer: str
    segments: tuple[Artefact, ...]
    contents: tuple[str, ...]
    own: tuple[Artefact, ...]


class Activations(Protocol):
    """The activations of one layer of a network over all images, however they are had.

    Attributes
    ----------
    ids
        Of the images.
    """

    images: int
    positions: int
    neurons: int
    nbytes: int
    ids: Sequence[str]

    def read(self, first: int, last: int) -> AnyArray:
        """Return some positions of all images, (images, positions, neurons); the latest stay in memory."""

    def counts(self, at_once: int) -> NDArray[np.bool_]:
        """Return which positions count, (images, positions), reading so many at once."""


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

    x: OneLayer
    y: OneLayer
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
            "permutation": [self.seed, self.number],
        }


def plan(wanted: Wanted, done: Complete) -> dict[PermutedName, PermutedUnit]:
    """Plan the cross part of each pair under each permutation."""
    if not wanted.permutations:
        return {}
    units: dict[PermutedName, PermutedUnit] = {}
    for layers in together(wanted):
        tiles = _Tiles(wanted, done, layers)
        for pair in layers.pairs:
            x, y = (tiles.stored[side] for side in pair.sides)
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
                    tile=tiles.tile(*pair.sides),
                    estimate=tiles.seconds(*pair.sides),
                )
    return units


class _Tiles:
    """Layers in blocks of which two are held in memory, with the sums of their pairs."""

    def __init__(self, wanted: Wanted, done: Complete, layers: Together) -> None:
        self._layers, self._permutations = layers, wanted.permutations
        self._images = sum(stop - start for start, stop in wanted.segments)
        self._itemsize = np.dtype(wanted.dtype).itemsize
        self.stored = {
            side: _stored(wanted, done, layer, side.checkpoint) for side, layer in layers.sides.items()
        }

    @cached_property
    def _blocks(self) -> dict[Side, int]:
        neurons = {side: layer.neurons for side, layer in self._layers.sides.items()}
        held = {
            side: self._images * layer.positions * layer.neurons * self._itemsize / HELD_BYTES
            for side, layer in self._layers.sides.items()
        }
        each = 8 * self._permutations / _SUMS_BYTES
        sums = sum(neurons[x] * neurons[y] for x, y in (pair.sides for pair in self._layers.pairs)) * each
        if sum(held.values()) <= 1 and sums <= 1:
            return dict.fromkeys(neurons, 0)
        return in_blocks({side: max(2 * held[side], neurons[side] * each**0.5) for side in neurons})

    def tile(self, x: Side, y: Side) -> str:
        """Return what people call the tile of two sides."""
        several = len(set(self._blocks.values())) > 1
        part = f" · part {self._blocks[x]}.{self._blocks[y]}" if several else ""
        return f"{self._layers.label}{part} · permuted"

    def seconds(self, x: Side, y: Side) -> float:
        """Return about how long one permutation of two sides takes."""
        layer_x, layer_y = self._layers.sides[x], self._layers.sides[y]
        samples = self._images * layer_x.positions
        return seconds(samples, layer_x.neurons, layer_y.neurons) / self._permutations


def seconds(samples: int, neurons_x: int, neurons_y: int) -> float:
    """Return roughly how long all permutations of a pair take on one core."""
    products = samples * 6 * neurons_x * neurons_y / _FLOPS_PER_SECOND
    return products + samples * neurons_x / _VALUES_PER_SECOND


def _stored(wanted: Wanted, done: Complete, layer: WantedLayer, one: Checkpoint) -> StoredLayer | None:
    starts = [start for start, _ in wanted.segments]
    names = [(SegmentName(layer.name, one, start), OwnName(layer.name, one, start)) for start in starts]
    if any(segment not in done["segments"] or own not in done["comoments"] for segment, own in names):
        return None
    segments = [done["segments"][segment] for segment, _ in names]
    own = [done["comoments"][own] for _, own in names]
    return StoredLayer(
        layer.name,
        tuple(each.artefact for each in segments),
        tuple(each.record["content"] for each in segments),
        tuple(each.artefact for each in own),
    )


def compute(root: Root, units: Sequence[PermutedUnit], reading: Reading) -> list[Result]:
    """Read the activations of all layers of a tile, transform them, and sum all pairs under all permutations.

    Raises
    ------
    DamagedArtefactsError
        If segments are missing.
    DamagedArtefactError
        If a chunk, or an own part, is not what was written.
    SpanmatchError
        If too few images can be exchanged.
    """
    return summed(
        units, _opened(root, dict.fromkeys(side for unit in units for side in (unit.x, unit.y))), reading
    )


def summed(
    units: Sequence[PermutedUnit], layers: Mapping[OneLayer, Activations], reading: Reading
) -> list[Result]:
    """Transform the activations of layers that have as many positions, and sum all units.

    Raises
    ------
    DamagedArtefactError
        If an own part is not what was written.
    SpanmatchError
        If too few images can be exchanged.
    """
    by_pair: dict[tuple[OneLayer, OneLayer], list[PermutedUnit]] = defaultdict(list)
    for unit in units:
        by_pair[unit.x, unit.y].append(unit)
    means = {layer: reading.own(layer.own).comoments.mean_x for layer in layers}
    sums = {pair: ShiftedCross(means[pair[0]], means[pair[1]], len(by_pair[pair])) for pair in by_pair}
    one = next(iter(layers.values()))
    held = sum(layer.nbytes for layer in layers.values()) // one.positions
    at_once = max(1, min(one.positions, HELD_BYTES // max(1, held)))
    exchanged = _Exchanged(one, units, at_once)
    for positions, spectra in _spectra(layers, means, exchanged, at_once):
        for (x, y), several in by_pair.items():
            for kind, shifts in enumerate(exchanged.shifts(several)):
                if positions[kind]:
                    sums[x, y].update(spectra[x][kind], spectra[y][kind], shifts)
    results: list[Result] = []
    for pair, several in by_pair.items():
        for unit, moments in zip(several, sums[pair].finished(), strict=True):
            content = content_of([Moments(*moments)])
            results.append(Result(unit, {"digest": content_digest(content)}, content))
    return results


def _spectra(
    layers: Mapping[OneLayer, Activations],
    means: Mapping[OneLayer, FloatArray],
    exchanged: "_Exchanged",
    at_once: int,
) -> Iterator[tuple[list[int], dict[OneLayer, list[Spectrum]]]]:
    """Yield some positions of all layers at a time, transformed, for each kind of images.

    With them, how many of these positions count for that kind. So many positions are read at once.
    """
    one = next(iter(layers.values()))
    transformed = sum(layer.images * 8 * (layer.neurons + 1) for layer in layers.values())
    in_turn = max(1, min(at_once, _SPECTRA_BYTES // transformed))
    for first in range(0, one.positions, at_once):
        last = min(first + at_once, one.positions)
        activations = {layer: stored.read(first, last) for layer, stored in layers.items()}
        for start in range(first, last, in_turn):
            places = [
                each[(start <= each) & (each < min(start + in_turn, last))] for each in exchanged.counts
            ]
            yield (
                [each.size for each in places],
                {
                    layer: [
                        spectrum(values[order][:, each - first], means[layer])
                        for order, each in zip(exchanged.orders, places, strict=True)
                    ]
                    for layer, values in activations.items()
                },
            )
        del activations  # before the next are read


def _opened(root: Root, layers: Iterable[OneLayer]) -> dict[OneLayer, Activations]:
    opened: dict[OneLayer, Activations] = {}
    damages: list[DamagedArtefactError] = []
    for layer in layers:
        assert isinstance(layer, StoredLayer)
        try:
            opened[layer] = _StoredActivations(root, layer)
        except DamagedArtefactsError as several:
            damages += several.damages
    if damages:
        raise DamagedArtefactsError(damages)
    return opened


class _StoredActivations:
    """The activations of one layer of a network, of all segments."""

    def __init__(self, root: Root, layer: StoredLayer) -> None:
        self._name = layer.layer
        self._readers: list[GroupReader] = []
        damages: list[DamagedArtefactError] = []
        for segment in layer.segments:
            try:
                self._readers.append(GroupReader(root, segment))
            except DamagedArtefactError as damage:
                damages.append(damage)
        if damages:
            raise DamagedArtefactsError(damages)
        shapes = [reader.shape(self._name) for reader in self._readers]
        self.images = sum(images for images, _, _ in shapes)
        _, self.positions, self.neurons = shapes[0]
        self._dtype = self._readers[0].dtype(self._name)
        self.ids: Sequence[str] = [
            name for reader in self._readers for name in reader.attributes["image_ids"]
        ]
        self.nbytes = self.images * self.positions * self.neurons * self._dtype.itemsize
        self._latest: tuple[tuple[int, int], AnyArray] | None = None

    def read(self, first: int, last: int) -> AnyArray:
        """Return some positions of all images, (images, positions, neurons); the latest stay in memory."""
        if self._latest is None or self._latest[0] != (first, last):
            self._latest = None
            values = np.empty((self.images, last - first, self.neurons), self._dtype)
            step = images_at_once(self.positions)
            place = 0
            for reader in self._readers:
                images = reader.shape(self._name)[0]
                for start in range(0, images, step):
                    some = reader.read_rows(self._name, start, min(start + step, images))
                    values[place : place + len(some)] = some[:, first:last]
                    place += len(some)
            self._latest = (first, last), values
        return self._latest[1]

    def counts(self, at_once: int) -> NDArray[np.bool_]:
        """Return which positions count, (images, positions), reading so many at once."""
        parts = [
            ~np.isnan(self.read(first, min(first + at_once, self.positions))[:, :, 0])
            for first in range(0, self.positions, at_once)
        ]
        return np.concatenate(parts, axis=1)


class _Exchanged:
    """Which images are exchanged among each other: those whose positions that count are the same.

    Attributes
    ----------
    orders
        For each kind of images their order.
    counts
        For each kind of images, the positions that count.
    """

    def __init__(self, layer: Activations, units: Sequence[PermutedUnit], at_once: int) -> None:
        counts = layer.counts(at_once)
        strata = None
        if not counts.all():
            strata = np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1)
            check_exchangeable(strata)
        self._numbers = sorted({unit.number for unit in units})
        self._drawn = drawn_shifts(layer.ids, self._numbers, seed=units[0].seed, within=strata)
        self.orders = [kind.order for kind in self._drawn]
        self.counts = [np.flatnonzero(counts[order[0]]) for order in self.orders]

    def shifts(self, units: Sequence[PermutedUnit]) -> Iterator[Indices]:
        """Yield for each kind of images how far those of the units are shifted."""
        chosen = np.searchsorted(self._numbers, [unit.number for unit in units])
        for kind in self._drawn:
            yield kind.shifts[chosen]


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with cross parts that are kept; every layer is read once, even in parts."""
    written, held, memory = permuted_cost(wanted, group)
    return Cost(written, held, memory)


def permuted_cost(wanted: Wanted, group: Named) -> tuple[int, int, int]:
    """Return the bytes of a tile's sums as they are kept, of its activations, and of all in memory."""
    written = sums = 0
    for name, _ in group:
        content = moments_bytes(*wanted.sizes_of(name.pair), 1)
        written += kept_bytes(content)
        sums += content
    layers = [wanted.layer_of(side) for side in {side for name, _ in group for side in name.pair.sides}]
    images, itemsize = wanted.segments[-1][1], np.dtype(wanted.dtype).itemsize
    held = sum(images * layer.positions * layer.neurons * itemsize for layer in layers)
    positions = max(layer.positions for layer in layers)
    transformed = sum(images * 8 * (layer.neurons + 1) for layer in layers)
    spectra = max(transformed, min(positions * transformed, _SPECTRA_BYTES))
    return written, held, 2 * sums + min(held, HELD_BYTES) + spectra


STAGE = Stage(
    name="permuted",
    verb="permute",
    bar=lambda wanted: f"permute {wanted.items} (layers of pairs)",
    record=PermutedRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    cost=cost,
)
