"""An uncentred Gram matrix that was kept somewhere, and what is known of its co-moments."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputValueError
from spanmatch.matching.certificate import SMALLEST_EPSILON
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.parts import check_products, float64_array, whole_number


@dataclass(frozen=True, eq=False)
class KeptProducts:
    """Uncentred inner products of both sides' neurons, x before y, as they were kept.

    Attributes
    ----------
    matrix : ndarray, (n_x + n_y, n_x + n_y)
        Joint Gram matrix.
    sums : ndarray, (n_x + n_y,)
        Sum of each neuron's activations.
    n_samples, roundings : int
        Samples seen, and additions behind any product or sum.
    """

    matrix: FloatArray
    sums: FloatArray
    n_samples: int
    roundings: int

    def __add__(self, other: "KeptProducts") -> "KeptProducts":
        return KeptProducts(
            self.matrix + other.matrix,
            self.sums + other.sums,
            self.n_samples + other.n_samples,
            max(self.roundings, other.roundings) + 1,
        )

    def merged(
        self, x: CoMoments, y: CoMoments, xy: CoMoments
    ) -> tuple[tuple[CoMoments, CoMoments, CoMoments], int]:
        """Return co-moments of other samples with those of these, and the roundings of what has cancelled.

        Neurons within 1e-6 of their mean, relatively, count as constant: their co-moments are zero.
        """
        mean, count = self.sums / self.n_samples, self.n_samples
        products = self.matrix - np.multiply.outer(mean, mean) * count
        means = np.stack((mean, np.zeros_like(mean)))
        of_x, of_y = slice(None, x.n_x), slice(x.n_x, None)
        sides = (of_x, of_x), (of_y, of_y), (of_x, of_y)
        own_x, own_y, both = (
            part + CoMoments(products[one, other], means[:, one], means[:, other], count, 0)
            for part, (one, other) in zip((x, y, xy), sides, strict=True)
        )
        squares = np.concatenate((own_x.products.diagonal(), own_y.products.diagonal()))
        before = self.matrix.diagonal()
        constant = squares <= SMALLEST_EPSILON**2 * before
        for part, (one, other) in zip((own_x, own_y, both), sides, strict=True):
            part.products[constant[one]] = 0
            part.products[:, constant[other]] = 0
        lost = float((before[~constant] / squares[~constant]).max(initial=0.0))
        return (own_x, own_y, both), math.ceil(lost * (6 * self.roundings + 8))


def checked_parts(
    matrix: ArrayLike, sums: ArrayLike, n_samples: int, n_x: int, roundings: int | None
) -> KeptProducts:
    """Return a kept Gram matrix, or raise as `GramMatrix.from_parts`, which takes the same."""
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
        raise InputValueError("`matrix` and `sums` must be finite, got NaN or infinity; compute them again")
    if not np.array_equal(whole, whole.T):
        raise InputValueError(
            "`matrix` must be symmetric, got one that is not; pass the `matrix` of a GramMatrix"
        )
    check_products(whole, totals, n_samples, depth)
    return KeptProducts(whole.copy(), totals.copy(), n_samples, depth)
