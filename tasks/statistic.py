"""The sufficient statistic of two layers, assembled from parts kept by network, pair and segment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch import GramMatrix
from spanmatch.matching.comoments import CoMoments
from storage.packs import Content, Packs
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root


@dataclass(frozen=True)
class Statistic:
    """The parts of a pair of layers, one for each segment: its own of either side, and the cross part."""

    x: tuple[Artefact, ...]
    y: tuple[Artefact, ...]
    xy: tuple[Artefact, ...]

    def identity(self) -> dict[str, Any]:
        """Return the content of all parts, as JSON."""
        return {side: [part.digest for part in getattr(self, side)] for side in ("x", "y", "xy")}


class Reading:
    """Reads what units stand on, and keeps what the next unit may need again."""

    def __init__(self, root: Root) -> None:
        self.packs = Packs(root)
        self._statistic: Statistic | None = None
        self._gram: GramMatrix | None = None

    def gram(self, statistic: Statistic) -> GramMatrix:
        """Return the Gram matrix of a pair of layers, over all segments.

        Raises
        ------
        DamagedArtefactsError
            If parts are not what was written.
        """
        if self._gram is None or statistic != self._statistic:
            sides = statistic.x, statistic.y, statistic.xy
            try:
                x, y, xy = map(self._sum, sides)
            except DamagedArtefactError as first:
                raise DamagedArtefactsError([first, *self._damages(chain(*sides))]) from None
            self._statistic, self._gram = statistic, GramMatrix.from_comoments(x, y, xy)
        return self._gram

    def _sum(self, parts: Sequence[Artefact]) -> CoMoments:
        return reduce(add, (comoments_of(self.packs.read(part)) for part in parts))

    def _damages(self, parts: Iterable[Artefact]) -> Iterator[DamagedArtefactError]:
        for part in parts:
            try:
                self.packs.read(part)
            except DamagedArtefactError as damage:
                yield damage


def content_of(comoments: CoMoments) -> Content:
    """Return co-moments as arrays."""
    counts = np.array([comoments.n_samples, comoments.roundings], dtype=np.int64)
    return {
        "products": comoments.products,
        "mean_x": comoments.mean_x,
        "mean_y": comoments.mean_y,
        "counts": counts,
    }


def comoments_of(content: Mapping[str, NDArray[Any]]) -> CoMoments:
    """Return the co-moments that `content_of` made arrays of."""
    samples, roundings = content["counts"].tolist()
    return CoMoments.from_parts(content["products"], content["mean_x"], content["mean_y"], samples, roundings)
