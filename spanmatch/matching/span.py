"""Squared residuals of target vectors onto the span of members that leave, one or several at a time."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, dger
from scipy.linalg.lapack import dpotrf

from spanmatch.matching.certificate import EPS
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import RESOLUTION, independent, solve_lower

# Estimated rounding errors in squared residuals that updates may leave before all is factorised afresh.
DRIFT_BOUND = 1e-10
# Where the problem itself is ill-conditioned, fresh numbers err too: drift counts beyond so many times that.
DRIFT_FACTOR = 10
# Columns that nobody needs any more are removed when fewer than this share is left.
KEPT_SHARE = 0.75


class Span:
    """Span of a shrinking set of members, and the squared residuals of targets onto it.

    A basis B of the members is chosen by pivoted Cholesky; the other members are *redundant*. The tableau has
    one row for each basis member and one column for each member or target: P = inv(G_BB) in the columns of
    the basis, regression coefficients P G_Bj in the others. Removing basis members K is a sweep: with L the
    Cholesky factor of P_KK and U = inv(L) tableau[K], every squared residual grows by the column sums of U²
    and the tableau loses U_Bᵀ U, U_B being U in the columns of the basis. If a redundant member then has left
    the span of the basis, it enters the basis by the reverse sweep. Either costs O(rows · columns) for each
    member, and nothing is ever divided by a pivot below `RESOLUTION`, whatever the rank.

    Where cancellation may have left more than `DRIFT_BOUND` in the residuals (members that were nearly
    dependent have left), everything is factorised afresh, at O(n³).

    Parameters
    ----------
    gram : ndarray, (n, n)
        Unit-diagonal Gram matrix of all labels; shared, never written.
    members, targets : ndarray of bool, (n,)
        Which labels span, and which labels' residuals are wanted; disjoint.

    Attributes
    ----------
    squared : ndarray, (n,)
        Squared residuals by label; meaningful for targets and redundant members only.
    """

    squared: FloatArray
    _columns: Indices  # label of each column
    _column_of: Indices  # column of each label
    _basis: Indices  # label of each row, then room
    _row_of: Indices  # row of each label, -1 when it has none
    _rank: int
    _tableau: FloatArray
    _redundant: Indices
    _row_drift: FloatArray  # by row: error that cancellation may have left in P_ii
    _drift: FloatArray  # by label: the same for `squared`

    def __init__(self, gram: FloatArray, members: NDArray[np.bool_], targets: NDArray[np.bool_]) -> None:
        self._gram = gram
        self._member = members.copy()
        self._target = targets.copy()
        self._factorise()

    def copy(self) -> Self:
        """Return an independent copy, without the columns that nobody needs."""
        twin = self.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in ("squared", "_member", "_target", "_column_of", "_row_of", "_redundant", "_drift"):
            setattr(twin, name, getattr(self, name).copy())
        twin._compact()
        return twin

    def drop_targets(self, labels: Indices) -> None:
        """Forget targets."""
        self._target[labels] = False
        self._compact_if_sparse()

    def growth(self, labels: Indices) -> FloatArray | None:
        """Return by how much removing members would raise `squared`, or None when only removing them tells.

        Costs O(n) for each member and O(n²) for their number squared; the span is unchanged.
        """
        rise = np.zeros(len(self._gram))
        rows = self._row_of[labels]
        leaving = labels[rows >= 0]
        if leaving.size == 0:
            return rise
        if 2 * leaving.size > self._rank:
            return None
        tableau = self._tableau[rows[rows >= 0]]
        fall, pivots = _half(tableau[:, self._column_of[leaving]], tableau)
        if not (pivots >= 0.5).all():
            return None
        rise[self._columns] = (fall**2).sum(axis=0)
        staying = self._redundant
        if leaving.size < labels.size:
            staying = np.setdiff1d(staying, labels, assume_unique=True)
        if staying.size and (self.squared[staying] + rise[staying] > RESOLUTION).any():
            return None
        return rise

    def growth_of_each(self, labels: Indices) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return by how much `squared` would grow without each member alone: `growth` of all at once.

        Returns
        -------
        rise : ndarray, (n_labels, n)
            By how much the squared residual of each label would grow.
        unclear : ndarray of bool, (n_labels,)
            Of which members only their removal tells.
        """
        rise = np.zeros((labels.size, len(self._gram)))
        unclear = np.zeros(labels.size, dtype=np.bool_)
        places = (self._row_of[labels] >= 0).nonzero()[0]  # without any other member nothing grows
        rows = self._row_of[labels[places]]
        pivots = self._tableau[rows, self._column_of[labels[places]]]
        fall = self._tableau[rows] / np.sqrt(np.maximum(pivots, 0.5))[:, None]
        rise[places[:, None], self._columns] = fall * fall
        unclear[places] = ~(pivots >= 0.5) | (self._rank < 2)
        if self._redundant.size:
            unclear |= (self.squared[self._redundant] + rise[:, self._redundant] > RESOLUTION).any(axis=1)
        return rise, unclear

    def remove(self, labels: Indices) -> None:
        """Remove members, at O(rank · columns) for each; those of most of the basis by factorising afresh."""
        self._member[labels] = False
        self._redundant = self._redundant[self._member[self._redundant]]
        leaving = labels[self._row_of[labels] >= 0]
        if not self._member.any():
            self.squared[self._target] = 1.0
            self._rank = 0
        elif 2 * leaving.size > self._rank:
            self._factorise()
        elif leaving.size == 0 or (self._leave_basis(leaving) and self._exchange() and not self._drifted()):
            self._compact_if_sparse()
        else:
            self._factorise()

    def _factorise(self) -> None:
        members = self._member.nonzero()[0]
        columns = (self._member | self._target).nonzero()[0]
        basis, lower = independent(self._gram[members[:, None], members])
        basis = members[basis]
        size = len(self._gram)
        self._set_columns(columns)
        self._basis, self._rank = basis, basis.size
        self._row_of = np.full(size, -1)
        self._row_of[basis] = np.arange(basis.size)
        self._redundant = members[self._row_of[members] < 0]
        right = self._gram[basis[:, None], columns]
        right[:, self._column_of[basis]] = np.eye(basis.size)
        half = solve_lower(lower, right)
        self.squared = np.zeros(size)
        self.squared[columns] = np.maximum(1 - (half**2).sum(axis=0), 0)
        self._tableau = np.ascontiguousarray(solve_lower(lower, half, transposed=True))
        self._row_drift = np.zeros(basis.size)
        self._drift = np.zeros(size)

    def _leave_basis(self, labels: Indices) -> bool:
        rows = self._row_of[labels]
        tableau, basis = self._tableau[: self._rank], self._basis[: self._rank]
        leaving = tableau[rows]
        fall, pivots = _half(leaving[:, self._column_of[labels]], leaving)
        if not (pivots >= 0.5).all():  # at least 1 for a unit diagonal: the tableau is lost
            return False
        fall_rows = fall[:, self._column_of[basis]]
        rise = fall**2
        row_drift = self._row_drift[: self._rank]
        row_drift += EPS * pivots @ fall_rows**2
        self.squared[self._columns] += rise.sum(axis=0)
        self._drift[self._columns] += (EPS * pivots + row_drift[rows] / pivots) @ rise
        _subtract_product(tableau, fall_rows, fall)
        self._drop_rows(rows)
        return True

    def _drop_rows(self, rows: Indices) -> None:
        """Put rows from the end into the places of those that leave."""
        basis = self._basis
        self._row_of[basis[rows]] = -1
        last = self._rank - rows.size
        places = rows[rows < last]
        ends = (self._row_of[basis[last : self._rank]] >= 0).nonzero()[0] + last
        self._tableau[places] = self._tableau[ends]
        self._row_drift[places] = self._row_drift[ends]
        basis[places] = basis[ends]
        self._row_of[basis[places]] = places
        self._rank = last

    def _exchange(self) -> bool:
        while self._redundant.size:
            nearest = int(self._redundant[np.argmax(self.squared[self._redundant])])
            if self.squared[nearest] <= RESOLUTION:
                break
            if not self._enter_basis(nearest):
                return False
        return True

    def _enter_basis(self, label: int) -> bool:
        tableau, basis = self._tableau[: self._rank], self._basis[: self._rank]
        column = self._column_of[label]
        weights = tableau[:, column].copy()
        schur = self._gram[label, self._columns] - self._gram[label, basis] @ tableau
        pivot = float(schur[column])
        if pivot <= RESOLUTION:
            self.squared[label] = max(pivot, 0.0)
            return True
        stale = float(self._row_drift[: self._rank].max(initial=0.0))
        if self._rank == len(self._tableau) or (stale > 10 * EPS and stale > DRIFT_BOUND * pivot):
            return False
        self.squared[self._columns] = np.maximum(self.squared[self._columns] - schur**2 / pivot, 0)
        schur[self._column_of[basis]] = -weights
        schur[column] = 1.0
        entering = schur / pivot
        _subtract_product(tableau, weights[None], entering[None])
        tableau[:, column] = -weights / pivot
        self._tableau[self._rank] = entering
        self._basis[self._rank] = label
        self._row_drift[self._rank] = 0.0
        self._row_of[label] = self._rank
        self._redundant = self._redundant[self._redundant != label]
        self._rank += 1
        return True

    def _weights(self, labels: Indices) -> FloatArray:
        """Return the regression weights of labels outside the basis, (rank, n_labels)."""
        weights: FloatArray = np.take(self._tableau[: self._rank], self._column_of[labels], axis=1)
        return weights

    def _drifted(self) -> bool:
        drift = self._row_drift[: self._rank]
        if drift.max() > DRIFT_BOUND:
            inverse = np.take(self._tableau[: self._rank], self._column_of[self._basis[: self._rank]], axis=1)
            inherent = EPS * (inverse**2).sum(axis=1)
            if (drift > DRIFT_BOUND * inverse.diagonal() + DRIFT_FACTOR * inherent).any():
                return True
        if self._drift[self._columns].max() <= DRIFT_BOUND:
            return False
        watched = np.concatenate((np.flatnonzero(self._target), self._redundant))
        watched = watched[self._drift[watched] > DRIFT_BOUND]
        inherent = EPS * (self._weights(watched) ** 2).sum(axis=0)
        return bool((self._drift[watched] > DRIFT_BOUND + DRIFT_FACTOR * inherent).any())

    def _compact_if_sparse(self) -> None:
        needed = np.count_nonzero(self._member) + np.count_nonzero(self._target)
        if needed < KEPT_SHARE * self._columns.size:
            self._compact()

    def _compact(self) -> None:
        needed = (self._member | self._target)[self._columns].nonzero()[0]
        self._tableau = np.take(self._tableau[: self._rank], needed, axis=1)
        self._basis = self._basis[: self._rank].copy()
        self._row_drift = self._row_drift[: self._rank].copy()
        self._set_columns(self._columns[needed])

    def _set_columns(self, labels: Indices) -> None:
        self._columns = labels
        self._column_of = np.full(len(self._gram), -1)
        self._column_of[labels] = np.arange(labels.size)


def _half(pivots: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return inv(L) rows and the squared diagonal of L, for pivots = L Lᵀ; not a number where that fails."""
    if len(rows) == 1 and pivots[0, 0] > 0:
        return rows / np.sqrt(pivots), pivots[0]
    factor, failed = dpotrf(pivots, lower=1)
    if failed:
        return rows, np.full(len(rows), np.nan)
    return solve_lower(factor, rows), factor.diagonal() ** 2


def _subtract_product(tableau: FloatArray, rows: FloatArray, columns: FloatArray) -> None:
    """Subtract rowsᵀ columns in place, in one pass over memory."""
    if len(rows) == 1:
        dger(-1.0, columns[0], rows[0], a=tableau.T, overwrite_a=1)
    else:
        dgemm(-1.0, columns.T, rows.T, beta=1.0, c=tableau.T, trans_b=1, overwrite_c=1)
