"""Bounds of the true residuals onto a span whose Gram matrix holds rounded, updated ones."""

import math

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.certificate import (
    EPS,
    above,
    arithmetic_error,
    below,
    hidden_products,
    left_out,
    slack,
    squared_error,
)
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.span import Span


class CertifiedSpan(Span):
    """Span that bounds the true relative residuals, given the error of an entry of the Gram matrix.

    Bounds from above hold whatever a rank cut took away from the span since bounds were first asked for, as
    long as they were asked for before every removal.

    Parameters
    ----------
    gram, members, targets
        As in `Span`.
    per_entry : float
        Error of an entry of `gram`.
    """

    _per_entry: float  # that of the arithmetic included
    _slack: float  # the largest singular value that a rank cut may have taken away so far
    _noted: bool  # whether the span as it is is in `_slack`
    _trace: float  # that of the inverse, when it was noted

    def __init__(
        self, gram: FloatArray, members: NDArray[np.bool_], targets: NDArray[np.bool_], per_entry: float
    ) -> None:
        super().__init__(gram, members, targets)
        self._per_entry = per_entry + arithmetic_error(len(gram))
        self._drift_factor = arithmetic_error(len(gram)) / EPS
        self._slack = 0.0
        self._noted = False

    def remove(self, labels: Indices) -> None:
        """Remove members."""
        super().remove(labels)
        self._noted = False

    def lower_bounds(self, targets: Indices) -> FloatArray:
        """Bound the residuals of some targets onto the members, and onto any of them, from below.

        Costs O(rank) for each target, and as much for each redundant member.
        """
        weights, total, error, shift = self._uncertainty(targets)
        hidden = np.zeros(targets.size)
        if self._redundant.size:
            left = self._gram[np.ix_(self._redundant, targets)]
            left -= self._gram[np.ix_(self._redundant, self._basis[: self._rank])] @ weights
            hidden = hidden_products(left, self._rank, total, self._per_entry)
        return below(self.squared[targets], error, shift, hidden)

    def upper_bounds(self, targets: Indices) -> FloatArray:
        """Bound the residuals of some targets from above, at O(rank) for each."""
        _, _, error, shift = self._uncertainty(targets)
        return above(self.squared[targets], error, shift)

    def highest(self, least: float, enough: float) -> float:
        """Return the largest of `least` and all `upper_bounds`, at O(rank) for each looked at: mostly two.

        Where that is at least `enough`, any number from there on.
        """
        targets = self._target.nonzero()[0]
        squared = self.squared[targets]
        if targets.size and math.sqrt(min(float(squared.max()), 1.0)) >= enough:
            return enough  # no bound from above is below the residual itself
        # |w|₂² is at most the trace of the inverse, |w|₁² that times the rank: enough to put them in order.
        self.note_cut()
        length = np.full(targets.size, math.sqrt(self._trace))
        error = squared_error(math.sqrt(self._rank) * length, self._per_entry) + self._drift_error(targets)
        bounds = above(squared, error, self._slack * length)
        order = np.argsort(-bounds)
        found, start, count = least, 0, 2
        while start < targets.size and found < bounds[order[start]] and found < enough:
            chosen = targets[order[start : start + count]]
            found = max(found, float(self.upper_bounds(chosen).max()))
            start, count = start + count, 2 * count
        return found

    def _uncertainty(self, targets: Indices) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return regression weights, |w|₁, errors of `squared`, and what a rank cut may add to residuals."""
        self.note_cut()
        weights = self._weights(targets)
        total = np.abs(weights).sum(axis=0)
        error = squared_error(total, self._per_entry) + self._drift_error(targets)
        return weights, total, error, self._slack * np.sqrt((weights**2).sum(axis=0))

    def note_cut(self) -> None:
        """Note how long a direction a rank cut may have taken away from the span as it is."""
        if self._noted:
            return
        redundant, beyond = self._redundant, 0.0
        if redundant.size:
            weight = np.abs(self._weights(redundant)).sum(axis=0)
            squared = self.squared[redundant] + self._drift_error(redundant)
            beyond = left_out(squared, self._rank, weight, self._per_entry)
        self._trace = self._inverse_trace()
        self._slack = max(self._slack, slack(self._trace, beyond))
        self._noted = True

    def _inverse_trace(self) -> float:
        rows = np.arange(self._rank)
        diagonal = self._tableau[rows, self._column_of[self._basis[: self._rank]]]
        return float(np.maximum(diagonal, 1).sum())

    def _drift_error(self, labels: Indices) -> FloatArray:
        bounds: FloatArray = self._drift_factor * self._drift[labels]
        return bounds
