"""Fits of all neurons to the other side's, each to all folds but one, kept up as neurons leave."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.dead import is_live
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.statistics.resampling import each_without, whole

# Of squared lengths of 1: members that depend on each other share a weight, and no other residual moves.
RIDGE = 1e-10
# Share of the members that may leave before fits are computed afresh: updates of them cost less, and drift.
STALE = 0.2


class CrossFits:
    """Neurons in play, and the squared relative residual of each onto the other side's, held out and not.

    Neurons are numbered by labels: live ones only, x before y. There is one fit for each fold, to all the
    others, tested on that fold; and the last one is fitted to all folds and tested on all.

    Parameters
    ----------
    folds : sequence of GramMatrix
        At least two, of the same neurons.
    centre : {"raw", "mean"}
        With "mean", a fit and its test have the means of the samples that were fitted: those of a fold that
        is held out are not known in advance.

    Attributes
    ----------
    neurons : ndarray of int, (n,)
        Row of the joint matrix of each label.
    alive : ndarray of bool, (n,)
        Labels in play.

    Notes
    -----
    In a fold's fit no member has a weight that has more of its squared length in that fold than in all the
    others: these cannot teach what it is for, and a weight fitted to almost nothing is of any size.
    """

    def __init__(self, folds: Sequence[GramMatrix], centre: Centre) -> None:
        total = centred_by(whole(folds), centre)
        norms = total.norms
        self.neurons = np.flatnonzero(is_live(norms))
        self.n_x = int(np.searchsorted(self.neurons, total.n_x))
        self.alive: NDArray[np.bool_] = np.ones(self.neurons.size, dtype=np.bool_)
        inverse = 1 / norms[self.neurons]
        self.fitted = np.empty((len(folds) + 1, self.alive.size, self.alive.size))
        self.tested = np.empty_like(self.fitted)
        places = np.ix_(self.neurons, self.neurons)
        self.freedom = total.degrees_of_freedom
        for fit, (others, test) in enumerate(_fits(folds, centre, total)):
            self.freedom = min(self.freedom, others.degrees_of_freedom)
            for kept, matrix in ((self.fitted, others.matrix), (self.tested, test)):
                np.multiply(matrix[places], inverse, out=kept[fit])
                kept[fit] *= inverse[:, None]
        self.unlearned = np.diagonal(self.tested, axis1=1, axis2=2) > np.diagonal(
            self.fitted, axis1=1, axis2=2
        )
        labels = np.arange(self.alive.size)
        self._onto_x = _Fits(self, labels[: self.n_x], labels[self.n_x :])
        self._onto_y = _Fits(self, labels[self.n_x :], labels[: self.n_x])

    def squared(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Return squared residuals of all labels; those of labels that left mean nothing.

        Returns
        -------
        held_out, in_sample : ndarray, (n,)
            At least 0; held out, they may exceed 1.
        saturated : ndarray of bool, (n,)
            Whether there are as many members as dimensions in a fit, so that any neuron fits.
        """
        held_out, in_sample = np.ones((2, self.alive.size))
        saturated = np.zeros(self.alive.size, dtype=np.bool_)
        for fits in (self._onto_x, self._onto_y):
            at = fits.targets
            held_out[at] = fits.squared[:-1].sum(axis=0) / fits.lengths
            in_sample[at] = fits.squared[-1] / fits.length  # 1 to the last bit where no member is left
            saturated[at] = fits.count >= self.freedom
        return np.maximum(held_out, 0), np.maximum(in_sample, 0), saturated

    def remove(self, labels: Indices) -> None:
        """Take neurons out of play, at O(n²) for each of few and each fold, or by fresh fits."""
        self.alive[labels] = False
        for fits, leaving in (
            (self._onto_x, labels[labels < self.n_x]),
            (self._onto_y, labels[labels >= self.n_x]),
        ):
            fits.remove(leaving)


class _Fits:
    """Fits of one side's neurons, the targets, to the other side's, the members."""

    def __init__(self, of: CrossFits, members: Indices, targets: Indices) -> None:
        self._of, self.targets, self._members = of, targets, members
        self._fit()

    def remove(self, labels: Indices) -> None:
        """Take members out."""
        self.count -= labels.size
        if self.count <= (1 - STALE) * self._members.size:
            self._fit()
            return
        for place in np.searchsorted(self._members, labels):
            self._update(int(place))

    def _update(self, place: int) -> None:
        """Let the weights of all other members, and what is left, follow one that leaves: rank one."""
        column = self._inverse[:, :, place].copy()
        step = self._weights[:, place] / column[:, place, None]
        moved = (self._tested @ column[:, :, None])[:, :, 0]
        slope = (moved[:, None] @ self._weights)[:, 0] - (column[:, None] @ self._tested_targets)[:, 0]
        curvature = (column * moved).sum(axis=1)[:, None]
        self.squared += step * (step * curvature - 2 * slope)
        self._weights -= column[:, :, None] * step[:, None]
        self._inverse -= column[:, :, None] * (column / column[:, place, None])[:, None]
        self._weights[:, place] = 0
        self._inverse[:, place] = self._inverse[:, :, place] = 0

    def _fit(self) -> None:
        """Fit afresh, and forget what left."""
        of = self._of
        members = self._members = self._members[of.alive[self._members]]
        targets = self.targets = self.targets[of.alive[self.targets]]
        self.count = members.size
        self._tested = of.tested[:, members[:, None], members]
        self._tested_targets = of.tested[:, members[:, None], targets]
        lengths = of.tested[:, targets, targets]
        self.lengths, self.length = lengths[:-1].sum(axis=0), lengths[-1]
        self._inverse = np.empty_like(self._tested)
        self._weights = np.empty_like(self._tested_targets)
        for fit in range(len(lengths)):
            self._solve(fit, members, targets)
        residual = self._tested @ self._weights
        residual -= 2 * self._tested_targets
        residual *= self._weights
        self.squared = lengths + residual.sum(axis=1)

    def _solve(self, fit: int, members: Indices, targets: Indices) -> None:
        """Find the weights of one fit."""
        rows = self._of.fitted[fit][members]
        own, right = rows[:, members], rows[:, targets]
        unlearned = self._of.unlearned[fit, members]
        own[unlearned] = own[:, unlearned] = right[unlearned] = 0.0
        own.flat[:: members.size + 1] += RIDGE
        if members.size:
            # LAPACK itself: SciPy's own functions take longer to call than a small system takes to solve.
            factor, failed = dpotrf(own, lower=1)
            assert not failed, "a Gram matrix with a ridge is positive definite"
            self._inverse[fit] = dpotrs(factor, np.eye(members.size), lower=1)[0]
            self._weights[fit] = dpotrs(factor, right, lower=1)[0]


def _fits(
    folds: Sequence[GramMatrix], centre: Centre, total: GramMatrix
) -> Iterator[tuple[GramMatrix, FloatArray]]:
    """Give for each fit what is fitted, and the joint matrix of what is tested."""
    for fold, others in zip(folds, each_without(folds), strict=True):
        if centre == "raw":
            yield others, fold.matrix
        else:
            apart = fold.sums / fold.n_samples - others.sums / others.n_samples
            of_means = fold.n_samples * np.multiply.outer(apart, apart)
            yield others.centred, fold.centred.matrix + of_means
    yield total, total.matrix
