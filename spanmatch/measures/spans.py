"""What the centred neurons of a layer span, and its canonical correlations with the span of another."""

from dataclasses import dataclass

import numpy as np

from spanmatch.matching.certificate import EPS
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import independent, solve_lower

# Squared canonical correlations below this are computed again, from what they correlate in: an eigenvalue
# errs by a rounding of the largest, and its root by more the smaller it is.
SMALL = 1e-8
# What a sum of roots of eigenvalues may err by, relatively; eigenvalues do by a rounding of the largest.
LOST = 1e-12
# Correlations up to this are none: the direction that they belong to is that of rounding errors.
NONE = 1e-9


@dataclass(frozen=True, eq=False)
class Span:
    """An orthonormal basis of what the neurons of a layer span, less their means.

    Attributes
    ----------
    neurons : ndarray of int, (rank,)
        Some that span what all span, by pivoted Cholesky: relative residuals of the others are 1e-6 at most.
    deviations : ndarray, (rank,)
        Lengths of their centred activations.
    lower : ndarray, (rank, rank)
        Cholesky factor of the matrix of their correlations.
    """

    neurons: Indices
    deviations: FloatArray
    lower: FloatArray

    @property
    def rank(self) -> int:
        """Dimensions of the span."""
        return self.neurons.size

    def coordinates(self, products: FloatArray) -> FloatArray:
        """Return inner products of the basis with vectors, (rank, m), from those of the neurons, (n, m)."""
        return solve_lower(self.lower, products[self.neurons] / self.deviations[:, None])

    def own_coordinates(self, own: FloatArray) -> FloatArray:
        """Return inner products of the basis with the neurons themselves, (rank, n), in any order."""
        rest = np.delete(np.arange(len(own)), self.neurons)
        return np.hstack((self.lower.T * self.deviations, self.coordinates(own[:, rest])))

    def weights(self, directions: FloatArray, n: int) -> FloatArray:
        """Return coefficients of the neurons, (n, m), that give vectors of these coordinates, (rank, m)."""
        weights = np.zeros((n, directions.shape[1]))
        chosen = solve_lower(self.lower, directions, transposed=True)
        weights[self.neurons] = chosen / self.deviations[:, None]
        return weights


def span(own: FloatArray) -> Span:
    """Return what neurons span, from their centred co-moments, (n, n); constant ones span nothing."""
    varying = np.flatnonzero(own.diagonal() > 0)
    deviations = np.sqrt(own.diagonal()[varying])
    correlations = own[np.ix_(varying, varying)]
    correlations /= deviations
    correlations /= deviations[:, None]
    np.fill_diagonal(correlations, 1.0)
    basis, lower = independent(correlations)
    return Span(varying[basis], deviations[basis], lower)


@dataclass(frozen=True, eq=False)
class Canonical:
    """Canonical correlations of two spans: as many as the smaller one has dimensions.

    Attributes
    ----------
    correlations : ndarray, (m,)
        In [0, 1].
    directions : ndarray, (m, m)
        In columns, coordinates in the smaller span of what correlates; x where both are equally large.
    partners : ndarray, (rank, m)
        Coordinates in the other span of the same, times the correlations.
    of_x : bool
        Whether the smaller span is that of x.
    """

    correlations: FloatArray
    directions: FloatArray
    partners: FloatArray
    of_x: bool


def canonical(x: Span, y: Span, along_x: FloatArray) -> Canonical:
    """Return the canonical correlations, from the coordinates of all y neurons in the span of x, (rank, n_y).

    Notes
    -----
    Costs a symmetric eigendecomposition, of the size of the smaller span, and some products.
    """
    cross = y.coordinates(along_x.T).T
    if of_x := x.rank <= y.rank:
        cross = cross.T
    _, directions = np.linalg.eigh(cross.T @ cross)
    partners = cross @ directions
    squares = np.einsum("ij,ij->j", partners, partners)
    correlations = np.sqrt(squares)
    if (small := np.flatnonzero(squares < SMALL)).size:
        turn, values, left = np.linalg.svd(partners[:, small].T, full_matrices=False)
        directions[:, small] = directions[:, small] @ turn
        partners[:, small] = (left * values[:, None]).T
        correlations[small] = values
    return Canonical(np.minimum(correlations, 1.0), directions, partners, of_x)


def nuclear_norm(matrix: FloatArray) -> float:
    """Return the sum of the singular values of a matrix.

    They are roots of eigenvalues, in half the time, unless so many are so small that the sum loses digits.
    """
    squares = np.linalg.eigvalsh(matrix.T @ matrix if len(matrix) >= len(matrix.T) else matrix @ matrix.T)
    if squares[0] > 0:
        values = np.sqrt(squares)
        if EPS * squares[-1] * np.sum(1 / values) <= LOST * np.sum(values):
            return float(np.sum(values))
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
