"""What layers come to while samples pass: co-moments of pairs, and the strongest samples of neurons."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from spanmatch.matching.strongest import StrongestSamples
from storage.packs import Content, content_digest
from tasks.fold_sums import FoldSums
from tasks.stage import Result
from tasks.unit import Unit


class PassedSide(Protocol):
    """A layer of a network whose samples pass."""

    @property
    def layer(self) -> str:
        """Its name."""


class PartUnit(Protocol):
    """A unit that samples are passed for, stored ones or on their way."""

    @property
    def x(self) -> PassedSide:
        """One side."""

    @property
    def y(self) -> PassedSide:
        """The other, or the same."""

    @property
    def folds(self) -> int:
        """How many folds samples are in."""

    @property
    def strongest(self) -> int:
        """How many strongest samples of each neuron are wanted; 0 where co-moments are."""


class PassParts:
    """Sums and searches of layers over the same samples.

    Parameters
    ----------
    sides
        Layers in the order in which their samples are given.
    units
        Whose sides are among them.
    first
        Which sample of the study the first is.
    """

    def __init__(self, sides: Sequence[Any], units: Sequence[PartUnit], first: int) -> None:
        self._sides = sides
        summed = [unit for unit in units if not unit.strongest]
        pairs = {(sides.index(unit.x), sides.index(unit.y)) for unit in summed}
        names = [side.layer for side in sides]
        self._sums = FoldSums(names, pairs, summed[0].folds, first) if summed else None
        self._searches = {
            sides.index(unit.x): StrongestSamples(unit.strongest) for unit in units if unit.strongest
        }

    def add(self, samples: Sequence[NDArray[Any]]) -> None:
        """Add the next samples of all sides, as `FoldSums.add` takes them.

        Raises
        ------
        SpanmatchError
            As `FoldSums.add`.
        """
        if self._sums is not None:
            self._sums.add(samples)
        for place, search in self._searches.items():
            search.add(samples[place])

    def result(self, unit: Any) -> Result:  # noqa: ANN401 - a `Unit` that is a `PartUnit`
        """Return what a unit came to; its sums are no longer here.

        Raises
        ------
        SpanmatchError
            If no position of any sample counts.
        """
        return _result(unit, self._content(unit))

    def _content(self, unit: PartUnit) -> Content:
        x, y = self._sides.index(unit.x), self._sides.index(unit.y)
        if unit.strongest:
            return self._searches[x].found().arrays()
        assert self._sums is not None
        return self._sums.taken((x, y))


def _result(unit: Unit, content: Content) -> Result:
    return Result(unit, {"digest": content_digest(content)}, content)
