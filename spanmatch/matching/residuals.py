"""Relative residuals and the definition of a match, each from a fresh factorisation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputIndexError, InputTypeError, InputValueError
from spanmatch.matching.certificate import (
    above,
    arithmetic_error,
    below,
    entry_error,
    hidden_products,
    left_out,
    slack,
    squared_error,
)
from spanmatch.matching.checks import check_dead, check_epsilon, check_gram, check_match
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Dead, Indices, Match, Side
from spanmatch.matching.scaled import RESOLUTION, ScaledGram, independent, scale, solve_lower

# What `is_match` allows for rounding, since the searches decide on updated residuals and it on fresh ones.
RESIDUAL_SLACK = 1e-9
# Error of a squared residual, for regression weights whose absolute values sum to one.
SQUARED_ERROR = 4e-15


class _Fit(NamedTuple):
    squared: FloatArray  # squared relative residuals
    weight: FloatArray  # sums of the absolute regression weights
    low: FloatArray  # bounds of the true relative residuals
    high: FloatArray


def relative_residuals(gram: GramMatrix, *, onto: Side, subset: ArrayLike | None = None) -> FloatArray:
    """Distance of each neuron's activation vector to a span of the other side, relative to its length.

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    onto : {"x", "y"}
        The side that spans; the residuals are those of the other side's neurons.
    subset : array_like of int, optional
        Indices of the neurons of `onto` that span; all when left out. Their order and repetitions do not
        matter.

    Returns
    -------
    ndarray, (n_x,) for ``onto="y"``, (n_y,) for ``onto="x"``
        Relative residuals in [0, 1]: ``dist(z, span) / |z|``. Values below 1e-6 cannot be told from zero in a
        Gram matrix and are 0. Of a dead neuron the residual is 0 (its distance is), though it is in no match.

    Raises
    ------
    ValueError
        When `onto` names no side or `gram` has seen no sample.
    TypeError
        When `subset` holds anything but integers.
    IndexError
        When `subset` holds an index that `onto` does not have.

    Notes
    -----
    What ``numpy.linalg.lstsq`` gives on the activations, from their inner products, at O(n³) for n neurons.
    The square of a residual errs by about 1e-15 times the squared sum of the absolute regression weights.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, relative_residuals
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> relative_residuals(gram, onto="y")  # of x
    array([0., 0., 1.])
    >>> relative_residuals(gram, onto="y", subset=[0]).round(3)
    array([0.707, 0.707, 1.   ])
    """
    residuals, _, _ = _certified(gram, onto, subset)
    return residuals


def residual_bounds(gram: GramMatrix, *, onto: Side, subset: ArrayLike | None = None) -> FloatArray:
    """Error bound of each of the `relative_residuals` of the same arguments.

    Parameters
    ----------
    gram, onto, subset
        As in `relative_residuals`.

    Returns
    -------
    ndarray, (n_x,) for ``onto="y"``, (n_y,) for ``onto="x"``
        By how much the relative residual may differ from that of least squares on the activations, computed
        exactly (float32 and float16 activations count as they are: casting them is exact); 0 for a dead
        neuron. Where the rank of the span is unclear, as far as any cut of it may move the residual.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `relative_residuals`.

    Notes
    -----
    With e the error of an entry of the unit-diagonal Gram matrix (about 1e-16 times its `roundings`) and w
    the regression weights, a squared residual errs by at most ``e · (1 + |w|₁)²``. Least squares means
    that with a rank cut: of the span of unit vectors, directions whose singular value is at most 1e-6 do not
    count. A rank is unclear when a singular value lies between 1e-7 and 1e-5, or cannot be told from one that
    does.
    docs/theory.md has the proof. Costs what `relative_residuals` costs.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, residual_bounds
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> bool((residual_bounds(gram, onto="y", subset=[0]) < 1e-12).all())
    True
    """
    residuals, low, high = _certified(gram, onto, subset)
    return np.maximum(high - residuals, residuals - low)


def _certified(
    gram: GramMatrix, onto: Side, subset: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the relative residuals and bounds of the true ones, below and above."""
    check_gram(gram)
    if onto not in ("x", "y"):
        raise InputValueError(f'`onto` must be "x" or "y", got {onto!r}; name the side whose neurons span')
    count = gram.n_x if onto == "x" else gram.n_y
    chosen = np.arange(count) if subset is None else _check_subset(subset, count)
    nobody = np.empty(0, dtype=np.int64)
    scaled = scale(gram)
    is_x = np.arange(scaled.size) < scaled.n_x
    if onto == "x":
        targets, members = np.flatnonzero(~is_x), scaled.labels(Match(chosen, nobody))
        places, results = scaled.neurons[targets] - gram.n_x, np.zeros((3, gram.n_y))
    else:
        targets, members = np.flatnonzero(is_x), scaled.labels(Match(nobody, chosen))
        places, results = scaled.neurons[targets], np.zeros((3, gram.n_x))
    fit = _fit(scaled, members, targets)
    results[:, places] = np.sqrt(np.where(fit.squared <= RESOLUTION, 0.0, fit.squared)), fit.low, fit.high
    return results[0], results[1], results[2]


def is_match(gram: GramMatrix, match: Match, *, epsilon: float, dead: Dead = "exclude") -> bool:
    """Tell whether a pair of neuron sets is an ε-approximate match (Def. 1).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    match : Match
        The neurons of both sides. The empty match is a match.
    epsilon : float
        Largest relative residual allowed, in [0, 1).
    dead : {"exclude", "match"}
        Whether a pair with a dead neuron is no match, the authors' convention, or dead neurons match
        anything, as Def. 1 says by the letter: a zero vector lies in every span.

    Returns
    -------
    bool
        Whether every neuron's relative residual onto the span of the other side's is at most `epsilon`, up to
        rounding: 1e-9 in the residual, 1e-12 plus 4e-15 times the squared sum of the absolute regression
        weights in its square. So every match that this library returns passes, and so may one that misses by
        a hair.

    Raises
    ------
    TypeError
        When `gram` is no GramMatrix, or `match` no Match.
    ValueError
        When `epsilon` is outside [0, 1), `dead` is none of the two words, or `gram` has seen no sample.
    IndexError
        When `match` holds a neuron that `gram` does not have.

    Notes
    -----
    Costs O(n³) for n neurons in the match. Def. 1 of Wang et al. 2018 (arXiv 1810.11750).

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, Match, is_match
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> is_match(gram, Match([0, 1], [0, 1]), epsilon=0.3), is_match(gram, Match([0], [0]), epsilon=0.3)
    (True, False)
    """
    check_gram(gram)
    check_match(match)
    bound = check_epsilon(epsilon)
    check_dead(dead)
    for side, indices, count in (("x", match.x, gram.n_x), ("y", match.y, gram.n_y)):
        if indices.size and indices[-1] >= count:
            raise InputIndexError(
                f"`match` must hold indices below {count} on side {side!r}, got {indices[-1]}"
            )
    scaled = scale(gram)
    labels = scaled.labels(match)
    if dead == "exclude" and labels.size < match.size:
        return False
    x, y = labels[labels < scaled.n_x], labels[labels >= scaled.n_x]
    return all(_within(_fit(scaled, members, targets), bound) for members, targets in ((x, y), (y, x)))


def _within(fit: _Fit, epsilon: float) -> bool:
    allowed = (epsilon + RESIDUAL_SLACK) ** 2 + RESOLUTION + SQUARED_ERROR * fit.weight**2
    return bool((fit.squared <= allowed).all())


def _fit(scaled: ScaledGram, members: Indices, targets: Indices) -> _Fit:
    basis, lower = independent(scaled.gram[np.ix_(members, members)])
    redundant = np.delete(members, basis)
    half = solve_lower(lower, scaled.gram[np.ix_(members[basis], np.concatenate((targets, redundant)))])
    squared = np.clip(1 - (half**2).sum(axis=0), 0, 1)
    weights = solve_lower(lower, half, transposed=True)
    total = np.abs(weights).sum(axis=0)
    of_redundant = slice(targets.size, None)
    per_entry = entry_error(scaled.roundings) + arithmetic_error(members.size)
    beyond, hidden = 0.0, np.zeros(targets.size)
    if redundant.size:
        beyond = left_out(squared[of_redundant], basis.size, total[of_redundant], per_entry)
        left = scaled.gram[np.ix_(redundant, targets)] - half[:, of_redundant].T @ half[:, : targets.size]
        hidden = hidden_products(left, basis.size, total[: targets.size], per_entry)
    inverse_trace = float((solve_lower(lower, np.eye(basis.size)) ** 2).sum())
    squared, total, weights = squared[: targets.size], total[: targets.size], weights[:, : targets.size]
    shift = slack(inverse_trace, beyond) * np.sqrt((weights**2).sum(axis=0))
    error = squared_error(total, per_entry)
    return _Fit(squared, total, below(squared, error, shift, hidden), above(squared, error, shift))


def _check_subset(subset: ArrayLike, count: int) -> Indices:
    indices = np.asarray(subset)
    if indices.size and indices.dtype.kind not in "iu":
        raise InputTypeError(
            f"`subset` must hold integers, got dtype {indices.dtype}; pass neuron indices, not a mask"
        )
    if indices.ndim != 1:
        raise InputValueError(
            f"`subset` must be one-dimensional, got shape {indices.shape}; pass a list of indices"
        )
    wrong = indices[(indices < 0) | (indices >= count)]
    if wrong.size:
        raise InputIndexError(f"`subset` must hold indices from 0 to {count - 1}, got {wrong[0]}")
    return indices.astype(np.int64)
