"""Centred co-moments of two layers, merged pairwise: no offset of a neuron costs them digits."""

import math

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputValueError
from spanmatch.matching.deviations import SLAB_BYTES, Deviations, two_sum
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.parts import float64_array, whole_number

# What a merge adds to `roundings`, and the least that it starts from: docs/theory.md has the proof.
OF_MERGE, LEAST_MERGED = 6, 64


class CoMoments:
    """Sum over samples of (x - mean of x)(y - mean of y)ᵀ of two layers, or of one with itself, in float64.

    An accumulator: start from `zeros`, `update` with blocks, add those of other samples with ``+``. After
    Chan, Golub and LeVeque 1979, *Updating formulae and a pairwise algorithm for computing sample variances*.

    Attributes
    ----------
    products : ndarray, (n_x, n_y)
        The co-moments. Of a layer with itself they are symmetric to the last bit.
    mean_x, mean_y : ndarray, (2, n_x) and (2, n_y)
        Means, each a sum that is not carried out: a value and what it lacks.
    n_samples : int
        Samples seen so far.
    roundings : int
        What bounds the rounding errors: each co-moment errs by at most so many times 2⁻⁵³ of the product of
        the roots of both neurons' co-moments with themselves.
    """

    def __init__(
        self, products: FloatArray, mean_x: FloatArray, mean_y: FloatArray, n_samples: int, roundings: int
    ) -> None:
        self.products = products
        self.mean_x = mean_x
        self.mean_y = mean_y
        self.n_samples = n_samples
        self.roundings = roundings

    @classmethod
    def zeros(cls, n_x: int, n_y: int) -> "CoMoments":
        """Return an accumulator of n_x and n_y neurons that has seen no sample."""
        return cls(np.zeros((n_x, n_y)), np.zeros((2, n_x)), np.zeros((2, n_y)), 0, 0)

    @classmethod
    def from_parts(
        cls, products: ArrayLike, mean_x: ArrayLike, mean_y: ArrayLike, n_samples: int, roundings: int
    ) -> "CoMoments":
        """Return the co-moments whose attributes of these names were kept somewhere.

        Raises
        ------
        TypeError
            When an array is not of float64, or a count is no whole number.
        ValueError
            When shapes do not fit, a value is not finite, or a count is negative.
        """
        arrays = {"products": products, "mean_x": mean_x, "mean_y": mean_y}
        kept = {name: float64_array(name, values) for name, values in arrays.items()}
        if kept["products"].ndim != 2:
            raise InputValueError(
                f"`products` must be two-dimensional, got shape {kept['products'].shape}; pass those of a "
                "CoMoments"
            )
        for name, count in zip(("mean_x", "mean_y"), kept["products"].shape, strict=True):
            if kept[name].shape != (2, count):
                raise InputValueError(
                    f"`{name}` must have shape (2, {count}), as many columns as that side has neurons, got "
                    f"{kept[name].shape}; pass the `{name}` that was kept beside `products`"
                )
        for name, array in kept.items():
            if not np.isfinite(array).all():
                raise InputValueError(f"`{name}` must be finite, got NaN or infinity; compute it again")
        numbers = {"n_samples": n_samples, "roundings": roundings}
        for name, number in numbers.items():
            if whole_number(name, number, "pass the count kept with the products") < 0:
                raise InputValueError(
                    f"`{name}` must be at least 0, got {number}; pass the count kept with the products"
                )
        return cls(kept["products"], kept["mean_x"], kept["mean_y"], int(n_samples), int(roundings))

    @property
    def n_x(self) -> int:
        """Neurons of the first layer."""
        return len(self.products)

    @property
    def n_y(self) -> int:
        """Neurons of the second layer."""
        return len(self.products.T)

    def update(self, x: Deviations, y: Deviations, products: FloatArray | None = None) -> None:
        """Add a block of samples; the same object twice for a layer with itself.

        Parameters
        ----------
        x, y : Deviations
            Of the block.
        products : ndarray, (n_x, n_y), optional
            Their inner products, where they are known (`side_by_side.products`).

        Raises
        ------
        ValueError
            When numbers of samples or of neurons do not fit.

        Notes
        -----
        Costs n_samples · n_x · n_y multiplications and additions, half of that for a layer with itself; NumPy
        lets other threads go on meanwhile.
        """
        if x.n_samples != y.n_samples or (x.shift.size, y.shift.size) != self.products.shape:
            raise InputValueError(
                f"`x` and `y` must be blocks of equally many samples, of {self.n_x} and {self.n_y} neurons, "
                f"got {x.n_samples} and {y.n_samples} samples of {x.shift.size} and {y.shift.size}; pass "
                "`deviations` of the same samples of the layers that these CoMoments are of"
            )
        mean_x = np.stack((x.shift, x.remainder))
        mean_y = mean_x if x is y else np.stack((y.shift, y.remainder))
        roundings = max(x.roundings, y.roundings)
        if products is None:
            products = x.products(y)
        elif self.n_samples == 0:  # it is kept, and may be a part of another
            products = products.copy()
        self._merge(CoMoments(products, mean_x, mean_y, x.n_samples, roundings))

    def __add__(self, other: "CoMoments") -> "CoMoments":
        if not isinstance(other, CoMoments):
            return NotImplemented
        if self.products.shape != other.products.shape:
            raise InputValueError(
                "CoMoments must be of as many neurons to be added, got shapes "
                f"{self.products.shape} and {other.products.shape}; add those of one pair of layers only"
            )
        if self.n_samples == 0 or other.n_samples == 0:
            return (self if other.n_samples == 0 else other).copy()
        return self._merged(other, np.empty_like(self.products))

    def copy(self) -> "CoMoments":
        """Return an independent copy."""
        if self.n_samples == 0:
            return CoMoments.zeros(self.n_x, self.n_y)
        return CoMoments(self.products.copy(), self.mean_x, self.mean_y, self.n_samples, self.roundings)

    def without_means(self, further_roundings: int) -> "CoMoments":
        """Return the co-moments, not copied, of activations less their means, and so many more roundings."""
        zeros = np.zeros_like(self.mean_x), np.zeros_like(self.mean_y)
        return CoMoments(self.products, *zeros, self.n_samples, self.roundings + further_roundings)

    def uncentred(self) -> FloatArray:
        """Return the sum over samples of x yᵀ, (n_x, n_y), a new array."""
        of_means: FloatArray = np.multiply.outer(self.mean_x.sum(axis=0), self.mean_y.sum(axis=0))
        of_means *= self.n_samples
        of_means += self.products
        return of_means

    def squares(self) -> FloatArray:
        """Return the diagonal of `uncentred` of a layer with itself: squared lengths."""
        means = self.mean_x.sum(axis=0)
        squares: FloatArray = means * means * self.n_samples + self.products.diagonal()
        return squares

    def _merge(self, other: "CoMoments") -> None:
        """Add those of other samples, whose array of products may be taken over."""
        merged = other if self.n_samples == 0 else self._merged(other, self.products)
        self.__dict__.update(merged.__dict__)

    def _merged(self, other: "CoMoments", products: FloatArray) -> "CoMoments":
        """Return the sum with those of other samples, with its products in an array that may be ours."""
        total = self.n_samples + other.n_samples
        weight = math.sqrt(self.n_samples) * math.sqrt(other.n_samples / total)
        apart_x, mean_x = _moved(self.mean_x, self.n_samples, other.mean_x, other.n_samples)
        apart_y, mean_y = _moved(self.mean_y, self.n_samples, other.mean_y, other.n_samples)
        _add_products(self.products, other.products, weight * apart_x, weight * apart_y, products)
        return CoMoments(products, mean_x, mean_y, total, merged_roundings(self.roundings, other.roundings))


def merged_roundings(*roundings: int) -> int:
    """Return the `roundings` of a sum of co-moments, or of co-moments and the products of means."""
    return max(*roundings, LEAST_MERGED) + OF_MERGE


def _moved(one: FloatArray, n_one: int, other: FloatArray, n_other: int) -> tuple[FloatArray, FloatArray]:
    """Return how far apart two means are, and their mean: that of more samples, moved towards the other."""
    apart = (other[0] - one[0]) + (other[1] - one[1])
    share = min(n_one, n_other) / (n_one + n_other)
    near, step = (one, apart * share) if n_one >= n_other else (other, -apart * share)
    shift, lost = two_sum(near[0], step)
    return apart, np.array(two_sum(shift, lost + near[1]))


def _add_products(one: FloatArray, other: FloatArray, x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """Add two arrays of products and the outer product of x and y, in blocks of rows that stay in cache."""
    rows = max(1, SLAB_BYTES // (16 * y.size))
    for start in range(0, x.size, rows):
        part = slice(start, start + rows)
        outer = np.multiply.outer(x[part], y)
        outer += other[part]
        np.add(one[part], outer, out=out[part])
