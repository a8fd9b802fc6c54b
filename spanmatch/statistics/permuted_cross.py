"""Co-moments of two layers, the images of one permuted, all positions of an image together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import ROWS_BETWEEN, ROWS_BY_THEMSELVES
from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.row_moments import RowMoments

# Columns of the products of several permutations, which BLAS computes as one: more is no faster.
_COLUMNS = 1024
# Neurons of a permutation are filled up to a multiple of this, so that its bits do not depend on its place.
_WIDTH = 16


class PermutedCross:
    """Accumulates the cross part of two layers' statistic under several permutations of images.

    Own parts are those of the layers as they are: a permutation leaves them.

    Parameters
    ----------
    mean_x, mean_y : ndarray, (2, n_x) and (2, n_y)
        Means over all samples, as `CoMoments.mean_x`.
    permutations : sequence of ndarray of int, (images,)
        Each says for every image of x which image of y it is paired with. Images are exchanged only among
        those whose positions that count are the same.

    Notes
    -----
    After Pesarin and Salmaso 2010, *Permutation Tests for Complex Data*: under independence of the layers
    images are exchangeable; their positions are not.
    """

    def __init__(self, mean_x: FloatArray, mean_y: FloatArray, permutations: Sequence[Indices]) -> None:
        self._means = mean_x, mean_y
        self._permutations = permutations
        n_x, n_y = mean_x.shape[1], mean_y.shape[1]
        width = -(-n_y // _WIDTH) * _WIDTH
        self._together = max(1, min(_COLUMNS // width, len(permutations)))
        self._products = np.zeros((len(permutations), n_x, n_y))
        self._sums = np.zeros((len(permutations), 3))
        self._weighted_x = np.zeros((len(permutations), n_x))
        self._weighted_y = np.zeros((len(permutations), n_y))
        self._n_samples = np.zeros(len(permutations), dtype=np.int64)
        self._room = np.empty(0)
        self._blocks = 0
        self._longest = 0

    def update(self, x: AnyArray, start: int, y: AnyArray, first: int = 0) -> None:
        """Add images of x, each paired with those of its partners that are among these images of y.

        Parameters
        ----------
        x : ndarray, (images, positions, n_x)
            Some images, from number `start` on; positions that do not count are not a number.
        start : int
            Number of the first of them.
        y : ndarray, (images, positions, n_y)
            Other images, all or some, from number `first` on.
        first : int, optional
            Number of the first of these.

        Notes
        -----
        Costs permutations · samples · n_x · n_y multiplications and additions.
        """
        images, _, n_x = x.shape
        n_y = y.shape[2]
        width = -(-n_y // _WIDTH) * _WIDTH
        counts = ~np.isnan(x[:, :, 0])
        less_x = _less(x[counts], self._means[0])
        squares_x = np.einsum("ij,ij->i", less_x, less_x)
        rows = len(less_x)
        if self._room.size < rows * self._together * width:
            self._room = np.empty(rows * self._together * width)
        for begin in range(0, len(self._permutations), self._together):
            batch = self._permutations[begin : begin + self._together]
            several = self._room[: rows * self._together * width].reshape(rows, self._together, width)
            several[:] = 0
            squares_y = np.zeros((self._together, rows))
            for place, permutation in enumerate(batch):
                partners = permutation[start : start + images] - first
                here = (partners >= 0) & (partners < len(y))
                target = several[:, place, :n_y]
                seen = _gather(target, y, partners, here, counts, self._means[1])
                squares_y[place] = np.einsum("ij,ij->i", target, target)
                self._n_samples[begin + place] += seen
                self._sums[begin + place, 1] += squares_x[_rows_of(here, counts)].sum()
            part = slice(begin, begin + len(batch))
            stacked = several.reshape(rows, -1)
            products = (less_x.T @ stacked).reshape(n_x, self._together, width)
            self._products[part] += products.transpose(1, 0, 2)[: len(batch), :, :n_y]
            self._sums[part, 0] += (squares_y @ squares_x)[: len(batch)]
            self._sums[part, 2] += squares_y.sum(axis=1)[: len(batch)]
            self._weighted_x[part] += (squares_y @ less_x)[: len(batch)]
            weighted_y = (squares_x @ stacked).reshape(self._together, width)
            self._weighted_y[part] += weighted_y[: len(batch), :n_y]
        self._blocks += 1
        self._longest = max(self._longest, rows)

    def finished(self) -> list[tuple[CoMoments, RowMoments]]:
        """Return the cross part of each permutation."""
        roundings = (
            4 + min(self._longest, ROWS_BY_THEMSELVES) + -(-self._longest // ROWS_BETWEEN) + self._blocks
        )
        return [
            (
                CoMoments(products, *self._means, n_samples=int(samples), roundings=roundings),
                RowMoments.from_parts(sums, weighted_x, weighted_y, *self._means, n_samples=int(samples)),
            )
            for products, sums, weighted_x, weighted_y, samples in zip(
                self._products,
                self._sums,
                self._weighted_x,
                self._weighted_y,
                self._n_samples,
                strict=True,
            )
        ]


def _gather(
    target: FloatArray,
    y: AnyArray,
    partners: Indices,
    here: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    mean: FloatArray,
) -> int:
    """Write the partners' samples, less their mean, into the rows of the images; return how many samples."""
    if here.all():
        taken = y[partners] if counts.all() else y[partners][counts]
        np.subtract(taken.reshape(target.shape), mean[0], out=target)
        if mean[1].any():
            target -= mean[1]
        return len(target)
    rows = _rows_of(here, counts)
    target[rows] = _less(y[partners[here]][counts[here]], mean)
    return int(np.count_nonzero(rows))


def _rows_of(images: NDArray[np.bool_], counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell of each sample whether it is of these images."""
    return np.broadcast_to(images[:, None], counts.shape)[counts]


def _less(samples: AnyArray, mean: FloatArray) -> FloatArray:
    less: FloatArray = samples - mean[0]
    if mean[1].any():
        less -= mean[1]
    return less
