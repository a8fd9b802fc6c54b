"""Stage *permuted* where activations are streamed: networks pass, and a worker holds activations meanwhile.

Those of as many layers as fit are held in one pass; of a pair of layers that does not fit, as many positions
as do, and networks pass again for the others. Nothing of them is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spanmatch import networks
from spanmatch.comparing.pairs import connected
from spanmatch.matching.inputs import AnyArray
from storage.root import Artefact, Root
from tasks import permuting
from tasks.garbage import collect
from tasks.passing import Piece, Streamed, packed
from tasks.permuting import (
    Activations,
    OneLayer,
    PermutedName,
    PermutedUnit,
    seconds,
    summed,
)
from tasks.progress import advance
from tasks.reduction import OwnName
from tasks.segments import SegmentName, SegmentUnit, images_of, passed, passes
from tasks.stage import Cost, Named, Paces, Result
from tasks.statistic import Reading
from tasks.together import in_blocks, layers_of
from tasks.unit import Unit
from tasks.wanted import Complete, LayerPair, Side, Wanted


@dataclass(frozen=True)
class PassedLayer:
    """One layer of a network over all images, that is had by passing them, and its own moments."""

    layer: str
    passes: tuple[SegmentUnit, ...]
    own: tuple[Artefact, ...]

    @property
    def contents(self) -> tuple[str, ...]:
        """What its activations are known by."""
        return tuple(unit.key for unit in self.passes)


@dataclass(frozen=True)
class StreamedPermutedUnit(PermutedUnit):
    """The cross part of a pair under one permutation, whose networks pass for it."""

    x: PassedLayer
    y: PassedLayer
    images: int

    @property
    def passing(self) -> tuple[Unit, ...]:
        """As of `Unit`."""
        return (*self.x.passes, *self.y.passes)

    @property
    def pace(self) -> str:
        """That of the first network."""
        return self.x.passes[0].pace

    @property
    def steps(self) -> int:
        """Images."""
        return self.images


def plan(wanted: Wanted, done: Complete) -> dict[PermutedName, StreamedPermutedUnit]:
    """Plan the cross part of each pair under each permutation."""
    if not wanted.permutations:
        return {}
    passing, layers = passes(wanted, done), layers_of(wanted)
    sides = {side: _passed_layer(wanted, done, passing, side) for side in layers}
    units: dict[PermutedName, StreamedPermutedUnit] = {}
    for number, tile in enumerate(tiles(wanted)):
        for name in tile.names:
            x, y = (sides[side] for side in name.pair.sides)
            if x is None or y is None:
                continue
            of_x, of_y = (layers[side] for side in name.pair.sides)
            samples = tile.images * of_x.positions
            units[name] = StreamedPermutedUnit(
                f"{wanted.shown(name.pair)} · permutation {name.number}",
                x=x,
                y=y,
                number=name.number,
                seed=wanted.permutation_seed,
                images_digest=wanted.held_out_digest,
                tile=f"{tile.label(wanted)} · permuted · pass {number}",
                estimate=seconds(samples, of_x.neurons, of_y.neurons) / wanted.permutations,
                images=tile.images,
            )
    return units


def tiles(wanted: Wanted) -> Iterator[Piece]:
    """Yield what is computed in one go: layers that are paired, and as many such as fit."""
    of_compared: dict[Any, list[LayerPair]] = defaultdict(list)
    together = connected([pair.sides for pair in wanted.pairs])
    place = {side: number for number, sides in enumerate(together) for side in sides}
    for pair in wanted.pairs:
        of_compared[place[pair.sides[0]]].append(pair)
    pieces = (_pieces(wanted, of_compared[number]) for number in range(len(together)))
    yield from packed(chain.from_iterable(pieces), permuting.HELD_BYTES)


def times(tile: Piece) -> int:
    """Return how often networks pass for a tile: once for each part of its activations that fits."""
    held = sum(takes for what, takes in tile.takes.items() if not isinstance(what, LayerPair))
    return max(1, -(-held // permuting.HELD_BYTES))


def _pieces(wanted: Wanted, pairs: Sequence[LayerPair]) -> Iterator[Piece]:
    """Yield pairs that chains of pairs connect: all, or in parts where they do not fit."""
    images, itemsize = wanted.segments[-1][1], np.dtype(wanted.dtype).itemsize
    paired = set(chain.from_iterable(pair.sides for pair in pairs))
    layers = {side: layer for side, layer in layers_of(wanted).items() if side in paired}
    takes: dict[Any, int] = {
        side: images * layer.positions * layer.neurons * itemsize for side, layer in layers.items()
    }
    for pair in pairs:
        x, y = (layers[side].neurons for side in pair.sides)
        takes[pair] = 8 * wanted.permutations * x * y
    names = tuple(PermutedName(pair, number) for pair in pairs for number in range(wanted.permutations))
    whole = Piece(names, frozenset(checkpoint for _, checkpoint in layers), takes, images)
    if whole.bytes <= permuting.HELD_BYTES or len(pairs) == 1:
        yield whole
        return
    room = permuting.HELD_BYTES / 2  # half for the activations of two blocks, and half for the sums of pairs
    each = (8 * wanted.permutations / room) ** 0.5
    shares = {side: max(2 * takes[side] / room, layer.neurons * each) for side, layer in layers.items()}
    for part in _parts(pairs, in_blocks(shares)):
        yield from _pieces(wanted, part)


def _parts(pairs: Sequence[LayerPair], blocks: Mapping[Side, int]) -> Iterable[Sequence[LayerPair]]:
    """Cut pairs to those between two blocks of layers, or to each alone where that cuts nothing.

    For what is between two blocks, networks pass once: of a grid few passes do.
    """
    parts: dict[tuple[int, ...], list[LayerPair]] = defaultdict(list)
    for pair in pairs:
        parts[tuple(blocks[side] for side in pair.sides)].append(pair)
    return list(parts.values()) if len(parts) > 1 else [[pair] for pair in pairs]


def _passed_layer(
    wanted: Wanted,
    done: Complete,
    passing: Mapping[SegmentName, SegmentUnit],
    side: Side,
) -> PassedLayer | None:
    starts = [start for start, _ in wanted.segments]
    own = [done["comoments"].get(OwnName(*side, start)) for start in starts]
    if any(each is None for each in own):
        return None
    units = tuple(passing[SegmentName(*side, start)] for start in starts)
    return PassedLayer(side.layer, units, tuple(each.artefact for each in own if each))


def compute(root: Root, units: Sequence[StreamedPermutedUnit], reading: Reading) -> list[Result]:
    """Pass all images through the networks of a tile, hold activations, and sum all pairs under all shifts.

    Raises
    ------
    DamagedArtefactError
        If a checkpoint, or an own part, is not what was written.
    SpanmatchError
        If too few images can be exchanged, or a layer gives NaN or infinity.
    """
    groups = connected([(unit.x, unit.y) for unit in units])
    shapes = _shapes(root, list(chain(*groups)))
    fits = _bytes(units[0].images, shapes) <= permuting.HELD_BYTES
    results: dict[str, Result] = {}
    for held in [groups] if fits else [(group,) for group in groups]:
        sides = {side: shapes[side] for side in chain(*held)}
        passing = _Passing(root, units[0], sides, whole=fits)
        for group in held:
            of_group = [unit for unit in units if unit.x in group]
            layers: dict[OneLayer, Activations] = {side: _PassedActivations(passing, side) for side in group}
            results |= {result.unit.key: result for result in summed(of_group, layers, reading)}
    return [results[unit.key] for unit in units]


class _Shape(NamedTuple):
    """What a layer gives of an image."""

    positions: int
    neurons: int
    dtype: np.dtype[Any]


def _shapes(root: Root, sides: Sequence[PassedLayer]) -> dict[PassedLayer, _Shape]:
    """See what layers give, by passing two images."""
    found = {}
    for of_pass in _by_pass(sides, 0):
        images = images_of(of_pass[0].passes[0]).slice(0, 2)
        batch = next(passed(root, [side.passes[0] for side in of_pass], images))
        for side in of_pass:
            values = batch[side.layer]
            found[side] = _Shape(values.shape[1], values.shape[2], values.dtype)
    return found


def _by_pass(sides: Iterable[PassedLayer], segment: int) -> list[list[PassedLayer]]:
    """Gather the layers that one pass gives."""
    found: dict[str, list[PassedLayer]] = defaultdict(list)
    for side in sides:
        found[side.passes[segment].group].append(side)
    return list(found.values())


def _bytes(images: int, shapes: Mapping[PassedLayer, _Shape]) -> int:
    return sum(images * each.positions * each.neurons * each.dtype.itemsize for each in shapes.values())


class _Passing:
    """Activations of layers, of all images and of some positions at a time, by passing as often as asked."""

    def __init__(
        self, root: Root, one: StreamedPermutedUnit, shapes: Mapping[PassedLayer, _Shape], *, whole: bool
    ) -> None:
        self._root = root
        self._group = one.group
        self._whole = whole
        self.shapes = shapes
        self.images = one.images
        self.ids = [each for unit in one.x.passes for each in images_of(unit).ids]
        self.counts: dict[PassedLayer, NDArray[np.bool_]] = {}
        self._held: tuple[int, int, dict[PassedLayer, AnyArray]] = (0, 0, {})

    def read(self, side: PassedLayer, first: int, last: int) -> AnyArray:
        """Return some positions of all images of a layer."""
        start, stop, values = self._held
        if not values or first < start or last > stop:
            if self._whole:
                start, stop = 0, max(shape.positions for shape in self.shapes.values())
            else:
                start, stop = first, last
            self._held = (0, 0, {})
            values.clear()
            self._held = start, stop, self._passed(start, stop)
        return self._held[2][side][:, first - start : last - start]

    def _passed(self, start: int, stop: int) -> dict[PassedLayer, AnyArray]:
        values: dict[PassedLayer, AnyArray] = {}
        for side, (positions, neurons, dtype) in self.shapes.items():
            values[side] = np.empty((self.images, min(stop, positions) - start, neurons), dtype)
            self.counts[side] = np.empty((self.images, positions), bool)
        segments = next(iter(self.shapes)).passes
        for number, one in enumerate(segments):
            for of_pass in _by_pass(self.shapes, number):
                place = one.start
                for batch in passed(self._root, [side.passes[number] for side in of_pass], images_of(one)):
                    images = slice(place, place := place + len(batch[of_pass[0].layer]))
                    for side in of_pass:
                        taken = networks.neurons_last(batch[side.layer])
                        values[side][images] = taken[:, start:stop]
                        self.counts[side][images] = ~np.isnan(taken[:, :, 0])
            advance("permuted", self._group, one.stop)
        collect()
        return values


class _PassedActivations:
    """One layer of those that pass."""

    def __init__(self, passing: _Passing, side: PassedLayer) -> None:
        self._passing, self._side = passing, side
        self.images = passing.images
        self.ids: Sequence[str] = passing.ids
        shape = passing.shapes[side]
        self.positions, self.neurons = shape.positions, shape.neurons
        self.nbytes = _bytes(self.images, {side: shape})

    def read(self, first: int, last: int) -> AnyArray:
        """Return some positions of all images, (images, positions, neurons)."""
        return self._passing.read(self._side, first, last)

    def counts(self, at_once: int) -> NDArray[np.bool_]:
        """Return which positions count, (images, positions): the first pass tells it of all."""
        if self._side not in self._passing.counts:
            self.read(0, min(at_once, self.positions))
        return self._passing.counts[self._side]


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:
    """Reckon with cross parts; networks pass as often as it takes to hold their activations in parts."""
    written, held, memory = permuting.permuted_cost(wanted, group)
    times = max(1, -(-held // permuting.HELD_BYTES))
    passing = {each.group: each for _, unit in group for side in (unit.x, unit.y) for each in side.passes}
    passes_seconds = sum(paces[each.pace].seconds * each.steps for each in passing.values())
    products = sum(unit.seconds for _, unit in group)
    return Cost(written, 0, memory, products + times * passes_seconds)


STREAMED = Streamed(
    unit=StreamedPermutedUnit,
    plan=plan,
    compute=compute,
    cost=cost,
    bar=lambda wanted: f"stream {wanted.items} through networks and permute them ({wanted.items})",
    tiles=tiles,
    times=times,
    reason="for the null, ",
)
