"""The sufficient statistic: co-moments and means of all pairs of neurons, merged as samples stream by.

Searches see activations only through it, as inner products that are uncentred, or `GramMatrix.centred`.
"""

import math
import operator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputValueError
from spanmatch.matching.certificate import EPS
from spanmatch.matching.comoments import CoMoments, merged_roundings
from spanmatch.matching.dead import is_live
from spanmatch.matching.deviations import blocks, deviations, turned
from spanmatch.matching.inputs import AnyArray, FloatArray, paired_activations, refuse_values
from spanmatch.matching.kept_products import KeptProducts, checked_parts
from spanmatch.matching.match import Indices, Match
from spanmatch.matching.parts import whole_number
from spanmatch.matching.row_moments import RowMoments

Rows: TypeAlias = tuple[RowMoments, RowMoments, RowMoments]


class GramMatrix:
    """Uncentred Gram matrix of the activations of two layers, in float64, and their column sums.

    An accumulator: start from `zeros`, `update` with chunks of samples, add accumulators of other chunks with
    ``+``. Memory is O((n_x + n_y)²) however many samples pass; an update costs n_samples · (n_x + n_y)²
    flops. What is summed are co-moments (`CoMoments`), so that `centred` loses no digits to an offset.

    Attributes
    ----------
    n_x, n_y : int
        Numbers of neurons of the two sides.
    """

    def __init__(
        self,
        x: CoMoments,
        y: CoMoments,
        xy: CoMoments,
        kept: KeptProducts | None = None,
        centrings: int = 0,
        marks: FloatArray | None = None,
        rows: Rows | None = None,
    ) -> None:
        self._parts = x, y, xy
        self._rows = rows
        self._kept = kept
        self._centrings = centrings
        self._marks = marks
        self.n_x, self.n_y = xy.n_x, xy.n_y

    @classmethod
    def zeros(cls, n_x: int, n_y: int, *, rows: bool = False) -> "GramMatrix":
        """Return an accumulator that has seen no sample.

        Parameters
        ----------
        n_x, n_y : int
            Numbers of neurons of the two sides, at least 1.
        rows : bool, optional
            Whether to sum row moments, too, which debiased measures need: see `rows`.

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
        x, y, xy = CoMoments.zeros(n_x, n_x), CoMoments.zeros(n_y, n_y), CoMoments.zeros(n_x, n_y)
        of_rows = (
            (RowMoments.zeros(n_x, n_x), RowMoments.zeros(n_y, n_y), RowMoments.zeros(n_x, n_y))
            if rows
            else None
        )
        return cls(x, y, xy, marks=np.zeros((2, n_x + n_y)), rows=of_rows)

    @classmethod
    def from_activations(cls, x: ArrayLike, y: ArrayLike, *, rows: bool = False) -> "GramMatrix":
        """Return the Gram matrix of activations that are in memory.

        Parameters
        ----------
        x, y : array_like, (n_samples, n_x) and (n_samples, n_y)
            Activations of the two layers on the same samples in the same order; any real dtype. Row labels of
            data frames (pandas) and xarrays are compared where both sides have them.
        rows : bool, optional
            As in `zeros`.

        Raises
        ------
        TypeError, ValueError
            As `update`.

        Examples
        --------
        >>> import numpy as np
        >>> from spanmatch import GramMatrix
        >>> x, y = np.random.default_rng(0).standard_normal((2, 1000, 5))
        >>> GramMatrix.from_activations(x, y[:, :3]).xy.shape
        (5, 3)
        """
        x, y = paired_activations(x, y)
        gram = cls.zeros(x.shape[1], y.shape[1], rows=rows)
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
        n_x = whole_number("n_x", n_x, "pass the count kept with the matrix")
        kept = checked_parts(matrix, sums, n_samples, n_x, roundings)
        gram = cls.zeros(n_x, kept.sums.size - n_x)
        gram._kept, gram._marks = kept, None
        return gram

    @classmethod
    def from_comoments(
        cls, x: CoMoments, y: CoMoments, xy: CoMoments, *, rows: Rows | None = None
    ) -> "GramMatrix":
        """Return the Gram matrix of two layers from each one's own co-moments and those between them.

        Parameters
        ----------
        x, y : CoMoments, (n_x, n_x) and (n_y, n_y)
            Co-moments of either layer with itself. They are not copied.
        xy : CoMoments, (n_x, n_y)
            Co-moments between both. Blocks may have been merged in any order.
        rows : tuple of RowMoments, optional
            Row moments of the same samples: of x with itself, of y with itself, between both.

        Raises
        ------
        ValueError
            When they are not of the same neurons and samples: numbers must agree, and means up to their
            rounding errors.
        """
        shapes, counts = (
            [part.products.shape for part in (x, y, xy)],
            [x.n_samples, y.n_samples, xy.n_samples],
        )
        if shapes != [(xy.n_x, xy.n_x), (xy.n_y, xy.n_y), (xy.n_x, xy.n_y)]:
            raise InputValueError(
                f"`x`, `y` and `xy` must be of n_x by n_x, n_y by n_y and n_x by n_y neurons, got {shapes}; "
                "pass what belongs to one pair of layers"
            )
        if len(set(counts)) > 1:
            raise InputValueError(
                f"`x`, `y` and `xy` must be of the same samples, got {counts} samples; update all three with "
                "each block"
            )
        for name, own, mean in (("x", x, xy.mean_x), ("y", y, xy.mean_y)):
            apart = np.abs((own.mean_x - mean).sum(axis=0))
            error = EPS * merged_roundings(own.roundings, xy.roundings) * np.sqrt(own.products.diagonal())
            if (differ := np.flatnonzero(apart * math.sqrt(xy.n_samples) > error)).size:
                raise InputValueError(
                    f"`{name}` and `xy` must be of the same samples, got means that differ in neuron "
                    f"{differ[0]} of that side; update all three with each block"
                )
        for part, of_rows in zip((x, y, xy), rows or (), strict=rows is not None):
            got, want = ((each.n_x, each.n_y, each.n_samples) for each in (of_rows, part))
            if got != want:
                raise InputValueError(
                    f"`rows` must be of the neurons and samples of the co-moments, {want}, got {got}; pass "
                    "what was summed with them"
                )
        return cls(x, y, xy, rows=rows)

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
        Costs n_samples · (n_x + n_y)² flops: of a layer with itself, one triangle only is computed.

        Examples
        --------
        >>> import numpy as np
        >>> from spanmatch import GramMatrix
        >>> gram = GramMatrix.zeros(5, 5)
        >>> for x, y in np.random.default_rng(0).standard_normal((10, 2, 100, 5)):  # chunks of 100 samples
        ...     gram.update(x, y)
        >>> gram.n_samples
        1000
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
        own_x, own_y, both = (part.copy() for part in self._parts)
        marks = self._marks
        rows = self._rows
        with np.errstate(all="ignore"):
            room: list[FloatArray | None] = [None, None]
            for x_block, y_block in zip(blocks(x), blocks(y), strict=True):
                of_x = deviations(x_block, room[0])
                of_y = deviations(y_block, room[1])
                if marks is not None:
                    marks = marks + np.hstack((of_x.marks(both.n_samples), of_y.marks(both.n_samples)))
                own_x.update(of_x, of_x)
                own_y.update(of_y, of_y)
                both.update(of_x, of_y)
                room = [of_x.filled, of_y.filled]
            # A sum of squares is finite only if all values are: seen here at no cost.
            if not np.isfinite(GramMatrix(own_x, own_y, both, self._kept)._squares()).all():
                squares = self._squares()
                refuse_values("x", x, squares[: self.n_x])
                refuse_values("y", y, squares[self.n_x :])
        if rows is not None:
            rows = _with_rows(rows, x, y)
        self._parts, self._marks, self._rows = (own_x, own_y, both), marks, rows

    def __add__(self, other: "GramMatrix") -> "GramMatrix":
        if not isinstance(other, GramMatrix):
            return NotImplemented
        if (self.n_x, self.n_y) != (other.n_x, other.n_y):
            raise InputValueError(
                "GramMatrix objects must have equal `n_x` and `n_y` to be added, got "
                f"{self.n_x} + {self.n_y} and {other.n_x} + {other.n_y} neurons; "
                "add chunks of one pair of layers only"
            )
        x, y, xy = (one + another for one, another in zip(self._parts, other._parts, strict=True))
        kept = self._kept or other._kept
        if self._kept and other._kept:
            kept = self._kept + other._kept
        marks = None
        if self._marks is not None and other._marks is not None:
            marks = self._marks + turned(other._marks, self.n_samples)
        rows = None
        if self._rows is not None and other._rows is not None:
            both = zip(self._rows, self._parts, other._rows, other._parts, strict=True)
            of_x, of_y, of_both = (RowMoments.merged([(a, of_a), (b, of_b)]) for a, of_a, b, of_b in both)
            rows = of_x, of_y, of_both
        return GramMatrix(x, y, xy, kept, self._centrings + other._centrings, marks, rows)

    @property
    def comoments(self) -> tuple[CoMoments, CoMoments, CoMoments]:
        """Co-moments of x, of y and between them, not copied, of all samples that `update` added."""
        return self._parts

    @property
    def rows(self) -> Rows | None:
        """Row moments of x, of y and between them, about the means; None where they were not summed."""
        if self._rows is None or self._kept is not None:
            return None
        x, y, xy = (
            RowMoments.merged([(rows, part)]) for rows, part in zip(self._rows, self._parts, strict=True)
        )
        return x, y, xy

    @property
    def without_rows(self) -> "GramMatrix":
        """The same without row moments, not copied: what needs none adds up faster."""
        return GramMatrix(*self._parts, self._kept, self._centrings, self._marks)

    @property
    def n_samples(self) -> int:
        """Samples seen so far."""
        return self._parts[2].n_samples + (self._kept.n_samples if self._kept else 0)

    @property
    def degrees_of_freedom(self) -> int:
        """Dimensions that activation vectors lie in: `n_samples`, less one where means were subtracted."""
        return max(self.n_samples - self._centrings, 0)

    @property
    def marks(self) -> FloatArray | None:
        """Two numbers of each neuron, x before y, (2, n_x + n_y), that differ where activations do.

        They tell neurons apart whose inner products are alike. None where the statistic was kept or given,
        or is a sum with such a one. In a sum, the samples of the second summand come after those of the
        first. docs/theory.md says what they are.
        """
        return self._marks

    @property
    def roundings(self) -> int:
        """Bound of the rounding error of any inner product, in 2⁻⁵³ of the product of the two lengths."""
        summed = max(part.roundings for part in self._parts)
        if any(part.mean_x.any() for part in self._parts[:2]):
            summed = merged_roundings(summed)
        if self._kept is None:
            return summed
        return max(summed, self._kept.roundings) + (1 if self._parts[2].n_samples else 0)

    @property
    def centred(self) -> "GramMatrix":
        """Gram matrix of the activations less each neuron's mean, which any function takes like this one.

        `matrix` holds the co-moments, `sums` are zero, and constant neurons are dead. A matrix that was kept
        uncentred (`from_parts`) has lost digits to the means: `roundings` grow as squared lengths exceed the
        centred ones, and neurons within 1e-6 of their mean, relatively, count as constant.
        """
        parts, beyond = self._parts, 0
        if self._kept and self._kept.n_samples:
            parts, beyond = self._kept.merged(*parts)
        x, y, xy = (part.without_means(beyond) for part in parts)
        rows = self.rows
        about_zero = (
            None if rows is None else (rows[0].about_zero(), rows[1].about_zero(), rows[2].about_zero())
        )
        return GramMatrix(x, y, xy, centrings=max(self._centrings, 1), marks=self._marks, rows=about_zero)

    @property
    def matrix(self) -> FloatArray:
        """Joint Gram matrix of [x y], (n_x + n_y, n_x + n_y), symmetric; a new array."""
        xy = self.xy
        return np.block([[self.xx, xy], [xy.T, self.yy]])

    @property
    def xx(self) -> FloatArray:
        """Inner products of the x neurons, (n_x, n_x)."""
        return self._uncentred(0, slice(None, self.n_x), slice(None, self.n_x))

    @property
    def yy(self) -> FloatArray:
        """Inner products of the y neurons, (n_y, n_y)."""
        return self._uncentred(1, slice(self.n_x, None), slice(self.n_x, None))

    @property
    def xy(self) -> FloatArray:
        """Inner products of x neurons (rows) and y neurons (columns), (n_x, n_y)."""
        return self._uncentred(2, slice(None, self.n_x), slice(self.n_x, None))

    def _uncentred(self, part: int, rows: slice, columns: slice) -> FloatArray:
        products = self._parts[part].uncentred()
        return products if self._kept is None else products + self._kept.matrix[rows, columns]

    @property
    def sums(self) -> FloatArray:
        """Sum of each neuron's activations, x before y, (n_x + n_y,); a new array."""
        x, y, _ = self._parts
        sums: FloatArray = np.hstack((x.mean_x, y.mean_x)).sum(axis=0) * x.n_samples
        return sums if self._kept is None else sums + self._kept.sums

    @property
    def norms(self) -> FloatArray:
        """Length of each neuron's activation vector, x before y, (n_x + n_y,)."""
        lengths: FloatArray = np.sqrt(self._squares())
        return lengths

    def _squares(self) -> FloatArray:
        squares = np.concatenate([part.squares() for part in self._parts[:2]])
        return squares if self._kept is None else squares + self._kept.matrix.diagonal()

    @property
    def dead_x(self) -> Indices:
        """Dead x neurons, in order."""
        return np.flatnonzero(~is_live(self.norms[: self.n_x]))

    @property
    def dead_y(self) -> Indices:
        """Dead y neurons, in order."""
        return np.flatnonzero(~is_live(self.norms[self.n_x :]))

    @property
    def dead(self) -> Match:
        """Dead neurons of both sides."""
        return Match(self.dead_x, self.dead_y)

    def __repr__(self) -> str:
        return f"GramMatrix(n_x={self.n_x}, n_y={self.n_y}, n_samples={self.n_samples})"


def _with_rows(rows: Rows, x: AnyArray, y: AnyArray) -> Rows:
    """Return row moments to which samples are added, leaving those given as they were."""
    own_x, own_y, both = (part.copy() for part in rows)
    for x_block, y_block in zip(blocks(x), blocks(y), strict=True):
        own_x.update(x_block, x_block)
        own_y.update(y_block, y_block)
        both.update(x_block, y_block)
    return own_x, own_y, both
