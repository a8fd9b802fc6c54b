"""The sufficient statistic: inner products of all pairs of neurons, summed over samples as they stream by.

Apart from the searches, which see activations only through it.
"""

import operator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spanmatch.errors import InputValueError
from spanmatch.matching.inputs import AnyArray, paired_activations
from spanmatch.matching.match import Indices, Match, Side
from spanmatch.matching.parts import check_products, float64_array, whole_number
from spanmatch.matching.rank_update import add_products

FloatArray: TypeAlias = NDArray[np.float64]

# The authors' convention: a neuron whose activation vector is no longer than this is dead.
DEAD_NORM = 1e-16
# A chunk is cast to float64 in blocks of rows of about this size: large enough for BLAS, small enough to be
# in cache when BLAS reads what was cast.
BLOCK_BYTES = 8 * 2**20
# BLAS adds up at most so many products by themselves, and adds to its result after at least so many: what
# OpenBLAS does on x86-64, 256 or 384 by processor.
ROWS_BY_THEMSELVES, ROWS_BETWEEN = 384, 256


class GramMatrix:
    """Uncentred Gram matrix of the activations of two layers, in float64, and their column sums.

    An accumulator: start from `zeros`, `update` with chunks of samples, add accumulators of other chunks with
    ``+``. Memory is O((n_x + n_y)²) however many samples pass; an update costs n_samples · (n_x + n_y)²
    flops.

    Attributes
    ----------
    n_x, n_y : int
        Numbers of neurons of the two sides.
    n_samples : int
        Samples seen so far.
    roundings : int
        Additions that any product of two activations went through at most: what bounds the rounding errors of
        the inner products.
    """

    def __init__(self, lower: FloatArray, n_samples: int, n_x: int, roundings: int) -> None:
        # Lower triangle of the Gram matrix of [x y 1]: its last row holds the column sums.
        self._lower = lower
        self.n_samples = n_samples
        self.n_x = n_x
        self.n_y = len(lower) - 1 - n_x
        self.roundings = roundings

    @classmethod
    def zeros(cls, n_x: int, n_y: int) -> "GramMatrix":
        """Return an accumulator that has seen no sample.

        Parameters
        ----------
        n_x, n_y : int
            Numbers of neurons of the two sides, at least 1.

        Raises
        ------
        TypeError, ValueError
            When a number is not whole, or a side has no neuron.
        """
        for name, count in (("n_x", n_x), ("n_y", n_y)):
            if whole_number(name, count, "count the neurons of that side") < 1:
                raise InputValueError(
                    f"`{name}` must be at least 1, got {count}; a side without neurons matches nothing"
                )
        n_x, n_y = operator.index(n_x), operator.index(n_y)
        size = n_x + n_y + 1
        return cls(np.zeros((size, size), order="F"), 0, n_x, 0)

    @classmethod
    def from_activations(cls, x: ArrayLike, y: ArrayLike) -> "GramMatrix":
        """Return the Gram matrix of activations that are in memory.

        Parameters
        ----------
        x, y : array_like, (n_samples, n_x) and (n_samples, n_y)
            Activations of the two layers on the same samples in the same order; any real dtype. Row labels of
            data frames (pandas) and xarrays are compared where both sides have them.

        Raises
        ------
        TypeError, ValueError
            As `update`.
        """
        x, y = paired_activations(x, y)
        gram = cls.zeros(x.shape[1], y.shape[1])
        gram.update(x, y)
        return gram

    @classmethod
    def from_parts(
        cls, matrix: ArrayLike, sums: ArrayLike, n_samples: int, n_x: int, roundings: int | None = None
    ) -> "GramMatrix":
        """Return the Gram matrix whose `matrix`, `sums`, `n_samples` and `n_x` were kept somewhere.

        Parameters
        ----------
        matrix : array_like of float64, (n_x + n_y, n_x + n_y)
            Joint Gram matrix, x before y.
        sums : array_like of float64, (n_x + n_y,)
            Sum of each neuron's activations.
        n_samples, n_x : int
            Samples seen, and neurons of the first side.
        roundings : int, optional
            The `roundings` kept beside them. When left out, as many as if samples had come one at a time: no
            order of adding them up goes beyond, but the certificate is then wider than it need be.

        Raises
        ------
        TypeError
            When an array is not of float64, or a count is no whole number.
        ValueError
            When the parts do not belong together, or `matrix` is not finite, symmetric, and within what inner
            products of so many samples can be (the inequality of Cauchy and Schwarz).
        """
        whole, totals = float64_array("matrix", matrix), float64_array("sums", sums)
        kept = "pass the count kept with the matrix"
        n_samples, n_x = whole_number("n_samples", n_samples, kept), whole_number("n_x", n_x, kept)
        depth = n_samples if roundings is None else whole_number("roundings", roundings, kept)
        if whole.ndim != 2 or whole.shape[0] != whole.shape[1]:
            raise InputValueError(
                f"`matrix` must be square, got shape {whole.shape}; pass the joint matrix of x and y"
            )
        if totals.shape != whole.shape[:1]:
            raise InputValueError(
                f"`sums` must have shape {whole.shape[:1]} (one for each row of `matrix`), got "
                f"{totals.shape}; pass the `sums` that were kept beside the matrix"
            )
        if not 0 < n_x < totals.size:
            raise InputValueError(
                f"`n_x` must be between 1 and {totals.size - 1}, got {n_x}; each side needs a neuron"
            )
        if n_samples < 0:
            raise InputValueError(f"`n_samples` must be at least 0, got {n_samples}; {kept}")
        if depth < 0:
            raise InputValueError(
                f"`roundings` must be at least 0, got {roundings}; leave it out where it was not kept"
            )
        if not (np.isfinite(whole).all() and np.isfinite(totals).all()):
            raise InputValueError(
                "`matrix` and `sums` must be finite, got NaN or infinity; compute them again"
            )
        if not np.array_equal(whole, whole.T):
            raise InputValueError(
                "`matrix` must be symmetric, got one that is not; pass the `matrix` of a GramMatrix"
            )
        check_products(whole, totals, n_samples, depth)
        lower = np.zeros((totals.size + 1, totals.size + 1), order="F")
        lower[:-1, :-1] = np.tril(whole)
        lower[-1, :-1] = totals
        lower[-1, -1] = n_samples
        return cls(lower, n_samples, n_x, depth)

    def update(self, x: ArrayLike, y: ArrayLike) -> None:
        """Add a chunk of samples.

        Parameters
        ----------
        x, y : array_like, (n_samples, n_x) and (n_samples, n_y)
            Activations of both sides on the same samples; any real dtype, cast to float64 block by block.

        Raises
        ------
        TypeError
            When an array holds anything but real numbers.
        ValueError
            When the shapes do not fit, or a value is NaN, infinite or so large that its square overflows.
            The accumulator is then as it was before.

        Notes
        -----
        Costs n_samples · (n_x + n_y)² flops: a symmetric rank-k update computes one triangle only.
        """
        x, y = paired_activations(x, y)
        for side, chunk, count in (("x", x, self.n_x), ("y", y, self.n_y)):
            if chunk.shape[1] != count:
                raise InputValueError(
                    f"`{side}` must have {count} columns, as many as neurons in this GramMatrix, got shape "
                    f"{chunk.shape}; rows are samples, columns are neurons"
                )
        if len(x) != len(y):
            raise InputValueError(
                f"`x` and `y` must have equally many samples, got {len(x)} and {len(y)}; rows are samples, "
                "columns are neurons, and both networks must see the same samples in the same order"
            )
        if len(x) == 0:
            return
        with np.errstate(all="ignore"):
            lower, roundings = _add_products(x, y, self._lower.copy(order="F"), self.roundings)
        # A sum of squares is finite only if all values are: seen here at no cost.
        if not np.isfinite(lower.diagonal()).all():
            squares = self._lower.diagonal()
            _refuse("x", x, squares[: self.n_x])
            _refuse("y", y, squares[self.n_x : -1])
        self._lower, self.roundings = lower, roundings
        self.n_samples += len(x)

    def __add__(self, other: "GramMatrix") -> "GramMatrix":
        if not isinstance(other, GramMatrix):
            return NotImplemented
        if (self.n_x, self.n_y) != (other.n_x, other.n_y):
            raise InputValueError(
                "GramMatrix objects must have equal `n_x` and `n_y` to be added, got "
                f"{self.n_x} + {self.n_y} and {other.n_x} + {other.n_y} neurons; "
                "add chunks of one pair of layers only"
            )
        roundings = max(self.roundings, other.roundings) + 1
        return GramMatrix(self._lower + other._lower, self.n_samples + other.n_samples, self.n_x, roundings)

    @property
    def matrix(self) -> FloatArray:
        """Joint Gram matrix of [x y], (n_x + n_y, n_x + n_y), symmetric; a new array."""
        lower = self._lower[:-1, :-1]
        whole: FloatArray = lower + np.tril(lower, -1).T
        return whole

    @property
    def xx(self) -> FloatArray:
        """Inner products of the x neurons, (n_x, n_x)."""
        return self.matrix[: self.n_x, : self.n_x]

    @property
    def yy(self) -> FloatArray:
        """Inner products of the y neurons, (n_y, n_y)."""
        return self.matrix[self.n_x :, self.n_x :]

    @property
    def xy(self) -> FloatArray:
        """Inner products of x neurons (rows) and y neurons (columns), (n_x, n_y)."""
        return self.matrix[: self.n_x, self.n_x :]

    @property
    def sums(self) -> FloatArray:
        """Sum of each neuron's activations, x before y, (n_x + n_y,); a new array."""
        return self._lower[-1, :-1].copy()

    @property
    def norms(self) -> FloatArray:
        """Length of each neuron's activation vector, x before y, (n_x + n_y,)."""
        lengths: FloatArray = np.sqrt(self._lower.diagonal()[:-1])
        return lengths

    @property
    def dead_x(self) -> Indices:
        """Dead x neurons: activation vectors no longer than 1e-16, the authors' convention."""
        return np.flatnonzero(self.norms[: self.n_x] <= DEAD_NORM)

    @property
    def dead_y(self) -> Indices:
        """Dead y neurons: activation vectors no longer than 1e-16, the authors' convention."""
        return np.flatnonzero(self.norms[self.n_x :] <= DEAD_NORM)

    @property
    def dead(self) -> Match:
        """Dead neurons of both sides."""
        return Match(self.dead_x, self.dead_y)

    def __repr__(self) -> str:
        return f"GramMatrix(n_x={self.n_x}, n_y={self.n_y}, n_samples={self.n_samples})"


def _refuse(side: Side, chunk: AnyArray, squares: FloatArray) -> None:
    """Raise when it is this side whose products are not finite."""
    peaks = np.maximum(
        np.abs(chunk.min(axis=0).astype(np.float64)), np.abs(chunk.max(axis=0).astype(np.float64))
    )
    broken = np.flatnonzero(~np.isfinite(peaks))
    if broken.size:
        value = "NaN" if np.isnan(peaks[broken[0]]) else "infinity"
        raise InputValueError(
            f"`{side}` must be finite, got {value} in neuron {broken[0]}; "
            "remove the samples or repair the network"
        )
    with np.errstate(over="ignore"):
        bounds = squares + len(chunk) * peaks**2
    broken = np.flatnonzero(~np.isfinite(bounds))
    if broken.size:
        raise InputValueError(
            f"`{side}` must be small enough for its products to stay finite, got {peaks[broken[0]]:.3g} "
            f"in neuron {broken[0]}; divide that side by a constant, which changes no match"
        )


def _add_products(x: AnyArray, y: AnyArray, lower: FloatArray, roundings: int) -> tuple[FloatArray, int]:
    """Add the Gram matrix of [x y 1] to a lower triangle, in place; return it and its roundings."""
    size, n_x = len(lower), x.shape[1]
    rows = min(len(x), max(64, BLOCK_BYTES // (8 * size)))
    joint = np.ones((rows, size))
    for start in range(0, len(x), rows):
        block = joint[: len(x) - start]
        block[:, :n_x] = x[start : start + rows]
        block[:, n_x:-1] = y[start : start + rows]
        lower = add_products(block, lower)
        roundings = max(roundings, min(len(block), ROWS_BY_THEMSELVES)) + -(-len(block) // ROWS_BETWEEN)
    return lower, roundings
