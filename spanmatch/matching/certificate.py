"""How far a residual from a Gram matrix can be from the true one.

Apart from the residuals, because fresh and updated ones are certified by the same formula.
"""

import math

import numpy as np

from spanmatch.matching.gram import FloatArray

EPS = float(np.finfo(np.float64).eps)
# The smallest epsilon above 0 that has a meaning: residuals up to this cannot be told from zero in a Gram
# matrix, whose entries carry rounding errors of up to its square. With this one constant, rank and epsilon 0
# have a meaning.
SMALLEST_EPSILON = 1e-6


def entry_error(n_samples: int) -> float:
    """Bound the error of an entry of a unit-diagonal Gram matrix.

    Rounding errors of an inner product add up like the square root of its length (Higham and Mary 2019), or,
    where they all have one sign, like the length of the blocks in which BLAS sums. The constant covers both:
    columns that are constant, the worst known, reach half of it.
    """
    return EPS * (8 + 2 * math.sqrt(n_samples))


def arithmetic_error(size: int) -> float:
    """Bound the error that a factorisation or update of so many neurons adds to an entry."""
    return EPS * (8 + 2 * math.sqrt(size))


def squared_error(weight: FloatArray, per_entry: float) -> FloatArray:
    """Bound the errors of squared relative residuals.

    The squared residual is the minimum over w of (w, -1)ᵀ G (w, -1). An error of at most e in each entry of G
    changes that form by at most e · (1 + |w|₁)², and so its minimum by no more than at the minimising w.

    Parameters
    ----------
    weight : ndarray
        Sums of the absolute regression weights, |w|₁.
    per_entry : float
        Error of an entry of the Gram matrix, e.
    """
    bounds: FloatArray = per_entry * (1 + weight) ** 2
    return bounds


def interval(squared: FloatArray, error: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bound the true relative residuals.

    Parameters
    ----------
    squared, error : ndarray
        Squared relative residuals and their errors.
    shift : ndarray
        By how much the residuals move with the choice of a basis in a span whose rank was cut.

    Returns
    -------
    low, high : ndarray
        The true residuals lie between, within [0, 1].
    """
    low = np.clip(np.sqrt(np.maximum(squared - error, 0)) - shift, 0, 1)
    high = np.clip(np.sqrt(squared + error) + shift, 0, 1)
    return low, high


def cut(residuals: FloatArray) -> FloatArray:
    """Set those that cannot be told from zero to zero."""
    kept: FloatArray = np.where(residuals <= SMALLEST_EPSILON, 0.0, residuals)
    return kept
