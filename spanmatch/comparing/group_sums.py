"""The statistic of a group of layers over the same samples, by folds of the images."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch.comparing.pairs import Column, Pair
from spanmatch.comparing.sums import Sums
from spanmatch.errors import InputValueError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import AnyArray
from spanmatch.matching.joint_sums import JointSums
from spanmatch.matching.match import Indices
from spanmatch.matching.side_by_side import Two


class GroupSums:
    """Sums of layers that pairs connect, a `Sums` for each fold.

    Parameters
    ----------
    columns
        The layers.
    neurons
        How many each has.
    pairs
        Of these and of other layers.
    folds
        Image i, as they come, is in fold i modulo this number.
    keep
        Whether to keep samples.
    joint
        What sums.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        neurons: Mapping[Column, int],
        pairs: Sequence[Pair],
        folds: int,
        keep: bool,
        joint: Callable[[Sequence[int], Collection[Two]], JointSums] = JointSums,
    ) -> None:
        self.columns = tuple(columns)
        self._place = {column: place for place, column in enumerate(columns)}
        sizes = [neurons[column] for column in columns]
        own = [(self._place[x], self._place[y]) for x, y in pairs if x in self._place]
        self.folds = [Sums(sizes, own, keep=keep, joint=joint) for _ in range(folds)]
        self._images: list[list[Indices]] = [[] for _ in range(folds)]

    def __contains__(self, pair: Pair) -> bool:
        return pair.x in self._place

    def add(self, taken: Mapping[Column, NDArray[Any]], start: int, batch: int) -> None:
        """Add the activations of some images, (images, positions, neurons) of each layer.

        Parameters
        ----------
        taken
            By layer; NaN at positions that do not count.
        start
            Images before these.
        batch
            Its number, for messages.

        Raises
        ------
        ValueError
            If layers differ in positions, or in those that count.
        """
        values = [taken[column] for column in self.columns]
        self._require_alike([each.shape[:2] for each in values], batch)
        counts = ~np.isnan(values[0][:, :, 0])
        for column, each in zip(self.columns[1:], values[1:], strict=True):
            if not np.array_equal(counts, ~np.isnan(each[:, :, 0])):
                raise InputValueError(
                    f"`mask` must leave the same positions of all layers that are compared, but "
                    f"{self.columns[0]} and {column} leave out different ones in batch {batch}; give one for "
                    "all networks, and leave out samples of which no position counts"
                )
        images = np.arange(len(counts))
        for fold, sums in enumerate(self.folds):
            chosen = images[(fold - start) % len(self.folds) :: len(self.folds)]
            if not chosen.size:
                continue
            of_fold = counts[chosen]
            sums.add([_samples(each[chosen] if len(self.folds) > 1 else each, of_fold) for each in values])
            if sums.are_kept:
                self._images[fold].append(np.repeat(start + chosen, of_fold.sum(axis=1)))
            else:
                self._images[fold].clear()

    def require_samples(self) -> None:
        """See that there are samples.

        Raises
        ------
        ValueError
            If no position of any image counts.
        """
        if not any(sums.n_samples for sums in self.folds):
            raise InputValueError(
                f"`mask` must leave positions that count, but {self.columns[0]} has none in any sample; "
                "see to it"
            )

    @property
    def bytes(self) -> int:
        """What the samples take that are there."""
        return sum(sums.bytes for sums in self.folds)

    @property
    def are_kept(self) -> bool:
        """Whether samples are there."""
        return all(sums.are_kept for sums in self.folds)

    def grams(self, pair: Pair, *, rows: bool = True) -> tuple[GramMatrix, ...]:
        """Return the Gram matrix of a pair in each fold, with row moments or, sooner, without."""
        x, y = self._place[pair.x], self._place[pair.y]
        found = []
        for sums in self.folds:
            if not rows:
                found.append(GramMatrix.from_comoments(*map(sums.comoments, ((x, x), (y, y), (x, y)))))
                continue
            parts = sums.moments((x, x)), sums.moments((y, y)), sums.moments((x, y))
            of_rows = parts[0].rows, parts[1].rows, parts[2].rows
            found.append(GramMatrix.from_comoments(*(part.comoments for part in parts), rows=of_rows))
        return tuple(found)

    def rest(self) -> None:
        """Forget what makes the next pair quick."""
        for sums in self.folds:
            sums.rest()

    def images(self, fold: int) -> Indices:
        """Return the image of each sample of a fold."""
        return np.concatenate(self._images[fold])

    def set_images(self, fold: int, images: Indices) -> None:
        """Say of which image each sample of a fold is."""
        self._images[fold] = [images]

    def samples(self, pair: Pair) -> tuple[AnyArray, AnyArray, Indices]:
        """Return the samples of both layers, (n_samples, n) each, and the image of each, if they are kept."""
        places = [self._place[column] for column in pair]
        x, y = (np.concatenate([sums.samples(place) for sums in self.folds]) for place in places)
        return x, y, np.concatenate([self.images(fold) for fold in range(len(self.folds))])

    def _require_alike(self, shapes: Sequence[tuple[int, ...]], batch: int) -> None:
        for column, shape in zip(self.columns, shapes, strict=True):
            if shape != shapes[0]:
                raise InputValueError(
                    f"`positions` must be 'mean' where layers differ in their number, but "
                    f"{self.columns[0]} has {shapes[0][1]} and {column} {shape[1]} in batch {batch}; set it, "
                    "or leave one out"
                )


def _samples(values: NDArray[Any], counts: NDArray[np.bool_]) -> AnyArray:
    """Lay out (image, position, neuron) as (sample, neuron), without what does not count."""
    rows: AnyArray = values.reshape(-1, values.shape[-1])
    return rows if counts.all() else rows[counts.ravel()]
