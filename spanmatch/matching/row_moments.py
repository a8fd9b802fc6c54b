"""Sums of squared lengths of samples, Σ|x|²|y|²: what debiased measures need beyond the co-moments."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputValueError
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import SLAB_BYTES, two_sum
from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.parts import float64_array, whole_number


class RowMoments:
    """Sums of ``|x|²``, ``|y|²``, ``|x|²|y|²``, ``|y|² x`` and ``|x|² y`` of two layers, or of one.

    Samples are less a centre, which is near their mean. An accumulator: start from `zeros`, or from `about`
    where means are known; `update` with blocks; `merged` gives the sums about the mean, of one or of several.

    Attributes
    ----------
    sums : ndarray, (3,)
        ``Σ|x|²|y|²``, ``Σ|x|²`` and ``Σ|y|²``.
    weighted_x, weighted_y : ndarray, (n_x,) and (n_y,)
        ``Σ|y|² x`` and ``Σ|x|² y``: what sums about another centre need.
    centre_x, centre_y : ndarray, (2, n_x) and (2, n_y)
        What is subtracted from each sample: a value and what it lacks, as `CoMoments.mean_x`.
    n_samples : int
        Samples seen so far.
    """

    def __init__(
        self,
        sums: FloatArray,
        weighted_x: FloatArray,
        weighted_y: FloatArray,
        centre_x: FloatArray | None,
        centre_y: FloatArray | None,
        n_samples: int,
    ) -> None:
        self.sums = sums
        self.weighted_x = weighted_x
        self.weighted_y = weighted_y
        self._centres = None if centre_x is None or centre_y is None else (centre_x, centre_y)
        self.n_samples = n_samples

    @classmethod
    def zeros(cls, n_x: int, n_y: int) -> "RowMoments":
        """Return an accumulator of n_x and n_y neurons, whose centre is the mean of the first block."""
        return cls(np.zeros(3), np.zeros(n_x), np.zeros(n_y), None, None, 0)

    @classmethod
    def about(cls, mean_x: FloatArray, mean_y: FloatArray) -> "RowMoments":
        """Return an accumulator of samples whose means are known: those of their `CoMoments`.

        Parameters
        ----------
        mean_x, mean_y : ndarray, (2, n_x) and (2, n_y)
            As `CoMoments.mean_x`. Of all samples that will come, no matter how x and y are paired.
        """
        return cls(np.zeros(3), np.zeros(mean_x.shape[1]), np.zeros(mean_y.shape[1]), mean_x, mean_y, 0)

    @classmethod
    def from_parts(
        cls,
        sums: ArrayLike,
        weighted_x: ArrayLike,
        weighted_y: ArrayLike,
        centre_x: ArrayLike,
        centre_y: ArrayLike,
        n_samples: int,
    ) -> "RowMoments":
        """Return the row moments whose attributes of these names were kept somewhere.

        Raises
        ------
        TypeError
            When an array is not of float64, or the count is no whole number.
        ValueError
            When shapes do not fit, a value is not finite, or the count is negative.
        """
        arrays = {
            "sums": sums,
            "weighted_x": weighted_x,
            "weighted_y": weighted_y,
            "centre_x": centre_x,
            "centre_y": centre_y,
        }
        kept = {name: float64_array(name, values) for name, values in arrays.items()}
        n_x, n_y = kept["weighted_x"].size, kept["weighted_y"].size
        shapes = [(3,), (n_x,), (n_y,), (2, n_x), (2, n_y)]
        for (name, array), shape in zip(kept.items(), shapes, strict=True):
            if array.shape != shape:
                raise InputValueError(
                    f"`{name}` must have shape {shape}, got {array.shape}; pass that of one RowMoments"
                )
            if not np.isfinite(array).all():
                raise InputValueError(f"`{name}` must be finite, got NaN or infinity; compute it again")
        if whole_number("n_samples", n_samples, "pass the count kept with the sums") < 0:
            raise InputValueError(
                f"`n_samples` must be at least 0, got {n_samples}; pass the count kept with the sums"
            )
        return cls(**kept, n_samples=int(n_samples))

    @property
    def n_x(self) -> int:
        """Neurons of the first layer."""
        return self.weighted_x.size

    @property
    def n_y(self) -> int:
        """Neurons of the second layer."""
        return self.weighted_y.size

    @property
    def centre_x(self) -> FloatArray:
        """What is subtracted from samples of the first layer, (2, n_x); zero before the first block."""
        return np.zeros((2, self.n_x)) if self._centres is None else self._centres[0]

    @property
    def centre_y(self) -> FloatArray:
        """What is subtracted from samples of the second layer, (2, n_y); zero before the first block."""
        return np.zeros((2, self.n_y)) if self._centres is None else self._centres[1]

    def update(self, x: AnyArray, y: AnyArray) -> None:
        """Add a block of samples; the same object twice for a layer with itself.

        Parameters
        ----------
        x, y : ndarray, (n_samples, n_x) and (n_samples, n_y)
            Activations of any real dtype, as they are.

        Raises
        ------
        ValueError
            When numbers of samples or of neurons do not fit, or a sum is not finite. The accumulator is then
            as it was before.

        Notes
        -----
        Costs n_samples · (n_x + n_y) multiplications and additions of either sum, in one pass over memory. A
        centre that is 10ᵏ deviations from the mean costs a relative 10⁴ᵏ roundings; the mean of a first block
        is that far away only where blocks differ as much.
        """
        if len(x) != len(y) or (x.shape[1:], y.shape[1:]) != ((self.n_x,), (self.n_y,)):
            raise InputValueError(
                f"`x` and `y` must be blocks of equally many samples, of {self.n_x} and {self.n_y} neurons, "
                f"got shapes {x.shape} and {y.shape}; pass the same samples of the layers that these "
                "RowMoments are of"
            )
        if len(x) == 0:
            return
        same = x is y
        with np.errstate(all="ignore"):
            if self._centres is None:
                centre_x = mean_of(x)
                centres = centre_x, centre_x if same else mean_of(y)
            else:
                centres = self._centres
            found = RowMoments(np.zeros(3), np.zeros(self.n_x), np.zeros(self.n_y), *centres, 0)
            rows = max(1, SLAB_BYTES // (8 * max(self.n_x, self.n_y)))
            room = np.empty((2, min(rows, len(x)) * max(self.n_x, self.n_y)))
            for start in range(0, len(x), rows):
                part = slice(start, start + rows)
                less_x = less_centre(x[part], centres[0], room[0])
                less_y = less_x if same else less_centre(y[part], centres[1], room[1])
                squares_x = np.einsum("ij,ij->i", less_x, less_x)
                squares_y = squares_x if same else np.einsum("ij,ij->i", less_y, less_y)
                found.add_rows(less_x, less_y, squares_x, squares_y)
        if not all(np.isfinite(each).all() for each in (found.sums, found.weighted_x, found.weighted_y)):
            raise InputValueError(
                "`x` and `y` must be finite, and small enough for products of four values to stay finite, "
                f"got {np.abs(x).max():.3g} and {np.abs(y).max():.3g}; repair the network, or divide that "
                "side by a constant, which changes no debiased measure"
            )
        self._centres = centres
        self.sums += found.sums
        self.weighted_x += found.weighted_x
        self.weighted_y += found.weighted_y
        self.n_samples += found.n_samples

    def add_rows(self, x: FloatArray, y: FloatArray, squares_x: FloatArray, squares_y: FloatArray) -> None:
        """Add samples that are less the centres, (n_samples, n_x) and (n_samples, n_y), and their squares."""
        self.sums += squares_x @ squares_y, squares_x.sum(), squares_y.sum()
        weighted = squares_y @ x
        self.weighted_x += weighted
        self.weighted_y += weighted if x is y else squares_x @ y
        self.n_samples += len(x)

    @classmethod
    def merged(cls, parts: Iterable[tuple["RowMoments", CoMoments]]) -> "RowMoments":
        """Return the sums of all samples of several, about the mean of all.

        Parameters
        ----------
        parts : iterable of (RowMoments, CoMoments)
            Of different samples; each with the co-moments between the same two layers over the same samples.

        Raises
        ------
        ValueError
            When there is none, or numbers of neurons or samples do not fit.

        Notes
        -----
        Costs n_x · n_y multiplications for each. No offset that all samples share costs a digit.
        """
        pairs = list(parts)
        if not pairs:
            raise InputValueError(
                "`parts` must hold at least one, got none; pass pairs of row and co-moments"
            )
        shape = (pairs[0][0].n_x, pairs[0][0].n_y)
        for rows, cross in pairs:
            got = (rows.n_x, rows.n_y, rows.n_samples), (cross.n_x, cross.n_y, cross.n_samples)
            if got[0] != got[1] or got[0][:2] != shape:
                raise InputValueError(
                    f"`parts` must be of {shape[0]} and {shape[1]} neurons each, row and co-moments over the "
                    f"same samples, got (n_x, n_y, n_samples) {got[0]} and {got[1]}; pass what was updated "
                    "with the same blocks"
                )
        seen = [(rows, cross) for rows, cross in pairs if rows.n_samples]
        if not seen:
            return cls.zeros(*shape)
        counts = [cross.n_samples for _, cross in seen]
        total = cls.about(
            _mean_of_means([cross.mean_x for _, cross in seen], counts),
            _mean_of_means([cross.mean_y for _, cross in seen], counts),
        )
        for rows, cross in seen:
            total._add_moved(rows, cross)
        return total

    def _add_moved(self, rows: "RowMoments", cross: CoMoments) -> None:
        """Add sums about another centre: each sample lies by so much farther from this one."""
        n = rows.n_samples
        by_x, by_y = _apart(rows.centre_x, self.centre_x), _apart(rows.centre_y, self.centre_y)
        sum_x = n * _apart(cross.mean_x, rows.centre_x)
        sum_y = n * _apart(cross.mean_y, rows.centre_y)
        # Σ x (y · by_y) and Σ y (x · by_x), about the centre of `rows`
        along_y = cross.products @ by_y + sum_x * (sum_y @ by_y / n)
        along_x = by_x @ cross.products + sum_y * (sum_x @ by_x / n)
        square_x, square_y = by_x @ by_x, by_y @ by_y
        further_x = 2 * (by_x @ sum_x) + n * square_x
        further_y = 2 * (by_y @ sum_y) + n * square_y
        both, of_x, of_y = rows.sums
        self.sums += (
            both
            + 2 * (by_y @ rows.weighted_y + by_x @ rows.weighted_x + 2 * (by_x @ along_y))
            + square_y * (of_x + further_x)
            + square_x * (of_y + 2 * (by_y @ sum_y)),
            of_x + further_x,
            of_y + further_y,
        )
        self.weighted_x += rows.weighted_x + (of_y + further_y) * by_x + 2 * along_y + square_y * sum_x
        self.weighted_y += rows.weighted_y + (of_x + further_x) * by_y + 2 * along_x + square_x * sum_y
        self.n_samples += n

    def copy(self) -> "RowMoments":
        """Return an independent copy."""
        centre_x, centre_y = self._centres or (None, None)
        sums = self.sums.copy(), self.weighted_x.copy(), self.weighted_y.copy()
        return RowMoments(*sums, centre_x, centre_y, self.n_samples)

    def about_zero(self) -> "RowMoments":
        """Return the same, of activations less the centre; sums are not copied."""
        zeros = np.zeros_like(self.centre_x), np.zeros_like(self.centre_y)
        return RowMoments(self.sums, self.weighted_x, self.weighted_y, *zeros, self.n_samples)

    def __repr__(self) -> str:
        return f"RowMoments(n_x={self.n_x}, n_y={self.n_y}, n_samples={self.n_samples})"


def mean_of(block: AnyArray) -> FloatArray:
    """Return the mean of each neuron of a block, (2, n): a value and what it lacks."""
    first = block.mean(axis=0, dtype=np.float64)
    rest = np.zeros_like(first)
    rows = max(1, SLAB_BYTES // (8 * first.size))
    for start in range(0, len(block), rows):
        rest += (block[start : start + rows] - first).sum(axis=0)
    return np.stack(two_sum(first, rest / len(block)))


def less_centre(block: AnyArray, centre: FloatArray, room: FloatArray) -> FloatArray:
    """Return a block less a centre, written to `room`."""
    out = room[: block.size].reshape(block.shape)
    np.subtract(block, centre[0], out=out)
    if centre[1].any():
        out -= centre[1]
    return out


def _apart(one: FloatArray, other: FloatArray) -> FloatArray:
    difference: FloatArray = (one[0] - other[0]) + (one[1] - other[1])
    return difference


def _mean_of_means(means: list[FloatArray], counts: list[int]) -> FloatArray:
    """Return the mean of all samples: the first part's, moved."""
    step: FloatArray = np.zeros(means[0].shape[1])
    for mean, count in zip(means, counts, strict=True):
        step += count / sum(counts) * _apart(mean, means[0])
    moved, lost = two_sum(means[0][0], step)
    return np.stack(two_sum(moved, lost + means[0][1]))
