"""How far a residual from a Gram matrix can be from the true one, for fresh and for updated residuals."""

import math

import numpy as np

from spanmatch.matching.inputs import FloatArray

EPS = float(np.finfo(np.float64).eps)
# The smallest epsilon above 0 that has a meaning: residuals up to this cannot be told from zero in a Gram
# matrix, whose entries carry rounding errors of up to its square. With this one constant, rank and epsilon 0
# have a meaning.
SMALLEST_EPSILON = 1e-6


# Singular values between these are too close to that rank cut to tell whether they count.
NIL, CLEAR = SMALLEST_EPSILON / 10, SMALLEST_EPSILON * 10


def entry_error(roundings: int) -> float:
    """Bound the error of an entry of a unit-diagonal Gram matrix.

    Each rounding errs by EPS / 2 of the product of the lengths, at most. No smaller constant will do: where
    all chunks are equal, all errors have one sign. The 8 covers what scaling to unit length adds.

    Parameters
    ----------
    roundings : int
        `GramMatrix.roundings`: docs/theory.md has the proof.
    """
    return EPS * (8 + roundings / 2)


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


def left_out(squared: FloatArray, rank: int, weight: FloatArray, per_entry: float) -> float:
    """Bound the singular values of a span beyond its basis.

    Those of the members are at most those of what the redundant ones leave of themselves; and, by Weyl's
    theorem, errors in a Gram matrix move no eigenvalue further than their spectral norm.

    Parameters
    ----------
    squared : ndarray, (n_redundant,)
        Squared residuals of the redundant members onto the basis.
    rank : int
        Members of the basis.
    weight : ndarray, (n_redundant,)
        |w|₁ of the redundant members.
    per_entry : float
        Error of an entry of the Gram matrix.
    """
    errors = min(squared_error(weight, per_entry).sum(), (rank + squared.size) * per_entry)
    return math.sqrt(squared.sum() + errors)


def hidden_products(left: FloatArray, rank: int, weight: FloatArray, per_entry: float) -> FloatArray:
    """Bound the lengths of the inner products of all members with what is left of targets.

    Parameters
    ----------
    left : ndarray, (n_redundant, n_targets)
        Those of the redundant members; those of the basis are zero.
    rank : int
        Members of the basis.
    weight : ndarray, (n_targets,)
        |w|₁ of the targets.
    per_entry : float
        Error of an entry of the Gram matrix.
    """
    lengths: FloatArray = np.sqrt((left**2).sum(axis=0))
    return lengths + math.sqrt(rank + len(left)) * per_entry * (1 + weight)


def slack(inverse_trace: float, beyond: float) -> float:
    """Bound the singular values that a rank cut from `NIL` to `CLEAR` takes away from a span, or may.

    Parameters
    ----------
    inverse_trace : float
        Trace of the inverse of the basis's Gram matrix: no singular value is below one over its square root.
    beyond : float
        Bound of the singular values beyond the basis, `left_out`; 0 where all members are in it.
    """
    if inverse_trace * CLEAR**2 >= 1:
        return CLEAR
    return min(max(beyond, NIL), CLEAR) if beyond else 0.0


def above(squared: FloatArray, error: FloatArray, shift: FloatArray) -> FloatArray:
    """Bound the true relative residuals from above.

    Parameters
    ----------
    squared, error : ndarray
        Squared relative residuals and their errors.
    shift : ndarray
        `slack` times the length of the regression weights, |w|₂: what the directions taken away contribute.
    """
    bounds: FloatArray = np.minimum(np.sqrt(squared + error) + shift, 1)
    return bounds


def below(squared: FloatArray, error: FloatArray, shift: FloatArray, hidden: FloatArray) -> FloatArray:
    """Bound the true relative residuals from below, onto a span and all spans of some of its members.

    Parameters
    ----------
    squared, error, shift : ndarray
        As in `above`.
    hidden : ndarray
        `hidden_products`; 0 where all members are in the basis. Divided by a singular value, it bounds what a
        direction that the basis lacks may take from the residual.
    """
    clear = np.sqrt(np.maximum(squared - error, 0))
    here = np.sqrt(np.maximum(clear**2 - (hidden / NIL) ** 2, 0)) - shift
    inside = clear - (error + hidden / CLEAR) / np.maximum(clear, CLEAR)
    bounds: FloatArray = np.maximum(np.where(hidden > 0, np.minimum(here, inside), clear), 0)
    return bounds
