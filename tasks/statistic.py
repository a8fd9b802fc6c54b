"""The sufficient statistic of two layers, assembled from parts kept by network, pair, segment and fold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import chain
from operator import add
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spanmatch import GramMatrix
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.joint_sums import Moments
from spanmatch.matching.row_moments import RowMoments
from storage.packs import Content, Packs
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.wanted import Resample


class Sides(NamedTuple):
    """The moments of a pair of layers over the same samples: of either with itself, and between both."""

    x: Moments
    y: Moments
    xy: Moments


Sums: TypeAlias = tuple[CoMoments, CoMoments, CoMoments]


@dataclass(frozen=True)
class Samples:
    """The moments of a pair of layers, in parts of different samples that are added up when asked for.

    Attributes
    ----------
    known
        Of how many of the first parts the sums are known, and these.
    """

    parts: tuple[Sides, ...]
    known: tuple[int, Sums | None] = (0, None)

    @cached_property
    def comoments(self) -> Sums:
        """Of either layer with itself, and between both."""
        count, sums = self.known
        sums = _added(self.parts[count:], sums)
        assert sums is not None
        return sums

    @cached_property
    def rows(self) -> tuple[RowMoments, RowMoments, RowMoments]:
        """The row moments of the same."""
        x, y, xy = (_rows_of(of_side) for of_side in zip(*self.parts, strict=True))
        return x, y, xy

    @cached_property
    def gram(self) -> GramMatrix:
        """The Gram matrix."""
        return GramMatrix.from_comoments(*self.comoments)

    @cached_property
    def gram_with_rows(self) -> GramMatrix:
        """The same with row moments, which few measures need."""
        return GramMatrix.from_comoments(*self.comoments, rows=self.rows)


@dataclass(frozen=True)
class Statistic:
    """The parts of a pair of layers, one for each segment: its own of either side, and the cross part.

    Attributes
    ----------
    folds
        How many folds each part is kept by, 0 where it is kept whole.
    """

    x: tuple[Artefact, ...]
    y: tuple[Artefact, ...]
    xy: tuple[Artefact, ...]
    folds: int = 0

    def identity(self) -> dict[str, Any]:
        """Return the content of all parts, as JSON."""
        return {side: [part.digest for part in getattr(self, side)] for side in ("x", "y", "xy")}


class Reading:
    """Reads what units stand on, and keeps what the next unit may need again."""

    def __init__(self, root: Root) -> None:
        self.packs = Packs(root)
        self._statistic: Statistic | None = None
        self._whole = Samples(())
        self._first: tuple[int, Sums | None] = (0, None)

    def whole(self, statistic: Statistic) -> Samples:
        """Return the moments of a pair of layers over all segments, a part for each fold.

        Raises
        ------
        DamagedArtefactsError
            If parts are not what was written.
        """
        if statistic != self._statistic:
            sides = statistic.x, statistic.y, statistic.xy
            try:
                x, y, xy = map(self._by_fold, sides)
            except DamagedArtefactError as first:
                raise DamagedArtefactsError([first, *self._damages(chain(*sides))]) from None
            self._statistic, self._whole = statistic, Samples(tuple(map(Sides, x, y, xy)))
            self._first = (0, None)
        return self._whole

    def resampled(
        self, statistic: Statistic, resample: Resample, permuted: Artefact | None = None
    ) -> Samples:
        """Return the moments of a part of the images, or of images that are permuted.

        Raises
        ------
        DamagedArtefactError, DamagedArtefactsError
            If parts are not what was written.
        """
        whole = self.whole(statistic)
        kind, number = resample
        if kind == "null":
            assert permuted is not None
            (cross,) = moments_of(self.packs.read(permuted))
            return _with_cross(whole, cross)
        if kind == "first":
            return Samples(whole.parts[:number], self._sums_of_first(number))
        if kind == "without":
            others = (*whole.parts[:number], *whole.parts[number + 1 :])
            return Samples(others, self._sums_of_first(number))
        return whole

    def _sums_of_first(self, number: int) -> tuple[int, Sums | None]:
        """Return the sums of so many parts, from those of fewer that were the last asked for."""
        count, sums = self._first if self._first[0] <= number else (0, None)
        self._first = number, _added(self._whole.parts[count:number], sums)
        return self._first

    def own(self, parts: Sequence[Artefact]) -> Moments:
        """Return the moments of a layer with itself, over all segments and folds.

        Raises
        ------
        DamagedArtefactError
            If a part is not what was written.
        """
        folds = self._by_fold(parts)
        return Moments(reduce(add, (fold.comoments for fold in folds)), _rows_of(folds))

    def _by_fold(self, parts: Sequence[Artefact]) -> list[Moments]:
        by_segment = [moments_of(self.packs.read(part)) for part in parts]
        if len(by_segment) == 1:
            return by_segment[0]
        return [
            Moments(reduce(add, (part.comoments for part in parts)), _rows_of(parts))
            for parts in zip(*by_segment, strict=True)
        ]

    def _damages(self, parts: Iterable[Artefact]) -> Iterator[DamagedArtefactError]:
        for part in parts:
            try:
                self.packs.read(part)
            except DamagedArtefactError as damage:
                yield damage


def _added(parts: Iterable[Sides], sums: Sums | None) -> Sums | None:
    """Add the co-moments of parts to sums, one after the other."""
    for part in parts:
        x, y, xy = (side.comoments for side in part)
        sums = (x, y, xy) if sums is None else (sums[0] + x, sums[1] + y, sums[2] + xy)
    return sums


def _rows_of(parts: Sequence[Moments]) -> RowMoments:
    if len(parts) == 1:
        return parts[0].rows
    return RowMoments.merged([(part.rows, part.comoments) for part in parts])


def _with_cross(whole: Samples, cross: Moments) -> Samples:
    """Return the own parts of both layers with another cross part."""
    x, y, _ = zip(whole.comoments, whole.rows, strict=True)
    return Samples((Sides(Moments(*x), Moments(*y), cross),))


def content_of(folds: Sequence[Moments]) -> Content:
    """Return the moments of each fold as arrays that are stacked by fold."""
    arrays = [moments.arrays() for moments in folds]
    return {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}


def moments_of(content: Mapping[str, NDArray[Any]]) -> list[Moments]:
    """Return the moments that `content_of` made arrays of."""
    return [
        Moments.of_arrays({name: stacked[place] for name, stacked in content.items()})
        for place in range(len(content["counts"]))
    ]
