"""Both sides of an ε-match in one matrix, where either is independent: what the searches of covers try."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs

from spanmatch.matching.certificate import EPS
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import RESOLUTION
from spanmatch.matching.span import DRIFT_BOUND

# A side is independent enough where leaving any neuron out of it takes this much of that neuron's squared
# length from the span: then none of those that stay comes closer to the others' span as some leave.
INDEPENDENT = 1e-4


class Without(NamedTuple):
    """What is left when labels leave.

    Attributes
    ----------
    leaving
        The labels.
    squared
        Squared relative residuals of those that stay.
    halves
        Rows of those that leave, orthogonalised among those of their side; None where all was factorised
        afresh.
    pivots
        The squared lengths that they were divided by.
    """

    leaving: Indices
    squared: FloatArray
    halves: FloatArray | None
    pivots: FloatArray


class Tableau:
    """Neurons still in play, and the squared relative residual of each onto the other side's.

    As two `Span` objects that nobody redundant is in, in one matrix: the row of a neuron holds its row of the
    inverse of its side's Gram matrix, and its weights in the regressions of the other side's neurons. Neurons
    that leave keep rows and columns of zeros.

    Parameters
    ----------
    gram : ndarray, (n, n)
        Unit-diagonal Gram matrix of all labels, x before y; shared, never written.
    n_x : int
        How many of the labels are x neurons.
    epsilon : float
        Largest relative residual that may stay.

    Attributes
    ----------
    alive : ndarray of bool, (n,)
        Which labels are in play.
    independent : bool
        Whether both sides are independent enough; otherwise nothing else is to be asked.
    """

    alive: NDArray[np.bool_]
    _squared: FloatArray
    _table: FloatArray
    _row_drift: FloatArray  # error that cancellation may have left on the diagonal
    _drift: FloatArray  # the same of `_squared`

    def __init__(self, gram: FloatArray, n_x: int, epsilon: float) -> None:
        self._gram, self._n_x = gram, n_x
        self._limit = _largest_square(epsilon)
        self.alive = np.ones(len(gram), dtype=np.bool_)
        self.independent = self._fit()

    def too_far(self, without: Without) -> NDArray[np.bool_]:
        """Tell who would be too far from the other side's span."""
        return without.squared > self._limit

    def falls(self) -> NDArray[np.bool_]:
        """Tell who (column) would be too far without each label (row) alone, (n, n)."""
        room = self._limit - self._squared
        room[~self.alive] = np.inf
        falls = self._table * self._table > self._table.diagonal()[:, None] * room
        falls[: self._n_x, : self._n_x] = False
        falls[self._n_x :, self._n_x :] = False
        return falls

    def without(self, leaving: Indices) -> Without:
        """Return what would be left without some labels, ascending; nothing changes."""
        split = self._n_x
        if leaving.size == 1:
            row = self._table[leaving]
            pivots = row[:, leaving[0]]
            halves = row / math.sqrt(pivots[0])
        elif 2 * leaving.size > np.count_nonzero(self.alive):
            return self._afresh(leaving)
        else:
            in_x = int(leaving.searchsorted(split))
            halves = self._table[leaving]
            pivots = np.empty(leaving.size)
            for part in (slice(in_x), slice(in_x, None)):
                if halves[part].size:
                    factor, failed = dpotrf(halves[part, leaving[part]], lower=1)
                    if failed:
                        return self._afresh(leaving)
                    halves[part] = dtrtrs(factor, halves[part], lower=1)[0]
                    pivots[part] = factor.diagonal() ** 2
        if not (pivots >= 0.5).all():  # at least 1 for a unit diagonal
            return self._afresh(leaving)
        rise = halves * halves
        in_x = int(leaving.searchsorted(split))
        squared = self._squared.copy()
        squared[split:] += rise[:in_x, split:].sum(axis=0)
        squared[:split] += rise[in_x:, :split].sum(axis=0)
        squared[leaving] = -1.0
        return Without(leaving, squared, halves, pivots)

    def remove(self, without: Without) -> None:
        """Take labels out of play, as `without` found them to leave all others."""
        leaving, squared, halves, pivots = without
        self.alive[leaving] = False
        if halves is None:
            self._fit()
            return
        in_x, split = int(leaving.searchsorted(self._n_x)), self._n_x
        for part, own, other in (
            (slice(in_x), slice(split), slice(split, None)),
            (slice(in_x, None), slice(split, None), slice(split)),
        ):
            rows, lengths = halves[part], pivots[part]
            if not rows.size:
                continue
            inside = rows[:, own]
            rise = rows * rows
            self._row_drift[own] += EPS * lengths @ rise[:, own]
            self._drift[other] += (EPS * lengths + self._row_drift[leaving[part]] / lengths) @ rise[:, other]
            self._table[own] -= inside.T @ rows
        self._squared = squared
        self._table[leaving] = 0.0
        self._table[:, leaving] = 0.0
        self._table[leaving, leaving] = 1.0
        self._row_drift[leaving] = self._drift[leaving] = 0.0
        drift = np.maximum(self._drift, self._row_drift / self._table.diagonal())
        if drift.max() > DRIFT_BOUND:
            self._fit()

    def _afresh(self, leaving: Indices) -> Without:
        rest = Tableau.__new__(Tableau)
        rest.__dict__.update(self.__dict__)
        rest.alive = self.alive.copy()
        rest.alive[leaving] = False
        split = self._n_x
        if rest.alive[:split].any() and rest.alive[split:].any():
            rest._fit()
            squared = rest._squared
        else:
            squared = np.where(rest.alive, 1.0, -1.0)
        return Without(leaving, squared, None, np.empty(0))

    def _fit(self) -> bool:
        """Factorise what is in play afresh; tell whether either side is independent."""
        size, split = len(self._gram), self._n_x
        labels = self.alive.nonzero()[0]
        in_x = int(labels.searchsorted(split))
        self._squared = np.full(size, -1.0)
        self._squared[labels] = 1.0
        self._table = np.eye(size)
        self._row_drift, self._drift = np.zeros(size), np.zeros(size)
        for own, other in ((labels[:in_x], labels[in_x:]), (labels[in_x:], labels[:in_x])):
            if not own.size:
                continue
            factor, failed = dpotrf(self._gram[own[:, None], own], lower=1)
            if failed:
                return False
            inverse = dpotri(factor, lower=1)[0]
            if inverse.diagonal().max() * INDEPENDENT > 1:
                return False
            inverse = np.tril(inverse)
            table = inverse + inverse.T
            table.flat[:: own.size + 1] = inverse.diagonal()
            self._table[own[:, None], own] = table
            if other.size:
                cross = self._gram[own[:, None], other]
                weights = dpotrs(factor, cross, lower=1)[0]
                self._table[own[:, None], other] = weights
                half = dtrtrs(factor, cross, lower=1)[0]
                self._squared[other] = 1 - (half * half).sum(axis=0)
        return True


def _largest_square(epsilon: float) -> float:
    """Return the largest squared residual that is at most `epsilon`, or too small to tell from zero."""
    square = epsilon * epsilon
    while math.sqrt(square) > epsilon:
        square = math.nextafter(square, 0)
    while math.sqrt(math.nextafter(square, 1)) <= epsilon:
        square = math.nextafter(square, 1)
    return max(square, RESOLUTION)
