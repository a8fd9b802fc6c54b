"""Stage *comoments* where activations are streamed: networks pass over the images side by side.

The sums have the bits of those of stored activations: what the networks give is rounded and cut as it is when
it is stored, and summed by the same code.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spanmatch import networks
from spanmatch.comparing.pairs import connected
from storage.root import Root
from tasks import reduction
from tasks.fold_sums import bytes_at_once, images_at_once
from tasks.garbage import collect
from tasks.pass_parts import PassParts
from tasks.passing import Piece, Streamed, packed
from tasks.progress import advance
from tasks.reduction import CoMomentsUnit, CrossName, OwnName, PartName, StrongestName
from tasks.segments import SegmentName, SegmentUnit, images_of, passed, passes
from tasks.stage import Cost, Named, Paces, Result
from tasks.statistic import Reading
from tasks.together import layers_of
from tasks.unit import Unit
from tasks.wanted import Comparison, Complete, LayerPair, Side, Wanted, WantedLayer

# Of the sums of one pass of several networks, and of activations that wait for those of the others.
_PASS_BYTES = 2**31
_BATCH = 32  # images of a pass at a time, at most


@dataclass(frozen=True)
class StreamedUnit(Unit):
    """The co-moments of two layers of networks over the same images, or of one with itself.

    Attributes
    ----------
    x, y
        What passes for either side.
    tile
        Units of one tile are computed in one go.
    folds, strongest, own
        As of `CoMomentsUnit`.
    """

    stage: ClassVar[str] = "comoments"
    version: ClassVar[int] = CoMomentsUnit.version

    x: SegmentUnit
    y: SegmentUnit
    tile: str
    tile_label: str
    estimate: float
    folds: int = 0
    strongest: int = 0
    own: str = ""

    @property
    def group(self) -> str:
        """The tile."""
        return self.tile

    @property
    def counted(self) -> str:
        """The part, as of `CoMomentsUnit`."""
        return self.own or self.key

    @property
    def group_label(self) -> str:
        """What people call the tile."""
        return self.tile_label

    @property
    def seconds(self) -> float:
        """By its products; an own part has its share of the pass."""
        return self.estimate

    @property
    def passing(self) -> tuple[Unit, ...]:
        """As of `Unit`."""
        return (self.x, self.y)

    @property
    def pace(self) -> str:
        """That of the first network."""
        return self.x.pace

    @property
    def steps(self) -> int:
        """Images."""
        return self.x.steps

    def identity(self) -> dict[str, Any]:
        """Return what passes through which networks, and which image is in which fold."""
        if self.strongest:
            return {"x": self.x.key, "strongest": self.strongest}
        folds = {"folds": [self.folds, self.x.start % self.folds]} if self.folds else {}
        return {"x": self.x.key, "y": self.y.key, **folds}


def plan(wanted: Wanted, done: Complete) -> dict[PartName, StreamedUnit]:
    """Plan the parts that `reduction.plan` plans, from the networks themselves."""
    passing, layers = passes(wanted, done), layers_of(wanted)
    units: dict[PartName, StreamedUnit] = {}
    for number, tile in enumerate(tiles(wanted)):
        for name in tile.names:
            of_x, of_y = sides_of(name)
            x, y = (passing.get(SegmentName(*side, name.start)) for side in (of_x, of_y))
            if x is None or y is None or name in units:
                continue
            images = f"{wanted.items} {x.start}-{x.stop - 1}"
            sizes = layers[of_x].neurons, layers[of_y].neurons
            seconds = reduction.seconds(x.steps * layers[of_x].positions, *sizes)
            unit = StreamedUnit(
                f"{_shown(wanted, name)} · {images}",
                x,
                y,
                tile=f"{images} · pass {number}",
                tile_label=f"{images} · {tile.label(wanted)}",
                estimate=seconds + x.seconds / len(tile.names),
                folds=wanted.folds,
            )
            if isinstance(name, StrongestName):
                own, takes = units[reduction.own_of(name)].key, x.seconds / len(tile.names)
                unit = replace(unit, strongest=name.exemplars, own=own, estimate=takes)
            units[name] = unit
    return units


def tiles(wanted: Wanted) -> Iterator[Piece]:
    """Yield what is summed in one go: of as many pairs of networks as fit, so that few passes do for all.

    An own part is in each of which a pair needs it; the first sums it.
    """
    layers = layers_of(wanted)
    of_compared: dict[Comparison, list[LayerPair]] = defaultdict(list)
    for pair in wanted.pairs:
        of_compared[pair.compared].append(pair)
    for start, stop in wanted.segments:
        for together in connected(wanted.comparisons):
            pieces = chain.from_iterable(
                _pieces(pairs, layers, wanted, (start, stop))
                for compared, pairs in of_compared.items()
                if compared.x in together
            )
            yield from packed(pieces, _PASS_BYTES)


def _pieces(
    pairs: Sequence[LayerPair],
    layers: Mapping[Side, WantedLayer],
    wanted: Wanted,
    images: tuple[int, int],
) -> Iterator[Piece]:
    """Yield the parts of the pairs of two networks: all, or each pair apart where all do not fit."""
    start, stop = images
    names: dict[PartName, None] = {}
    takes: dict[Any, int] = {}
    for pair in pairs:
        x, y = (layers[side] for side in pair.sides)
        of_folds = 8 * max(wanted.folds, 1)
        takes[pair] = of_folds * x.neurons * y.neurons
        for side, layer in zip(pair.sides, (x, y), strict=True):
            waiting = (images_at_once(layer.positions) + _BATCH) * layer.positions
            added = np.dtype(wanted.dtype).itemsize * waiting + bytes_at_once(layer.positions, wanted.folds)
            takes[side] = layer.neurons * (of_folds * layer.neurons + added)
            names[OwnName(*side, start)] = None
            if wanted.exemplars:
                names[StrongestName(*side, start, wanted.exemplars)] = None
        names[CrossName(pair, start)] = None
    whole = Piece(tuple(names), frozenset(chain(*(pair.compared for pair in pairs))), takes, stop - start)
    if whole.bytes <= _PASS_BYTES or len(pairs) == 1:
        yield whole
        return
    for pair in pairs:
        yield from _pieces([pair], layers, wanted, images)


def sides_of(name: PartName) -> tuple[Side, Side]:
    """Return the layer and the checkpoint of either side of a part."""
    if isinstance(name, CrossName):
        return name.pair.sides
    side = Side(name.layer, name.checkpoint)
    return side, side


def _shown(wanted: Wanted, name: PartName) -> str:
    if isinstance(name, CrossName):
        return wanted.shown(name.pair)
    what = f"strongest {wanted.items} of " if isinstance(name, StrongestName) else ""
    return f"{what}{name.layer} · {name.checkpoint.label}"


def compute(root: Root, units: Sequence[StreamedUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Pass images through all networks of a tile, side by side, and sum every unit.

    Raises
    ------
    SpanmatchError
        If a layer gives NaN or infinity, or none of its positions counts, or two networks leave out others.
    DamagedArtefactError
        If a checkpoint is not what was written.
    """
    one = units[0]
    sums = [_Group(sides, units) for sides in connected([(unit.x, unit.y) for unit in units])]
    place = {side: group for group in sums for side in group.sides}
    by_pass: dict[str, list[SegmentUnit]] = defaultdict(list)
    for side in place:
        by_pass[side.group].append(side)
    passing = {each: passed(root, sides, images_of(one.x)) for each, sides in by_pass.items()}
    done = dict.fromkeys(passing, 0)
    while (fewest := min(done.values())) < one.steps:
        advance("comoments", one.group, fewest)
        behind = min(done, key=done.__getitem__)
        batch = next(passing[behind])
        for side in by_pass[behind]:
            place[side].add(side, networks.neurons_last(batch[side.layer]))
        done[behind] += len(batch[by_pass[behind][0].layer])
    del passing
    collect()
    results = {unit: result for group in sums for unit, result in group.results().items()}
    return [results[unit] for unit in units]


class _Group:
    """Layers that pairs connect, on their way to their sums."""

    def __init__(self, sides: Sequence[SegmentUnit], units: Sequence[StreamedUnit]) -> None:
        self.sides = sides
        self._units = [unit for unit in units if unit.x in sides]
        self._parts = PassParts(sides, self._units, sides[0].start)
        self._left = sides[0].steps
        self._waiting: dict[SegmentUnit, list[NDArray[Any]]] = {side: [] for side in sides}

    def add(self, side: SegmentUnit, values: NDArray[Any]) -> None:
        """Take the next images of a layer, (images, positions, neurons), and sum those that all have."""
        self._waiting[side].append(values)
        step = min(images_at_once(values.shape[1]), self._left)
        while self._left and min(map(_count, self._waiting.values())) >= step:
            self._parts.add([_taken(waiting, step) for waiting in self._waiting.values()])
            self._left -= step
            step = min(step, self._left)

    def results(self) -> dict[StreamedUnit, Result]:
        """Return what the units came to; their sums are no longer here."""
        return {unit: self._parts.result(unit) for unit in self._units}


def _count(waiting: Sequence[NDArray[Any]]) -> int:
    return sum(map(len, waiting))


def _taken(waiting: list[NDArray[Any]], count: int) -> NDArray[Any]:
    """Take the first images of those that wait."""
    joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
    waiting[:] = [joined[count:]] if len(joined) > count else []
    return joined[:count]


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:
    """Reckon with sums that are kept, activations that wait meanwhile, and all networks of the tile."""
    written, sums, layers = reduction.sums_cost(wanted, group)
    waiting = 0
    for side in layers:
        layer = wanted.layer_of(side)
        images = images_at_once(layer.positions) + _BATCH
        values = images * layer.positions * np.dtype(wanted.dtype).itemsize
        waiting += layer.neurons * (values + bytes_at_once(layer.positions, wanted.folds))
    passing = {side.group: side for _, unit in group for side in (unit.x, unit.y)}.values()
    products = sum(
        reduction.seconds(unit.steps * wanted.layer_of(sides_of(name)[0]).positions, *_sizes(wanted, name))
        for name, unit in group
        if not isinstance(name, StrongestName)
    )
    return Cost(
        written,
        0,
        sums + waiting + sum(paces[side.pace].weights for side in passing),
        products + sum(paces[side.pace].seconds * side.steps for side in passing),
    )


def _sizes(wanted: Wanted, name: PartName) -> tuple[int, int]:
    x, y = (wanted.layer_of(side).neurons for side in sides_of(name))
    return x, y


STREAMED = Streamed(
    unit=StreamedUnit,
    plan=plan,
    compute=compute,
    cost=cost,
    bar=lambda wanted: f"stream {wanted.items} through networks ({wanted.items})",
    tiles=tiles,
)
