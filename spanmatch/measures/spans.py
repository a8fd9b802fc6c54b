"""What the centred neurons of a layer span, and its canonical correlations with the span of another."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dtrmm, dtrsm

from spanmatch.matching.certificate import EPS
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import independent, solve_lower
from spanmatch.measures.spectrum import spectrum

# Squared canonical correlations below this are computed again, from what they correlate in: an eigenvalue
# errs by a rounding of the largest, and its root by more the smaller it is.
SMALL = 1e-4
# What a sum of roots of eigenvalues may err by, relatively; eigenvalues do by a rounding of the largest.
LOST = 1e-12
# Of singular values, the share that is found anew from eigenvectors; beyond it, all are found anew.
RESCUED = 0.125
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
        chosen = np.take(products, self.neurons, axis=0)  # row by row, which is column by column for BLAS
        chosen /= self.deviations[:, None]
        solved: FloatArray = dtrsm(1.0, self.lower.T, chosen.T, side=1, overwrite_b=1)
        return solved.T

    def combined(self, weights: FloatArray) -> FloatArray:
        """Return coordinates, (rank, m), of combinations of the neurons, weights in columns, (n, m).

        The neurons are independent: the rank is n.
        """
        combined: FloatArray = dtrmm(1.0, self.lower.T, weights[self.neurons] * self.deviations[:, None])
        return combined

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
    correlations = (own if varying.size == len(own) else own[np.ix_(varying, varying)]) / deviations
    correlations /= deviations[:, None]
    np.fill_diagonal(correlations, 1.0)
    basis, lower = independent(correlations.T)  # as LAPACK stores it
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
    cross : ndarray, (rank, m)
        Inner products of the bases of the other span and of the smaller one.
    of_x : bool
        Whether the smaller span is that of x.
    """

    correlations: FloatArray
    directions: FloatArray
    cross: FloatArray
    of_x: bool

    @property
    def partners(self) -> FloatArray:
        """Coordinates in the other span of what correlates, times the correlations, (rank, m)."""
        return self.cross @ self.directions


def canonical(cross: FloatArray) -> Canonical:
    """Return the canonical correlations of two spans, from the inner products of their bases, (rank, rank).

    Notes
    -----
    Costs a symmetric eigendecomposition, of the size of the smaller span, and some products.
    """
    if of_x := len(cross) <= len(cross.T):
        cross = cross.T
    squares, directions = np.linalg.eigh(cross.T @ cross)
    correlations = np.sqrt(np.maximum(squares, 0))
    if small := np.count_nonzero(squares < SMALL):
        turn, values, _ = np.linalg.svd((cross @ directions[:, :small]).T, full_matrices=False)
        directions[:, :small] = directions[:, :small] @ turn
        correlations[:small] = values
    return Canonical(np.minimum(correlations, 1.0), directions, cross, of_x)


def nuclear_norm(matrix: FloatArray) -> float:
    """Return the sum of the singular values of a matrix.

    They are roots of eigenvalues, in half the time. Of those that are so small that the sum would lose
    digits, it takes the singular values of what their eigenvectors are mapped to; of all, where these are
    many.
    """
    tall = matrix if len(matrix) >= len(matrix.T) else matrix.T
    found = spectrum(tall.T @ tall)
    values = np.sqrt(np.maximum(found.values, 0))
    with np.errstate(divide="ignore", invalid="ignore"):  # of a matrix of zeros nothing is clear
        errors = np.cumsum(EPS * values[-1] ** 2 / values[::-1])[::-1]
    small = values.size - int(np.count_nonzero(errors <= LOST * values.sum()))
    if small > RESCUED * values.size:
        return float(np.linalg.svd(matrix, compute_uv=False).sum())
    total = float(values[small:].sum())
    if small:
        mapped: FloatArray = tall @ found.vectors(0, small)
        total += float(np.linalg.svd(mapped, compute_uv=False).sum())
    return total
