"""Critical epsilons without a certificate, for the many profiles of resampled images.

The peeling of `match_profile` with a ridge in place of a rank cut: simple steps, several times as fast.
"""

import math

import numpy as np
from scipy.linalg.blas import dgemm, dger
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs

from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import scale

# As if each neuron had noise of its own, of 1e-5 of its length: keeps duplicates apart and moves no other
# critical epsilon by more than rounding does.
RIDGE = 1e-10
# Squared residuals up to this are zero: what the ridge leaves of duplicates.
_ZERO = 1e-8
# Of the members of a span, when so many have left it is factorised afresh, without them.
STALE_SHARE = 0.3
# And not before so many have: it takes longer than to carry these along.
STALE_LEAST = 24
# The inverse of a matrix with unit diagonal has 1 on its own at least: less is what rounding left.
LEAST_PIVOT = 0.9


def quick_profile(gram: GramMatrix) -> tuple[FloatArray, FloatArray]:
    """Return every neuron's critical epsilon, as `match_profile` finds it, without bounds.

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.

    Returns
    -------
    x : ndarray, (n_x,)
        Smallest epsilon at which the neuron belongs to the maximum match; infinity for dead neurons. Values
        below 1e-4 are 0.
    y : ndarray, (n_y,)
        The same of the other side.

    Raises
    ------
    ValueError
        When `gram` has seen no sample.

    Notes
    -----
    Costs O((n_x + n_y)³) flops. A span's residuals are those of ridge regression: they still grow as neurons
    leave, which is all that peeling asks for.
    """
    scaled = scale(gram)
    n_x = scaled.n_x
    squared = np.ones(scaled.size)
    span_x = _Span(scaled.gram, np.arange(n_x), np.arange(n_x, scaled.size), squared)
    span_y = _Span(scaled.gram, np.arange(n_x, scaled.size), np.arange(n_x), squared)
    found = np.empty(scaled.size)
    level = 1.0
    while scaled.size and (farthest := squared.item(label := int(squared.argmax()))) >= 0:
        if farthest <= level:  # one, as nearly always; whoever is as far goes next
            level = farthest
            found[label] = level
            squared[label] = -np.inf
            (span_x if label < n_x else span_y).remove_one(label)
            continue
        leaving = (squared >= level).nonzero()[0]
        found[leaving] = level
        squared[leaving] = -np.inf
        split = int(leaving.searchsorted(n_x))
        for span, labels in ((span_x, leaving[:split]), (span_y, leaving[split:])):
            if labels.size == 1:
                span.remove_one(int(labels[0]))
            elif labels.size:
                span.remove(labels)
    critical = np.full(gram.n_x + gram.n_y, np.inf)
    critical[scaled.neurons] = np.sqrt(np.where(found <= _ZERO, 0.0, found))
    return critical[: gram.n_x], critical[gram.n_x :]


class _Span:
    """The span of one side's members, and how far from it those of the other side are.

    Parameters
    ----------
    gram : ndarray, (n, n)
        Unit-diagonal Gram matrix of both sides.
    members, targets : ndarray of int
        Labels of either side.
    squared : ndarray, (n,)
        Squared relative residuals by label, kept up to date for the targets.
    """

    def __init__(self, gram: FloatArray, members: Indices, targets: Indices, squared: FloatArray) -> None:
        self._gram = gram
        self._squared = squared
        self._members, self._targets = members, targets
        self._row_of = np.full(len(gram), -1)
        self._fit()

    def _fit(self) -> None:
        """Factorise what is in play afresh."""
        self._members = self._members[self._squared[self._members] >= 0]
        self._targets = self._targets[self._squared[self._targets] >= 0]
        self._left, count = 0, self._members.size
        self._stale = max(STALE_SHARE * count, STALE_LEAST)
        if not count:
            self._squared[self._targets] = 1.0
            return
        self._row_of[self._members] = np.arange(count)
        rows = self._gram[self._members]
        own, cross = rows[:, self._members], rows[:, self._targets]
        own.flat[:: count + 1] += RIDGE
        factor, failed = dpotrf(own, lower=1)
        assert not failed, "a Gram matrix with a ridge is positive definite"
        half, _ = dpotri(factor, lower=1)  # of a symmetric matrix, zero above the diagonal
        # inverse of the members' Gram matrix, and the weights of the targets
        self._tableau = np.empty((count, count + self._targets.size))
        self._transposed = self._tableau.T
        inverse, weights = self._tableau[:, :count], self._tableau[:, count:]
        np.add(half, half.T, out=inverse)
        np.fill_diagonal(inverse, half.diagonal())
        weights[:] = dpotrs(factor, cross, lower=1)[0]
        self._squared[self._targets] = 1 - np.einsum("ij,ij->j", cross, weights)

    def remove_one(self, label: int) -> None:
        """Take one member out, of which the squared residual says that it has left."""
        self._left += 1
        if self._left > self._stale:
            self._fit()
            return
        tableau, place = self._tableau, self._row_of.item(label)
        row = tableau[place].copy()
        pivot = row.item(place)
        if not pivot > LEAST_PIVOT:
            self._fit()
            return
        dger(-1 / pivot, row, tableau[:, place].copy(), a=self._transposed, overwrite_a=1)
        half = row[self._members.size :]
        half /= math.sqrt(pivot)
        half *= half
        self._squared[self._targets] += half

    def remove(self, labels: Indices) -> None:
        """Take several members out."""
        self._left += labels.size
        if self._left > self._stale:
            self._fit()
            return
        tableau, count = self._tableau, self._members.size
        rows = self._row_of[labels]
        leaving = tableau[rows]
        factor, failed = dpotrf(leaving[:, rows], lower=1)
        if failed or not (factor.diagonal() ** 2 > LEAST_PIVOT).all():
            self._fit()
            return
        halves = dtrtrs(factor, leaving, lower=1)[0]
        dgemm(-1.0, halves.T, halves[:, :count].T, beta=1.0, c=tableau.T, trans_b=1, overwrite_c=1)
        self._squared[self._targets] += np.einsum("ij,ij->j", halves[:, count:], halves[:, count:])
