"""Networks that pass for what is streamed: which of it is computed in one go, and how often that is.

A pass gives all layers, so that as much is computed of it as fits in memory.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from storage.root import Root
from tasks.stage import Cost, Named, Paces, Result, Stage
from tasks.statistic import Reading
from tasks.together import label_of
from tasks.unit import Unit
from tasks.wanted import Checkpoint, Complete, Wanted


class Streamed(NamedTuple):
    """How a stage is computed where activations are streamed.

    Attributes
    ----------
    unit
        The type of its units.
    plan, compute, cost, bar
        As of `Stage`.
    tiles
        What is computed in one go.
    times
        How often networks pass for one of these.
    reason
        What `foretold` says that they pass for.
    """

    unit: type[Unit]
    plan: Callable[[Wanted, Complete], Mapping[Any, Unit]]
    compute: Callable[[Root, Sequence[Any], Reading], Sequence[Result]]
    cost: Callable[[Wanted, Named, Paces], Cost]
    bar: Callable[[Wanted], str]
    tiles: "Callable[[Wanted], Iterable[Piece]]"
    times: "Callable[[Piece], int]" = lambda _: 1
    reason: str = ""


def either(kept: Stage, streamed: Streamed) -> Stage:
    """Return a stage that goes by whether a study keeps activations or streams them."""

    def compute(root: Root, units: Sequence[Any], reading: Reading) -> Sequence[Result]:
        how = streamed.compute if isinstance(units[0], streamed.unit) else kept.compute
        return how(root, units, reading)

    return replace(
        kept,
        plan=lambda wanted, done: (streamed if wanted.streams else kept).plan(wanted, done),
        bar=lambda wanted: (streamed if wanted.streams else kept).bar(wanted),
        compute=compute,
        cost=lambda wanted, group, paces: (streamed if wanted.streams else kept).cost(wanted, group, paces),
        foretold=lambda wanted, finished: foretold(streamed, wanted, finished) if wanted.streams else None,
    )


@dataclass(frozen=True)
class Piece:
    """What is computed in one go.

    Attributes
    ----------
    names
        Of units.
    checkpoints
        Networks that pass.
    takes
        What is in memory meanwhile, in bytes: what two pieces have in common is there once.
    images
        How many pass.
    """

    names: tuple[Any, ...]
    checkpoints: frozenset[Checkpoint]
    takes: Mapping[Any, int]
    images: int

    def label(self, wanted: Wanted) -> str:
        """Return what people call the networks that pass."""
        return label_of([one for one in wanted.checkpoints if one in self.checkpoints])

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(self.takes.values())

    def joined(self, other: "Piece") -> "Piece":
        """Return both."""
        takes = {**self.takes, **other.takes}
        return Piece(self.names + other.names, self.checkpoints | other.checkpoints, takes, self.images)


def packed(pieces: Iterable[Piece], room: int) -> Iterator[Piece]:
    """Join pieces that follow each other, as many as fit; those without a network in common stay apart."""
    tile: Piece | None = None
    for piece in pieces:
        if tile is None:
            tile = piece
            continue
        joint = tile.joined(piece)
        if tile.checkpoints & piece.checkpoints and joint.bytes <= room:
            tile = joint
            continue
        yield tile
        tile = piece
    if tile is not None:
        yield tile


def foretold(streamed: "Streamed", wanted: Wanted, finished: Collection[Any]) -> str | None:
    """Say which networks pass over how many images for what is not finished; None where none does."""
    images: Counter[Checkpoint] = Counter()
    for tile in streamed.tiles(wanted):
        lacking = (name for name in tile.names if name not in finished)
        for one in set(chain.from_iterable(map(checkpoints_of, lacking))):
            images[one] += tile.images * streamed.times(tile)
    if not images:
        return None
    before = set(chain.from_iterable(map(checkpoints_of, finished))) & images.keys()
    count = f"{len(images)} checkpoint{'s pass' if len(images) > 1 else ' passes'}"
    most = "" if len(set(images.values())) == 1 else "up to "
    again = f", {len(before)} of them again" if before else ""
    return f"streaming: {streamed.reason}{count} over {most}{max(images.values()):,} {wanted.items}{again}"


def checkpoints_of(name: Any) -> tuple[Checkpoint, ...]:  # noqa: ANN401 - of any stage
    """Return the networks that a part is of."""
    return (name.checkpoint,) if hasattr(name, "checkpoint") else tuple(name.pair.compared)
